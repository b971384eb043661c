#include "fabric/apply_nft.h"

#include "fabric/encode.h"
#include "fabric/rows_pass.h"

namespace causeway::fabric {

using cluster::Failure;

namespace {

netlink::Rule rule_of(const Cidr& from) { return {.from = from, .table = kPodTable, .priority = kPodRulePriority}; }

bool same(const netlink::Route& wanted, const netlink::Route& actual) {
  return wanted.type == actual.type && wanted.link == actual.link && wanted.gateway == actual.gateway &&
         wanted.mtu == actual.mtu && wanted.source == actual.source;
}

}  // namespace

NftApplier::NftApplier(Options options, NftDoors doors)
    : options_(options),
      doors_(doors),
      desired_(options),
      tunnels_(doors.net, std::move(doors.sysctl)),
      ruleset_(doors.nft, std::move(options)) {}

void NftApplier::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  // While rows of a former life wait for their source to be complete, a row that appears may be one of them: look
  // again instead of writing what is there.
  if (!nodes_synced_ || !attachments_synced_) observed_ = false;
  // Routes lead to Nodes, and to single addresses that are reserved for a Pod of another one.
  nodes_synced_ = model.synced(cluster::Source::Nodes) && model.synced(cluster::Source::Reservations);
  attachments_synced_ = model.synced(cluster::Source::Attachments);
  desired_.update(changes, model);
  // The kernel drops the routes of a link that goes down.
  if (changes.facts) observed_ = false;
}

Result<netlink::Route> NftApplier::route_of(const Cidr& to, const KernelRoute& row, uint32_t table) const {
  const IfIndex tunnel = row.tunnel ? tunnels_.index(*row.tunnel) : IfIndex{};
  if (row.tunnel && tunnel == IfIndex{}) return fail(Errc::NotFound, "there is no {}", tunnel_device(*row.tunnel));
  netlink::Route route = encode(to, row, tunnel);
  route.table = table;
  return route;
}

Status NftApplier::observe_paths() {
  auto routes = [&](uint32_t table, Rows<Cidr, KernelRoute>& rows, std::map<Cidr, netlink::Route>& actual) -> Status {
    actual.clear();
    const netlink::RouteFilter ours{.family = std::nullopt, .table = table, .protocol = netlink::kRouteProtocol};
    for (netlink::Route& route : TRY(doors_.net.routes(ours), "read the routes"))
      actual.emplace(route.destination, std::move(route));
    std::map<Cidr, bool> right;
    for (const auto& [to, route] : actual) {
      const auto* row = rows.find(to);
      const auto wanted = row ? route_of(to, row->value, table) : fail(Errc::NotFound, "no row");
      right[to] = wanted && same(*wanted, route);
    }
    rows.compare(right, [](const KernelRoute&, bool equal) { return equal; });
    return ok();
  };
  TRY(routes(netlink::kMainTable, desired_.kernel_routes, kernel_routes_));
  TRY(routes(kPodTable, desired_.pod_routes, pod_routes_));

  std::map<TunnelNeighbourKey, Mac> neighbours;
  for (const netlink::Neighbour& entry : TRY(doors_.net.neighbours(), "read the neighbours"))
    if (auto outer = tunnels_.outer_of(entry.link)) neighbours[{*outer, entry.ip}] = entry.mac;
  desired_.tunnel_neighbours.compare(neighbours, [](const Mac& row, const Mac& actual) { return row == actual; });

  forwarding_.clear();
  for (Family outer : {Family::V4, Family::V6})
    if (const IfIndex tunnel = tunnels_.index(outer); tunnel != IfIndex{})
      for (const netlink::Forwarding& entry : TRY(doors_.net.forwarding(tunnel), "read {}", tunnel_device(outer)))
        forwarding_[{outer, entry.mac}] = entry.vtep;
  desired_.forwarding.compare(forwarding_, [](const Ip& row, const Ip& actual) { return row == actual; });
  return ok();
}

Status NftApplier::observe() {
  const auto tunnels = TRY(tunnels_.observe(), "read the tunnels");
  desired_.tunnels.compare(tunnels, [](const TunnelRow& row, const TunnelRow& actual) { return row == actual; });

  rules_.clear();
  std::map<Cidr, bool> right;
  for (const netlink::Rule& rule : TRY(doors_.net.rules(netlink::kRouteProtocol), "read the rules")) {
    rules_[rule.from] = rule;
    right[rule.from] = rule == rule_of(rule.from);
  }
  desired_.rules.compare(right, [](Present, bool equal) { return equal; });

  TRY(observe_paths());
  writes_ += TRY(ruleset_.observe_and_apply(desired_, {.nodes = nodes_synced_, .attachments = attachments_synced_}));
  observed_ = true;
  return ok();
}

bool NftApplier::tunnels_intact() {
  if (!observed_ || !desired_.tunnels.dirty().empty()) return true;  // looked at, or written, anyway
  const auto actual = tunnels_.observe();
  return actual && *actual == desired_.tunnels.values();
}

struct NftApplier::Pass : RowsPass {
  explicit Pass(NftApplier& applier) : RowsPass(applier.writes_), self(applier) {}
  NftApplier& self;

  auto when_nodes_are_known() {
    return [this](const auto&) { return self.nodes_synced_; };
  }

  // Whether a device was made or changed.
  bool tunnels(bool puts) {
    const size_t before = self.desired_.tunnels.dirty().size();
    each("tunnel", self.desired_.tunnels, puts, when_nodes_are_known(),
         [&](const std::vector<Family>& keys, const std::vector<const TunnelRow*>& rows) {
           std::vector<Status> results;
           for (size_t i = 0; i < keys.size(); ++i)
             results.push_back(rows[i] ? self.tunnels_.put(keys[i], *rows[i]) : self.tunnels_.remove(keys[i]));
           return results;
         });
    return self.desired_.tunnels.dirty().size() != before;
  }

  void routes(std::string_view name, bool puts, uint32_t table, Rows<Cidr, KernelRoute>& rows,
              std::map<Cidr, netlink::Route>& actual) {
    auto may_remove = [&](const Cidr& to) {
      const bool pod = table == netlink::kMainTable && to.prefix() == to.address().bits();
      return self.nodes_synced_ && (!pod || self.attachments_synced_);
    };
    net(name, rows, puts, self.doors_.net, may_remove, [&](const Cidr& to, const KernelRoute* row) -> MaybeChange {
      if (row) {
        netlink::Route route = TRY(self.route_of(to, *row, table));
        actual.insert_or_assign(to, route);
        return netlink::PutRoute{std::move(route)};
      }
      netlink::Route route{.destination = to, .table = table};
      if (auto it = actual.find(to); it != actual.end()) {
        route = it->second;
        actual.erase(it);
      }
      return netlink::DeleteRoute{std::move(route)};
    });
  }
  void kernel_routes(bool puts) {
    routes("kernel route", puts, netlink::kMainTable, self.desired_.kernel_routes, self.kernel_routes_);
  }
  void pod_routes(bool puts) { routes("route of Pods", puts, kPodTable, self.desired_.pod_routes, self.pod_routes_); }

  void rules(bool puts) {
    net("rule", self.desired_.rules, puts, self.doors_.net, when_nodes_are_known(),
        [&](const Cidr& from, const Present* row) -> MaybeChange {
          auto actual = self.rules_.find(from);
          if (!row) return netlink::DeleteRule{actual == self.rules_.end() ? rule_of(from) : actual->second};
          // One of ours with another table or place: two rules of one prefix would both count.
          if (actual != self.rules_.end() && actual->second != rule_of(from))
            TRY(self.doors_.net.apply_one(netlink::DeleteRule{actual->second}));
          return netlink::PutRule{rule_of(from)};
        });
  }

  Result<IfIndex> tunnel(Family outer) const {
    const IfIndex index = self.tunnels_.index(outer);
    if (index == IfIndex{}) return fail(Errc::NotFound, "there is no {}", tunnel_device(outer));
    return index;
  }
  void neighbours(bool puts) {
    net("neighbour", self.desired_.tunnel_neighbours, puts, self.doors_.net, when_nodes_are_known(),
        [&](const TunnelNeighbourKey& key, const Mac* mac) -> MaybeChange {
          if (mac) return netlink::PutNeighbour{{TRY(tunnel(key.outer)), key.ip, *mac}};
          if (auto link = tunnel(key.outer)) return netlink::DeleteNeighbour{*link, key.ip};
          return std::nullopt;  // it went with its device
        });
  }
  void forwarding(bool puts) {
    net("forwarding", self.desired_.forwarding, puts, self.doors_.net, when_nodes_are_known(),
        [&](const ForwardingKey& key, const Ip* vtep) -> MaybeChange {
          if (vtep) {
            self.forwarding_[key] = *vtep;
            return netlink::PutForwarding{{TRY(tunnel(key.outer)), key.mac, *vtep}};
          }
          auto was = self.forwarding_.extract(key);
          auto link = tunnel(key.outer);
          if (!was || !link) return std::nullopt;
          return netlink::DeleteForwarding{{*link, key.mac, was.mapped()}};
        });
  }
};

Task<Result<std::vector<Failure>>> NftApplier::apply() {
  if (!observed_) CO_TRY(observe(), "observe the kernel");
  Pass pass(*this);
  // Whose addresses are right and who is masqueraded, before the routes that let packets pass; it goes in one
  // transaction, removals and all.
  auto written = ruleset_.apply(desired_);
  if (!written) observed_ = false;  // the kernel does not hold what we thought
  writes_ += CO_TRY(std::move(written));
  if (pass.tunnels(true)) CO_TRY(observe_paths(), "observe the kernel");
  pass.neighbours(true);
  pass.forwarding(true);
  pass.kernel_routes(true);
  pass.pod_routes(true);
  pass.rules(true);
  // And the other way round.
  pass.rules(false);
  pass.pod_routes(false);
  pass.kernel_routes(false);
  pass.forwarding(false);
  pass.neighbours(false);
  pass.tunnels(false);
  pass.refused(desired_.refused);
  co_return std::move(pass.failures);
}

}  // namespace causeway::fabric
