// Which further networks a Pod asks for: the annotation k8s.v1.cni.cncf.io/networks, in both of its forms. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"
#include "pod/extra/extra.h"

namespace causeway::pod {

inline constexpr const char* kNetworksAnnotation = "k8s.v1.cni.cncf.io/networks";
inline constexpr const char* kStatusAnnotation = "k8s.v1.cni.cncf.io/network-status";
inline constexpr const char* kMainInterface = "eth0";  // as runtimes name the one that they ask for
inline constexpr size_t kMaxExtras = 16;               // of one Pod

// One element of the annotation.
struct Selection {
  std::string ns;      // of the definition; the Pod's unless it says another
  std::string name;    // of the definition
  std::string ifname;  // asked for, else net1, net2, ... by its place
  std::optional<Mac> mac;
  std::vector<ExtraAddress> ips;  // asked for in place of what the definition would give
  bool operator==(const Selection&) const = default;
};

// `text` is "NAME, NS/NAME@IFNAME" or a JSON list of objects with name, namespace, interface, ips and mac. What it asks
// for beyond that is refused by its key. An interface that `main` or another element has is refused.
Result<std::vector<Selection>> parse_networks(std::string_view text, std::string_view pod_namespace,
                                              std::string_view main = kMainInterface);

// The value of the annotation network-status: the cluster's own network first.
struct StatusOf {
  std::string network, ifname;
  std::vector<Ip> ips;
  std::optional<Mac> mac;
  bool main = false;
};
std::string status_text(const std::vector<StatusOf>& networks);

}  // namespace causeway::pod
