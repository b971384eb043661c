#include "service/compile_endpoints.h"

#include <algorithm>

namespace causeway::service {

namespace {

using cluster::EndpointSlice;
using cluster::Model;
using cluster::SliceEndpoint;

struct Candidate {
  Endpoint at;
  const SliceEndpoint* from;
  size_t order;  // of equals the first one counts
  bool healthy = true;

  bool local(const Model& model) const { return !from->node.empty() && from->node == model.facts().name; }
  bool falls_back() const { return from->serving && from->terminating; }  // KEP-1669
};

// Why no packet is sent there; "" if it may be.
std::string_view unreachable(const Ip& ip) {
  if (ip.is_unspecified()) return "an unspecified";
  if (ip.is_loopback()) return "a loopback";
  if (ip.is_link_local()) return "a link-local";
  if (ip.is_multicast()) return "a multicast";
  return "";
}

// Of two endpoints with one address (it was given to a new Pod) the one that stays wins (kubernetes PR 135593).
int worth(const SliceEndpoint& endpoint) {
  return (endpoint.terminating ? 0 : 4) + (endpoint.serving ? 2 : 0) + (endpoint.ready ? 1 : 0);
}

std::vector<Candidate> candidates_of(const cluster::Service& service, const cluster::ServicePort& port, Family family,
                                     const Model& model, std::vector<std::string>& refused) {
  std::vector<Candidate> out;
  const auto& unhealthy = model.unhealthy(service.key);
  for (const EndpointSlice* slice : balanced_slices(service.key, model)) {
    if (slice->family != family) continue;
    for (const cluster::SlicePort& to : slice->ports) {
      if (to.name != port.name || to.protocol != port.protocol) continue;
      for (const SliceEndpoint& endpoint : slice->endpoints) {
        if (const auto why = unreachable(endpoint.ip); !why.empty()) {
          refused.push_back(
              fmt::format("endpoint {} of EndpointSlice {} is {} address", endpoint.ip, slice->key.name, why));
          continue;
        }
        const Endpoint at{endpoint.ip, to.port};
        out.push_back({at, &endpoint, out.size(), unhealthy.empty() || !unhealthy.contains(at)});
      }
    }
  }
  std::ranges::sort(out, [](const Candidate& a, const Candidate& b) {
    if (a.at != b.at) return a.at < b.at;
    const int x = worth(*a.from), y = worth(*b.from);
    return x != y ? x > y : a.order < b.order;
  });
  const auto same = [](const Candidate& a, const Candidate& b) { return a.at == b.at; };
  out.erase(std::ranges::unique(out, same).begin(), out.end());
  return out;
}

// The endpoints that topology allows here: by node hints, else by zone hints, where every ready endpoint has them and
// one is for us; else all (KEP-2433, KEP-4444, KEP-3015).
enum class Topology { None, Node, Zone };

bool hinted(const Candidate& candidate, Topology topology, const Model& model) {
  const auto has = [](const std::vector<Name>& names, std::string_view name) {
    return std::ranges::any_of(names, [&](const Name& one) { return one == name; });
  };
  const auto& hints = candidate.from->hints;
  switch (topology) {
    case Topology::None: return true;
    case Topology::Node: return hints && has(hints->nodes, model.facts().name);
    case Topology::Zone: return hints && model.self() && has(hints->zones, model.self()->zone);
  }
  return true;
}

Topology topology_of(const std::vector<Candidate>& candidates, const Model& model) {
  bool any = false, all_nodes = true, all_zones = true, our_node = false, our_zone = false;
  for (const Candidate& candidate : candidates) {
    if (!candidate.from->ready) continue;
    any = true;
    const auto* hints = candidate.from->hints.get();
    all_nodes &= hints && !hints->nodes.empty();
    all_zones &= hints && !hints->zones.empty();
    if (!hints) break;
    our_node |= hinted(candidate, Topology::Node, model);
    our_zone |= hinted(candidate, Topology::Zone, model);
  }
  if (any && all_nodes && our_node) return Topology::Node;
  if (any && all_zones && our_zone) return Topology::Zone;
  return Topology::None;
}

// Marks as `*member` the first of these that there is any of: every group is a list of those that `in` allows.
template <class... Groups>
bool choose(std::vector<Backend>& backends, bool Backend::* member, const std::vector<const Candidate*>& of,
            Groups... groups) {
  const auto one = [&](auto in) {
    bool found = false;
    for (size_t i = 0; i < of.size(); ++i)
      if (in(*of[i])) found = backends[i].*member = true;
    return found;
  };
  return (one(groups) || ...);
}

}  // namespace

std::vector<const EndpointSlice*> balanced_slices(const cluster::ServiceKey& key, const Model& model) {
  auto slices = model.slices_of(key);
  std::erase_if(slices, [](const EndpointSlice* slice) { return slice->left_to_others; });
  return slices;
}

Endpoints endpoints_of(const cluster::Service& service, const cluster::ServicePort& port, Family family, PoolsUsed use,
                       bool load, const Model& model, std::vector<std::string>& refused) {
  Endpoints out;
  const auto candidates = candidates_of(service, port, family, model, refused);
  std::vector<const Candidate*> of;  // beside backends
  for (const Candidate& candidate : candidates) {
    const SliceEndpoint& from = *candidate.from;
    if (!from.ready && !from.serving) continue;
    Backend backend{.at = candidate.at, .node = from.node, .local = candidate.local(model), .weight = from.weight};
    if (const auto* node = load ? model.node(std::string(from.node)) : nullptr) backend.load = node->load;
    out.backends.push_back(std::move(backend));
    of.push_back(&candidate);
    out.any |= from.ready || candidate.falls_back();
    if (from.ready) out.ready.push_back(candidate.at);
  }
  const auto ready = [](const Candidate& c) { return c.from->ready; };
  const auto healthy = [](const Candidate& c) { return c.from->ready && c.healthy; };
  const auto falls_back = [](const Candidate& c) { return c.falls_back(); };
  // Where all are found unhealthy, our probes are more likely wrong than all of them: then they count for nothing.
  if (use.cluster) {
    const Topology topology = topology_of(candidates, model);
    const auto here = [&](const Candidate& c) { return hinted(c, topology, model); };
    const auto others = [&](const Candidate& c) {
      return use.node_last && healthy(c) && !(model.self() && cluster::has_address(*model.self(), c.at.ip));
    };
    out.in_cluster_pool =
        choose(out.backends, &Backend::cluster_pool, of, others) ||
        choose(
            out.backends, &Backend::cluster_pool, of, [&](const Candidate& c) { return healthy(c) && here(c); },
            healthy, [&](const Candidate& c) { return ready(c) && here(c); }, falls_back);
  }
  if (use.local) {
    const auto local = [&](auto in) { return [&model, in](const Candidate& c) { return c.local(model) && in(c); }; };
    out.in_local_pool = choose(out.backends, &Backend::local_pool, of, local(healthy), local(ready), local(falls_back));
  }
  return out;
}

PoolsUsed pools_used(const cluster::Service& service, const cluster::ServicePort& port) {
  const bool external = port.node_port || !service.external_ips.empty() || !service.load_balancer_ips.empty();
  return {.cluster = !service.internal_local || external,
          .local = service.internal_local || (external && service.external_local)};
}

namespace {

std::string hints_of(const SliceEndpoint& endpoint, Topology topology) {
  const auto& names = topology == Topology::Node ? endpoint.hints->nodes : endpoint.hints->zones;
  std::string out = topology == Topology::Node ? "hinted for node" : "hinted for zone";
  for (size_t i = 0; i < names.size(); ++i) out += fmt::format("{}{}", i ? ", " : " ", names[i]);
  return out;
}

// Of a candidate that may serve, but not now.
std::string why_waiting(const Candidate& candidate, Topology topology, const Model& model) {
  if (!candidate.from->ready) return candidate.from->terminating ? "terminating, while others are ready" : "not ready";
  if (!candidate.healthy) return "its health check fails";
  if (!hinted(candidate, topology, model)) return hints_of(*candidate.from, topology);
  return "others are preferred";
}

}  // namespace

std::vector<LeftOut> left_out(const cluster::Service& service, const cluster::ServicePort& port, Family family,
                              const Model& model) {
  std::vector<LeftOut> out;
  std::vector<std::string> refused;
  const PoolsUsed use = pools_used(service, port);
  const auto backends = endpoints_of(service, port, family, use, false, model, refused).backends;
  const auto candidates = candidates_of(service, port, family, model, refused);
  const Topology topology = topology_of(candidates, model);
  for (const Candidate& candidate : candidates) {
    const SliceEndpoint& from = *candidate.from;
    const auto tell = [&](std::string why) { out.push_back({candidate.at, from.node, std::move(why)}); };
    const auto backend = std::ranges::lower_bound(backends, candidate.at, {}, &Backend::at);
    if (backend == backends.end() || backend->at != candidate.at) {
      tell(from.terminating ? "terminating, and serves no more" : "not ready");
      continue;
    }
    if (use.cluster && !backend->cluster_pool) {
      tell(why_waiting(candidate, topology, model));
      continue;
    }
    if (!use.local || backend->local_pool) continue;
    const std::string_view policy =
        service.internal_local
            ? service.external_local && use.cluster ? "internal and externalTrafficPolicy" : "internalTrafficPolicy"
            : "externalTrafficPolicy";
    tell(fmt::format("{} Local: {}", policy,
                     candidate.local(model) ? why_waiting(candidate, Topology::None, model)
                     : from.node.empty()    ? "its node is unknown"
                                            : "on another node"));
  }
  for (const EndpointSlice* slice : model.slices_of(service.key))
    for (const cluster::SlicePort& to : slice->ports) {
      if (slice->family != family || to.name != port.name || to.protocol != port.protocol) continue;
      for (const SliceEndpoint& endpoint : slice->endpoints) {
        const Endpoint at{endpoint.ip, to.port};
        if (slice->left_to_others) {
          out.push_back({at, endpoint.node,
                         fmt::format("EndpointSlice {}: its label service.kubernetes.io/headless leaves it to others",
                                     slice->key.name)});
          continue;
        }
        const auto chosen = std::ranges::lower_bound(candidates, at, {}, &Candidate::at);
        if (chosen == candidates.end() || chosen->at != at)
          out.push_back({at, endpoint.node, fmt::format("{} address", unreachable(endpoint.ip))});
        else if (chosen->from != &endpoint && !(*chosen->from == endpoint))
          out.push_back(
              {at, endpoint.node, fmt::format("EndpointSlice {}: another one has this address", slice->key.name)});
      }
    }
  return out;
}

uint32_t local_ready(const cluster::ServiceKey& key, const Model& model) {
  std::set<Ip> v4, v6;
  for (const EndpointSlice* slice : balanced_slices(key, model))
    for (const SliceEndpoint& endpoint : slice->endpoints)
      if (endpoint.ready && !endpoint.node.empty() && endpoint.node == model.facts().name)
        (slice->family == Family::V4 ? v4 : v6).insert(endpoint.ip);
  return static_cast<uint32_t>(std::max(v4.size(), v6.size()));
}

}  // namespace causeway::service
