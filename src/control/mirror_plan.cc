#include "control/mirror_plan.h"

#include <algorithm>

#include "base/ip.h"
#include "control/endpoint_of.h"
#include "control/slice_plan.h"
#include "control/trigger_time.h"

namespace causeway::control {
namespace {

// By address type, then by ports.
using Wanted = std::map<std::string, EndpointGroups>;

std::vector<kube::EndpointPort> slice_ports(const kube::EndpointSubset& subset) {
  std::vector<kube::EndpointPort> ports;
  for (const auto& port : subset.ports)
    ports.push_back({.name = port.name,
                     .protocol = port.protocol.empty() ? "TCP" : port.protocol,
                     .port = port.port,
                     .app_protocol = port.app_protocol});
  return ports;
}

bool add(Wanted& wanted, const std::vector<kube::EndpointPort>& ports, const kube::EndpointAddress& address,
         bool ready) {
  kube::Pod form;  // reads old forms of addresses as everywhere
  form.status.pod_ip = address.ip;
  for (const std::string type : {"IPv4", "IPv6"}) {
    auto addresses = pod_addresses(form, type);
    if (addresses.empty()) continue;
    kube::SliceEndpoint endpoint{.addresses = std::move(addresses), .conditions = {.ready = ready}};
    if (!address.hostname.empty()) endpoint.hostname = address.hostname;
    endpoint.target_ref = address.target_ref;
    endpoint.node_name = address.node_name;
    auto& group = wanted[type][ports_key(ports)];
    group.ports = ports;
    group.endpoints.insert_or_assign(key_of(endpoint), std::move(endpoint));
    return true;
  }
  return false;
}

SliceOwner owner_of(const kube::Endpoints& endpoints) {
  SliceOwner owner{.reference = {.api_version = "v1",
                                 .kind = "Endpoints",
                                 .name = endpoints.metadata.name,
                                 .uid = endpoints.metadata.uid,
                                 .controller = true,
                                 .block_owner_deletion = true},
                   .ns = endpoints.metadata.ns,
                   .labels = endpoints.metadata.labels,
                   .annotations = endpoints.metadata.annotations,
                   .max_endpoints = kMostMirrored,
                   .placeholder = false};
  owner.labels[kServiceNameLabel] = endpoints.metadata.name;
  owner.labels[kManagedByLabel] = kMirrorController;
  owner.annotations->erase(kTriggerTime);
  owner.annotations->erase("kubectl.kubernetes.io/last-applied-configuration");
  return owner;
}

}  // namespace

bool is_mirrored(const kube::Endpoints& endpoints, const kube::Service* service) {
  if (!service || (service->spec.selector && !service->spec.selector->empty())) return false;
  const auto skip = endpoints.metadata.labels.find("endpointslice.kubernetes.io/skip-mirror");
  if (skip != endpoints.metadata.labels.end() && skip->second == "true") return false;
  return !endpoints.metadata.annotations.contains("control-plane.alpha.kubernetes.io/leader");
}

MirrorPlan plan_mirror(const kube::Endpoints* endpoints, std::vector<kube::EndpointSlice> existing) {
  MirrorPlan plan;
  if (!endpoints) {
    plan.slices.remove = std::move(existing);
    return plan;
  }
  Wanted wanted;
  for (const auto& subset : endpoints->subsets) {
    const auto ports = slice_ports(subset);
    size_t added = 0;
    for (const bool ready : {true, false})
      for (const auto& address : ready ? subset.addresses : subset.not_ready_addresses) {
        if (added == kMostMirrored)
          ++plan.surplus;
        else if (add(wanted, ports, address, ready))
          ++added;
        else
          ++plan.invalid;
      }
  }
  const auto owner = owner_of(*endpoints);
  for (const std::string type : {"IPv4", "IPv6"}) {
    std::vector<kube::EndpointSlice> of_type;
    for (auto& slice : existing)
      if (slice.address_type == type) of_type.push_back(std::move(slice));
    auto slices = pack(owner, type, std::move(of_type), std::move(wanted[type]));
    std::ranges::move(slices.create, std::back_inserter(plan.slices.create));
    std::ranges::move(slices.update, std::back_inserter(plan.slices.update));
    std::ranges::move(slices.remove, std::back_inserter(plan.slices.remove));
    std::ranges::move(slices.unchanged, std::back_inserter(plan.slices.unchanged));
  }
  reuse_removed(plan.slices, owner.reference);
  return plan;
}

}  // namespace causeway::control
