#include "dns/compile.h"

#include <algorithm>

namespace causeway::dns {

namespace {

using cluster::EndpointSlice;
using cluster::Model;
using cluster::Service;
using cluster::ServiceType;
using cluster::SliceEndpoint;

template <class Labels>
std::vector<std::pair<std::string, std::string>> pairs(const Labels& labels) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [key, value] : labels) out.emplace_back(std::string(key), std::string(value));
  return out;
}

// Statement 4: the ready endpoints of all slices; those whose readiness nobody said are ready (project()), those that
// terminate are not, and publishNotReadyAddresses comes as ready.
std::vector<Facts::End> ready_ends(const Service& service, const Model& model) {
  std::vector<Facts::End> out;
  for (const EndpointSlice* slice : model.slices_of(service.key)) {
    std::vector<Facts::Port> ports;
    for (const cluster::SlicePort& port : slice->ports) ports.push_back({port.name, port.protocol, port.port});
    std::ranges::sort(ports);
    for (const SliceEndpoint& end : slice->endpoints)
      if (end.ready) out.push_back({end.ip, end.hostname, end.pod, ports});
  }
  return out;
}

Facts of_service(const Key& key, const Service& service, const Model& model) {
  Facts out{.key = key, .headless = service.headless, .labels = pairs(service.labels)};
  if (service.type == ServiceType::ExternalName) {
    // Without a target it is nobody's alias, as with one that is no name.
    out.external = service.external_name.empty() ? "." : std::string(service.external_name);
    return out;
  }
  out.ips.assign(service.cluster_ips.begin(), service.cluster_ips.end());
  for (const cluster::ServicePort& port : service.ports)
    out.ports.push_back({std::string(port.name), port.protocol, port.port});
  out.ends = ready_ends(service, model);
  return out;
}

}  // namespace

bool complete(const Model& model, bool pods) {
  using cluster::Source;
  return model.synced(Source::Services) && model.synced(Source::EndpointSlices) && model.synced(Source::Namespaces) &&
         (!pods || model.synced(Source::Pods));
}

std::optional<Facts> compile_one(const Key& key, const Model& model) {
  switch (key.kind) {
    case Kind::Service: {
      const Service* service = model.service({key.ns, key.name});
      return service ? std::optional(of_service(key, *service, model)) : std::nullopt;
    }
    case Kind::Namespace: {
      const auto found = model.namespaces().find(std::string(key.name));
      if (found == model.namespaces().end()) return std::nullopt;
      return Facts{.key = key, .labels = pairs(found->second.labels)};
    }
    case Kind::Pod: {
      const auto found = model.pods().find({std::string(key.ns), std::string(key.name)});
      // A finished one's address may be another's by now.
      if (found == model.pods().end() || found->second.finished) return std::nullopt;
      if (found->second.addresses.empty()) return std::nullopt;
      return Facts{.key = key, .ips = found->second.addresses};
    }
    case Kind::Import: return std::nullopt;
  }
  return std::nullopt;
}

std::set<Key> keys(const cluster::ChangeSet& changes, const Model& model, bool pods) {
  std::set<Key> out;
  for (const auto& [key, before] : changes.services) out.insert({Kind::Service, key.ns, key.name});
  for (const auto& [key, before] : changes.slices) {
    const EndpointSlice* now = model.slice(key);
    for (const EndpointSlice* slice : {before.get(), now})
      if (slice && !slice->service.empty()) out.insert({Kind::Service, slice->key.ns, slice->service});
  }
  for (const auto& [name, before] : changes.namespaces) out.insert({Kind::Namespace, "", name});
  if (!pods) return out;
  for (const auto& [key, before] : changes.pods) out.insert({Kind::Pod, key.ns, key.name});
  return out;
}

std::set<Key> all_keys(const Model& model, bool pods) {
  std::set<Key> out;
  for (const auto& [key, service] : model.services()) out.insert({Kind::Service, key.ns, key.name});
  for (const auto& [name, ns] : model.namespaces()) out.insert({Kind::Namespace, "", name});
  if (!pods) return out;
  for (const auto& [key, pod] : model.pods()) out.insert({Kind::Pod, key.ns, key.name});
  return out;
}

}  // namespace causeway::dns
