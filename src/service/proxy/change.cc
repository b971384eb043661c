#include "service/proxy/watched.h"

namespace causeway::service::proxy {

std::optional<Change> change_of(const cluster::ChangeSet& changes, const cluster::Model& model) {
  if (changes.services.empty() && changes.slices.empty() && changes.service_cidrs.empty() && !changes.facts &&
      !changes.synced)
    return std::nullopt;
  Change out{.services = changes.services.size(), .endpoints = changes.slices.size()};
  for (const auto& [key, before] : changes.slices)
    if (const cluster::EndpointSlice* slice = model.slice(key); slice && slice->triggered != 0)
      out.triggers.emplace_back(slice->family, WallTime(Duration(slice->triggered)));
  return out;
}

}  // namespace causeway::service::proxy
