#include "fabric/desired.h"

namespace causeway::fabric {

void Desired::update(const cluster::ChangeSet& changes, const cluster::Model& model) {
  for (const Key& key : keys(changes, model)) {
    Tables now = compile_one(key, model, options_);
    routes.replace(key, std::move(now.routes));
    peers.replace(key, std::move(now.peers));
    pods.replace(key, std::move(now.pods));
    uplinks.replace(key, std::move(now.uplinks));
    kernel_routes.replace(key, std::move(now.kernel_routes));
    neighbours.replace(key, std::move(now.neighbours));
    hooks.replace(key, std::move(now.hooks));
    tunnels.replace(key, std::move(now.tunnels));
    tunnel_neighbours.replace(key, std::move(now.tunnel_neighbours));
    forwarding.replace(key, std::move(now.forwarding));
    pod_routes.replace(key, std::move(now.pod_routes));
    rules.replace(key, std::move(now.rules));
    masquerade_from.replace(key, std::move(now.masquerade_from));
    masquerade_except_to.replace(key, std::move(now.masquerade_except_to));
    refused.replace(key, std::move(now.refused));
  }
}

Tables Desired::tables() const {
  return {.routes = routes.values(),
          .peers = peers.values(),
          .pods = pods.values(),
          .uplinks = uplinks.values(),
          .kernel_routes = kernel_routes.values(),
          .neighbours = neighbours.values(),
          .hooks = hooks.values(),
          .tunnels = tunnels.values(),
          .tunnel_neighbours = tunnel_neighbours.values(),
          .forwarding = forwarding.values(),
          .pod_routes = pod_routes.values(),
          .rules = rules.values(),
          .masquerade_from = masquerade_from.values(),
          .masquerade_except_to = masquerade_except_to.values(),
          .refused = refused.values()};
}

}  // namespace causeway::fabric
