#include "control/endpoints_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "control/endpoint_of.h"
#include "control/slice_plan.h"

namespace causeway::control {
namespace {

using Port = std::tuple<std::string, int32_t, std::string, std::string>;  // name, number, protocol, appProtocol
using Ports = std::set<Port>;

kube::SubsetPort subset_port(const Port& port) {
  kube::SubsetPort made{.name = std::get<0>(port), .port = std::get<1>(port), .protocol = std::get<2>(port)};
  if (!std::get<3>(port).empty()) made.app_protocol = std::get<3>(port);
  return made;
}

kube::EndpointAddress address_of(const kube::Service& service, const kube::Pod& pod, std::string ip) {
  kube::EndpointAddress address{.ip = std::move(ip), .hostname = endpoint_hostname(service, pod)};
  if (!pod.spec.node_name.empty()) address.node_name = pod.spec.node_name;
  address.target_ref =
      kube::ObjectReference{.kind = "Pod", .ns = pod.metadata.ns, .name = pod.metadata.name, .uid = pod.metadata.uid};
  return address;
}

// Upstream compares without the Pods' resourceVersions, which somebody may have filled in.
std::vector<kube::EndpointSubset> without_revisions(std::vector<kube::EndpointSubset> subsets) {
  for (auto& subset : subsets)
    for (auto* list : {&subset.addresses, &subset.not_ready_addresses})
      for (auto& address : *list)
        if (address.target_ref) address.target_ref->resource_version.clear();
  return subsets;
}

}  // namespace

std::vector<kube::EndpointSubset> plan_subsets(const kube::Service& service,
                                               const std::vector<const kube::Pod*>& pods) {
  const bool unready = service.spec.publish_not_ready_addresses;
  const auto type = address_types(service).front();
  // What is the same address twice (a recycled one) is told apart by its Pod.
  struct Entry {
    kube::EndpointAddress address;
    bool ready = false;
  };
  std::map<Ports, std::vector<Entry>> by_ports;
  for (const auto* pod : pods) {
    if (!may_be_endpoint(*pod) || (pod->metadata.deletion_timestamp && !unready)) continue;
    auto addresses = pod_addresses(*pod, type);
    if (addresses.empty()) continue;
    Ports ports;
    for (const auto& port : endpoint_ports(service, *pod))
      ports.emplace(*port.name, *port.port, *port.protocol, port.app_protocol.value_or(""));
    const bool no_ports = service.spec.ports.empty() && service.spec.cluster_ip == "None";
    if (ports.empty() && !no_ports) continue;
    by_ports[ports].push_back(
        {.address = address_of(service, *pod, std::move(addresses[0])), .ready = unready || kube::is_ready(*pod)});
  }
  std::vector<kube::EndpointSubset> subsets;
  for (auto& [ports, entries] : by_ports) {
    std::ranges::sort(entries, {},
                      [](const Entry& entry) { return std::tuple(entry.address.ip, entry.address.target_ref->uid); });
    auto& subset = subsets.emplace_back();
    for (const auto& port : ports) subset.ports.push_back(subset_port(port));
    for (auto& entry : entries)
      (entry.ready ? subset.addresses : subset.not_ready_addresses).push_back(std::move(entry.address));
  }
  return subsets;
}

bool truncate(std::vector<kube::EndpointSubset>& subsets) {
  size_t ready = 0, not_ready = 0;
  for (const auto& subset : subsets) {
    ready += subset.addresses.size();
    not_ready += subset.not_ready_addresses.size();
  }
  if (ready + not_ready <= kMostAddresses) return false;
  const bool cut_ready = ready > kMostAddresses;
  const size_t total = cut_ready ? ready : not_ready, most = cut_ready ? kMostAddresses : kMostAddresses - ready;
  size_t left = most;
  for (auto& subset : subsets) {
    auto& list = cut_ready ? subset.addresses : subset.not_ready_addresses;
    const size_t share = std::min(left, (list.size() * most + total - 1) / total);
    list.resize(std::min(list.size(), share));
    if (cut_ready) subset.not_ready_addresses.clear();
    left -= list.size();
  }
  std::erase_if(subsets,
                [](const auto& subset) { return subset.addresses.empty() && subset.not_ready_addresses.empty(); });
  return true;
}

std::optional<kube::Endpoints> plan_endpoints(const kube::Service& service, const std::vector<const kube::Pod*>& pods,
                                              const kube::Endpoints* old) {
  auto wanted = old ? *old : kube::Endpoints{};
  wanted.metadata.name = service.metadata.name;
  wanted.metadata.ns = service.metadata.ns;
  wanted.metadata.labels = service.metadata.labels;
  wanted.metadata.labels.erase(kHeadlessLabel);
  if (!has_cluster_ip(service)) wanted.metadata.labels[kHeadlessLabel] = "";
  wanted.metadata.labels[kEndpointsManagedBy] = kEndpointsController;
  wanted.subsets = plan_subsets(service, pods);
  if (truncate(wanted.subsets))
    wanted.metadata.annotations[kOverCapacity] = "truncated";
  else
    wanted.metadata.annotations.erase(kOverCapacity);
  if (old && wanted.metadata == old->metadata && wanted.subsets == without_revisions(old->subsets)) return std::nullopt;
  return wanted;
}

}  // namespace causeway::control
