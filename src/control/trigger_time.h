// When what an endpoint object is about has changed: the annotation by which kube-proxy and we measure how long a
// change takes to reach the nodes. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kube/client/client.h"

namespace causeway::control {

inline constexpr const char* kTriggerTime = "endpoints.kubernetes.io/last-change-trigger-time";

class TriggerTimes {
 public:
  // The earliest change since the last call: of a Pod's readiness, or the making of the Service. The first call for a
  // Service gives its creation. Absent: nothing has changed.
  std::optional<kube::Time> next(const kube::Service& service, const std::vector<const kube::Pod*>& pods);
  void forget(const kube::Ref& service) { states_.erase(service); }

 private:
  struct State {
    std::string uid;
    kube::Time service{};
    std::map<std::string, kube::Time> pods;  // by name
  };
  std::map<kube::Ref, State> states_;
};

// Sets the annotation, or takes it away. RFC 3339 with nanoseconds, UTC, without trailing zeros, as Go writes it.
void set_trigger_time(kube::ObjectMeta& metadata, const std::optional<kube::Time>& time);

}  // namespace causeway::control
