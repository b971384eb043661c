#include "service/desired.h"

namespace causeway::service {

void Desired::update(const cluster::ChangeSet& changes, const cluster::Model& model) {
  ranges_complete_ = model.synced(cluster::Source::ServiceCidrs);
  std::set<Key> affected = keys(changes, model);
  if (!complete_ && service::complete(model)) {
    complete_ = true;
    affected.merge(all_keys(model));
  }
  for (const Key& key : affected)
    if (complete_ || !std::holds_alternative<cluster::ServiceKey>(key)) replace(key, compile_one(key, model, options_));
}

void Desired::replace(const Key& key, Tables now) {
  frontends.replace(key, std::move(now.frontends));
  ports.replace(key, std::move(now.ports));
  addresses.replace(key, std::move(now.addresses));
  ranges.replace(key, std::move(now.ranges));
  node_addresses.replace(key, std::move(now.node_addresses));
  health_checks.replace(key, std::move(now.health_checks));
  probes.replace(key, std::move(now.probes));
  clients.replace(key, std::move(now.clients));
  refused.replace(key, std::move(now.refused));
}

Tables Desired::tables() const {
  return {.frontends = frontends.values(),
          .ports = ports.values(),
          .addresses = addresses.values(),
          .ranges = ranges.values(),
          .node_addresses = node_addresses.values(),
          .health_checks = health_checks.values(),
          .probes = probes.values(),
          .clients = clients.values(),
          .refused = refused.values()};
}

}  // namespace causeway::service
