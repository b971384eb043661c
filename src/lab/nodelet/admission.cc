#include "lab/nodelet/admission.h"

#include <fmt/format.h>

namespace causeway::lab {

namespace {

struct Port {
  std::string protocol;
  int32_t number = 0;
  std::string ip;  // "": every address
};

std::vector<Port> host_ports(const kube::Pod& pod) {
  std::vector<Port> out;
  const auto take = [&](const std::vector<kube::Container>& containers, bool all) {
    for (const auto& container : containers) {
      // Of init containers only a sidecar keeps its ports (KEP-753).
      if (!all && container.restart_policy != "Always") continue;
      for (const auto& port : container.ports) {
        const int32_t number = port.host_port ? port.host_port : pod.spec.host_network ? port.container_port : 0;
        const bool every = port.host_ip == "0.0.0.0" || port.host_ip == "::";
        if (number) out.push_back({port.protocol.empty() ? "TCP" : port.protocol, number, every ? "" : port.host_ip});
      }
    }
  };
  take(pod.spec.containers, true);
  take(pod.spec.init_containers, false);
  return out;
}

bool clash(const Port& a, const Port& b) {
  return a.protocol == b.protocol && a.number == b.number && (a.ip.empty() || b.ip.empty() || a.ip == b.ip);
}

}  // namespace

std::string host_port_conflict(const kube::Pod& pod, const std::vector<const kube::Pod*>& others) {
  const auto wanted = host_ports(pod);
  if (wanted.empty()) return "";
  for (const kube::Pod* other : others) {
    if (other->metadata.uid == pod.metadata.uid || kube::is_finished(*other)) continue;
    for (const Port& taken : host_ports(*other))
      for (const Port& port : wanted)
        if (clash(taken, port))
          return fmt::format(
              "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports: Pod {} has "
              "{}/{}",
              kube::full_name(other->metadata), taken.number, taken.protocol);
  }
  return "";
}

}  // namespace causeway::lab
