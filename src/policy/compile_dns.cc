// Cluster DNS as a destination of egress: whichever process answers, it is taken for a Pod that the Service's selector
// selects, as if a Deployment stood behind the Service, with the address of the node that answers.
#include <algorithm>

#include "policy/compile.h"

namespace causeway::policy {

namespace {

constexpr uint16_t kDnsPort = 53;

const cluster::Service* service_of(const std::vector<Ip>& addresses, const cluster::Model& model) {
  for (const Ip& ip : addresses)
    for (const cluster::Service* service : model.services_claiming({ip, 0, Protocol::Tcp}))
      if (std::ranges::find(service->cluster_ips, ip) != service->cluster_ips.end()) return service;
  return nullptr;
}

// What its containers would call the port, the Service does too.
cluster::Pod pod_of(const cluster::Service& service) {
  cluster::Pod out{.key = {std::string(service.key.ns), std::string(service.key.name)}};
  for (const auto& [key, value] : service.selector) out.labels.emplace(key, value);
  if (out.labels.empty()) out.labels = {{"k8s-app", "kube-dns"}};
  for (const cluster::ServicePort& port : service.ports)
    if (port.port == kDnsPort && !port.name.empty())
      out.ports.push_back({std::string(port.name), port.protocol, port.port});
  return out;
}

}  // namespace

bool Compiler::is_about_dns(const cluster::ChangeSet& changes, const cluster::Model& model) const {
  if (options_.dns.empty()) return false;
  if (!changes.services.empty() || !changes.nodes.empty() || !changes.namespaces.empty() || !changes.policies.empty() ||
      !changed_peers_.empty() || !changed_names_.empty() || !fresh_blocks_.empty() || !gone_blocks_.empty())
    return true;
  return std::ranges::any_of(changes.slices, [&](const auto& change) {
    const cluster::EndpointSlice* now = model.slice(change.first);
    const cluster::ServiceKey owner = now ? now->owner() : change.second->owner();
    return owner.ns == dns_pod_.key.ns && owner.name == dns_pod_.key.name;
  });
}

void Compiler::place_dns(const cluster::Model& model) {
  std::map<Ip, Ip> wanted;  // -> the address that it is taken for
  const cluster::Service* service = service_of(options_.dns, model);
  dns_pod_ = service ? pod_of(*service) : cluster::Pod();
  if (service) {
    for (const cluster::EndpointSlice* slice : model.slices_of(service->key))
      if (std::ranges::any_of(slice->ports, [](const auto& port) { return port.port == kDnsPort; }))
        for (const cluster::SliceEndpoint& endpoint : slice->endpoints)
          if (!addresses.find(endpoint.ip)) wanted.emplace(endpoint.ip, endpoint.ip);  // a Pod is what it is
    const cluster::Node* node = model.node(options_.dns_node);
    for (const Ip& ip : options_.dns)
      wanted.insert_or_assign(ip, (node ? node->address(ip.family()) : std::nullopt).value_or(ip));
  }
  Atoms shared;
  if (service) {
    shared = selectors_.matching(dns_pod_, labels_of(model, dns_pod_.key.ns), Role::Peer);
    for (const NamedPort& port : dns_pod_.ports)
      if (sets_of_name_.contains(Name(port.name))) shared.push_back(value_atom(port));
  }
  std::map<Ip, DnsPeer> before = dns.values();
  for (const auto& [ip, as] : wanted) {
    Atoms members = shared;
    for (AtomId list : peer_blocks_.containing(as)) members.push_back(list);
    std::ranges::sort(members);
    dns.put(ip, {.peer = acquire_class(std::move(members)), .as = as});
  }
  for (const auto& [ip, row] : before) {
    if (!wanted.contains(ip)) dns.erase(ip);
    release_class(row.peer);
  }
}

}  // namespace causeway::policy
