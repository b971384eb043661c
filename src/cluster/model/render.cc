#include <fmt/ranges.h>

#include "cluster/model/model.h"

namespace causeway::cluster {

namespace {
template <class T>
std::string list(const T& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ",") + std::string(to_string(value));
  return text.empty() ? "-" : text;
}
std::string_view or_dash(std::string_view text) { return text.empty() ? "-" : text; }
}  // namespace

std::string render(const Model& model) {
  std::string out = fmt::format("generation {}", model.generation());
  for (Source source :
       {Source::Nodes, Source::Pods, Source::Namespaces, Source::Attachments, Source::Services, Source::EndpointSlices,
        Source::ServiceCidrs, Source::Reservations, Source::Policies, Source::ClusterPolicies})
    out += fmt::format(" {}={}", source, model.synced(source) ? "synced" : "waiting");
  const Uplink& uplink = model.facts().uplink;
  out += fmt::format("\nself {} uplink {} index {} mac {} mtu {}", or_dash(model.facts().name), or_dash(uplink.name),
                     uplink.ifindex, uplink.mac, uplink.mtu);
  for (const LinkAddress& address : uplink.addresses) out += fmt::format(" {}/{}", address.ip, address.prefix);
  out += "\n";
  for (const auto& [name, node] : model.nodes())
    out += fmt::format("node {} addresses {} pods {}{}\n", name, list(node.addresses), list(node.pod_cidrs),
                       node.leaving ? " leaving" : "");
  for (const auto& [name, ns] : model.namespaces()) out += fmt::format("namespace {}\n", name);
  for (const auto& [key, pod] : model.pods())
    out += fmt::format("pod {} node {} addresses {}{}\n", key, or_dash(pod.node), list(pod.addresses),
                       pod.host_network ? " host-network" : "");
  for (const auto& [key, a] : model.attachments())
    out += fmt::format("attachment {} pod {} addresses {} host {}({}) mac {} pod-mac {} netns {}{}\n", key, a.pod,
                       list(a.addresses), a.host_ifname, a.host_ifindex, a.host_mac, a.pod_mac, a.netns_cookie,
                       a.by_host_side ? " by-host-side" : "");
  for (const auto& [name, cidr] : model.service_cidrs())
    out += fmt::format("servicecidr {} {}\n", name, list(cidr.cidrs));
  for (const auto& [ip, reservation] : model.reservations())
    out += fmt::format("addressreservation {} pod {} node {}\n", ip, reservation.pod, or_dash(reservation.node));
  for (const auto& [key, policy] : model.policies())
    out += fmt::format("policy {} tier {} rules {}+{}{}\n", key, policy->tier, policy->ingress.size(),
                       policy->egress.size(), policy->problem.empty() ? "" : ": " + policy->problem);
  for (const auto& [key, service] : model.services())
    out += fmt::format("service {} {} addresses {} ports {}{}\n", key, service->type, list(service->cluster_ips),
                       service->ports.size(), service->problem.empty() ? "" : ": " + service->problem);
  for (const auto& [key, slice] : model.slices())
    out += fmt::format("endpointslice {} service {} {} ports {} endpoints {}{}\n", key, or_dash(slice->service),
                       slice->family, slice->ports.size(), slice->endpoints.size(),
                       slice->problem.empty() ? "" : ": " + slice->problem);
  return out;
}

}  // namespace causeway::cluster
