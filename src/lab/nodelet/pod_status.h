// The status of a Pod as kubelet writes it, from what its containers do. Pure.
#pragma once

#include <vector>

#include "base/ip.h"
#include "kube/api/types.h"

namespace causeway::lab {

struct ContainerView {
  const kube::Container* spec = nullptr;
  kube::ContainerState state;  // empty: it waits for its turn
  kube::ContainerState last_state;
  std::string id;
  std::string image_id;
  int restarts = 0;
  bool started = false;
  bool ready = false;
};

struct PodView {
  const kube::Pod* pod = nullptr;  // the newest known, for its conditions
  std::vector<ContainerView> init_containers;
  std::vector<ContainerView> containers;
  bool sandbox = false;  // it has its network
  std::vector<Ip> pod_ips;
  std::vector<Ip> host_ips;
  kube::Time start_time{};
  kube::Time now{};
  std::string failed_reason;  // not empty: the Pod was refused, or was ended from outside
  std::string failed_message;
};

kube::PodStatus build_status(const PodView& view);
// "Pending", "Running", "Succeeded", "Failed" (kubelet's getPhase).
std::string phase_of(const PodView& view);
// BestEffort, Burstable or Guaranteed.
std::string qos_class(const kube::PodSpec& spec);

}  // namespace causeway::lab
