#include "control/slice_pack.h"

#include <algorithm>
#include <set>

#include "base/format.h"

namespace causeway::control {
namespace {

bool owned_by(const kube::EndpointSlice& slice, const kube::OwnerReference& owner) {
  return std::ranges::any_of(slice.metadata.owner_references, [&](const auto& one) {
    return one.uid == owner.uid && one.kind == owner.kind && one.api_version == owner.api_version;
  });
}

kube::EndpointSlice new_slice(const SliceOwner& owner, const std::string& address_type,
                              std::vector<kube::EndpointPort> ports) {
  // A generated name has at most 253 characters; the dash is left out when it makes the difference.
  constexpr size_t kLongest = 253;
  kube::EndpointSlice slice;
  slice.metadata.generate_name =
      owner.reference.name.size() < kLongest ? owner.reference.name + "-" : owner.reference.name;
  slice.metadata.ns = owner.ns;
  slice.metadata.labels = owner.labels;
  if (owner.annotations) slice.metadata.annotations = *owner.annotations;
  slice.metadata.owner_references = {owner.reference};
  slice.address_type = address_type;
  slice.ports = std::move(ports);
  return slice;
}

bool same_endpoint(kube::SliceEndpoint a, const kube::SliceEndpoint& b) {
  a.hints = b.hints;
  if (a.target_ref && b.target_ref) a.target_ref->resource_version = b.target_ref->resource_version;
  return a == b;
}

bool metadata_differs(const SliceOwner& owner, const kube::EndpointSlice& slice) {
  if (slice.metadata.labels != owner.labels) return true;
  if (!owner.annotations) return false;
  // The time of the last change is no part of what the owner has.
  auto annotations = slice.metadata.annotations;
  annotations.erase("endpoints.kubernetes.io/last-change-trigger-time");
  return annotations != *owner.annotations;
}

void fill(kube::EndpointSlice& slice, EndpointSet& left, size_t max) {
  while (!left.empty() && slice.endpoints.size() < max)
    slice.endpoints.push_back(std::move(left.extract(left.begin()).mapped()));
}

// The untouched slice that has the least room left once `count` endpoints are in it.
std::vector<kube::EndpointSlice>::iterator best_fit(std::vector<kube::EndpointSlice>& slices, size_t count,
                                                    size_t max) {
  auto best = slices.end();
  for (auto at = slices.begin(); at != slices.end(); ++at)
    if (at->endpoints.size() + count <= max && (best == slices.end() || at->endpoints.size() > best->endpoints.size()))
      best = at;
  return best;
}

// One group of slices: those of one list of ports.
void pack_group(const SliceOwner& owner, const std::string& address_type, std::vector<kube::EndpointSlice> existing,
                EndpointGroup group, SliceSet& result) {
  std::vector<kube::EndpointSlice> update, unchanged;
  auto& left = group.endpoints;
  for (auto& slice : existing) {
    std::vector<kube::SliceEndpoint> kept;
    bool changed = false;
    for (const auto& endpoint : slice.endpoints) {
      const auto wanted = left.find(key_of(endpoint));
      if (wanted == left.end()) continue;
      changed = changed || !same_endpoint(endpoint, wanted->second);
      kept.push_back(std::move(wanted->second));
      left.erase(wanted);
    }
    if (kept.empty() && !slice.endpoints.empty()) {
      result.remove.push_back(std::move(slice));
    } else if (changed || kept.size() != slice.endpoints.size() || metadata_differs(owner, slice)) {
      slice.endpoints = std::move(kept);
      update.push_back(std::move(slice));
    } else {
      unchanged.push_back(std::move(slice));
    }
  }

  std::ranges::sort(update, [](const auto& a, const auto& b) {
    return a.endpoints.size() != b.endpoints.size() ? a.endpoints.size() > b.endpoints.size()
                                                    : a.metadata.name < b.metadata.name;
  });
  for (auto& slice : update) fill(slice, left, owner.max_endpoints);
  while (!left.empty()) {
    auto target =
        left.size() < owner.max_endpoints ? best_fit(unchanged, left.size(), owner.max_endpoints) : unchanged.end();
    if (target != unchanged.end()) {
      update.push_back(std::move(*target));
      unchanged.erase(target);
      for (auto& endpoint : update.back().endpoints) endpoint.hints.reset();
      fill(update.back(), left, owner.max_endpoints);
    } else {
      fill(result.create.emplace_back(new_slice(owner, address_type, group.ports)), left, owner.max_endpoints);
    }
  }
  for (auto& slice : update) {
    slice.metadata.labels = owner.labels;
    if (owner.annotations) slice.metadata.annotations = *owner.annotations;
    result.update.push_back(std::move(slice));
  }
  std::ranges::move(unchanged, std::back_inserter(result.unchanged));
}

}  // namespace

EndpointKey key_of(const kube::SliceEndpoint& endpoint) {
  EndpointKey key{.addresses = endpoint.addresses, .hostname = endpoint.hostname.value_or("")};
  std::ranges::sort(key.addresses);
  if (endpoint.target_ref) {
    key.ns = endpoint.target_ref->ns;
    key.name = endpoint.target_ref->name;
  }
  return key;
}

std::string ports_key(const std::vector<kube::EndpointPort>& ports) {
  std::set<std::string> texts;
  for (const auto& port : ports)
    texts.insert(fmt::format("{}/{}/{}/{}", port.name.value_or(""), port.port ? std::to_string(*port.port) : "*",
                             port.protocol.value_or("TCP"), port.app_protocol.value_or("")));
  std::string key;
  for (const auto& text : texts) key += text + ",";
  return key;
}

SliceSet pack(const SliceOwner& owner, const std::string& address_type, std::vector<kube::EndpointSlice> existing,
              EndpointGroups wanted) {
  SliceSet result;
  const size_t before = existing.size();
  std::erase_if(wanted, [](const auto& entry) { return entry.second.endpoints.empty(); });
  std::map<std::string, std::vector<kube::EndpointSlice>> by_ports;
  for (auto& slice : existing) {
    const auto key = ports_key(slice.ports);
    // Slices of an old Service of the same name are the garbage collector's: not filled, only taken away.
    if (owned_by(slice, owner.reference) && wanted.contains(key))
      by_ports[key].push_back(std::move(slice));
    else
      result.remove.push_back(std::move(slice));
  }
  for (auto& [key, group] : wanted) pack_group(owner, address_type, std::move(by_ports[key]), std::move(group), result);

  if (!owner.placeholder || result.remove.size() != before || !result.create.empty()) return result;
  auto placeholder = new_slice(owner, address_type, {});
  const auto is_placeholder = [&](const kube::EndpointSlice& slice) {
    return slice.endpoints.empty() && slice.ports.empty() && owned_by(slice, owner.reference) &&
           slice.metadata.labels == owner.labels;
  };
  if (result.remove.size() == 1 && is_placeholder(result.remove[0])) {
    result.unchanged.push_back(std::move(result.remove[0]));
    result.remove.clear();
  } else {
    result.create.push_back(std::move(placeholder));
  }
  return result;
}

void reuse_removed(SliceSet& slices, const kube::OwnerReference& owner) {
  std::erase_if(slices.remove, [&](kube::EndpointSlice& removed) {
    if (slices.create.empty() || slices.create.back().address_type != removed.address_type ||
        !owned_by(removed, owner) || removed.metadata.deletion_timestamp)
      return false;
    auto& made = slices.create.back();
    made.metadata.name = removed.metadata.name;
    made.metadata.uid = removed.metadata.uid;
    made.metadata.resource_version = removed.metadata.resource_version;
    made.metadata.generate_name = removed.metadata.generate_name;
    slices.update.push_back(std::move(made));
    slices.create.pop_back();
    return true;
  });
}

}  // namespace causeway::control
