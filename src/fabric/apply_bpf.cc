#include "fabric/apply_bpf.h"

#include "datapath/rows.h"
#include "fabric/encode.h"
#include "fabric/rows_pass.h"

namespace causeway::fabric {

using cluster::Failure;

BpfApplier::BpfApplier(Options options, BpfDoors doors)
    : options_(options), doors_(doors), desired_(std::move(options)) {}

void BpfApplier::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  // While rows of a former life wait for their source to be complete, a row that appears may be one of them: look
  // again instead of writing what is there.
  if (!nodes_synced_ || !attachments_synced_) observed_ = false;
  // Routes lead to Nodes, and to single addresses that are reserved for a Pod of another one.
  nodes_synced_ = model.synced(cluster::Source::Nodes) && model.synced(cluster::Source::Reservations);
  attachments_synced_ = model.synced(cluster::Source::Attachments);
  desired_.update(changes, model);
  // The kernel drops the routes of a link that goes down and the neighbours of one whose address changes.
  if (changes.facts) observed_ = false;
}

Status BpfApplier::observe() {
  std::map<Cidr, abi::route_value> routes;
  for (const auto& [key, value] : TRY(doors_.routes.dump(), "read map routes"))
    if (key.net == abi::NET_THIS_CLUSTER) routes.emplace(datapath::prefix_of(key), value);
  desired_.routes.compare(
      routes, [&](const Route& row, const abi::route_value& actual) { return encode(row, options_.vni) == actual; });

  std::map<Ip, abi::peer_value> peers;
  for (const auto& [key, value] : TRY(doors_.peers.dump(), "read map peers"))
    peers.emplace(datapath::from_abi(key.addr), value);
  desired_.peers.compare(peers,
                         [](const std::string&, const abi::peer_value& actual) { return actual == abi::peer_value{}; });

  std::map<Ip, abi::pod_value> pods;
  for (const auto& [key, value] : TRY(doors_.pods.dump(), "read map pods"))
    if (key.net == abi::NET_THIS_CLUSTER) pods.emplace(datapath::from_abi(key.addr), value);
  desired_.pods.compare(pods, [](const PodRow& row, const abi::pod_value& actual) { return encode(row) == actual; });

  std::map<IfIndex, abi::uplink_value> uplinks;
  for (const auto& [ifindex, value] : TRY(doors_.uplinks.dump(), "read map uplinks"))
    uplinks.emplace(IfIndex{ifindex}, value);
  desired_.uplinks.compare(uplinks,
                           [](const UplinkRow& row, const abi::uplink_value& actual) { return encode(row) == actual; });

  std::set<IfIndex> partial;
  auto hooks = TRY(doors_.hooks.observe(partial), "see what is attached");
  std::map<IfIndex, std::optional<Hooks>> attached(hooks.begin(), hooks.end());
  for (IfIndex ifindex : partial) attached.emplace(ifindex, std::nullopt);
  desired_.hooks.compare(attached, [](Hooks row, const std::optional<Hooks>& actual) { return row == actual; });

  kernel_routes_.clear();
  netlink::RouteFilter ours{.family = std::nullopt, .table = netlink::kMainTable, .protocol = netlink::kRouteProtocol};
  for (netlink::Route& route : TRY(doors_.net.routes(ours), "read the routes"))
    kernel_routes_.emplace(route.destination, std::move(route));
  desired_.kernel_routes.compare(kernel_routes_, [](const KernelRoute& row, const netlink::Route& actual) {
    return actual.type == netlink::RouteType::Unicast && decode(actual) == row;
  });

  std::map<NeighbourKey, Mac> neighbours;  // only what we would have made
  for (const netlink::Neighbour& entry : TRY(doors_.net.neighbours(), "read the neighbours"))
    if (entry.ip == fabric_gateway(entry.ip.family()).first) neighbours[{entry.link, entry.ip}] = entry.mac;
  desired_.neighbours.compare(neighbours, [](const Mac& row, const Mac& actual) { return row == actual; });
  observed_ = true;
  return ok();
}

struct BpfApplier::Pass : RowsPass {
  explicit Pass(BpfApplier& applier) : RowsPass(applier.writes_), self(applier) {}
  BpfApplier& self;

  // The whole batch at once; row by row only to find out which one failed.
  template <class K, class V, class MapKey, class MapValue, class May, class KeyOf, class ValueOf>
  void map(std::string_view name, Rows<K, V>& rows, bool puts, bpf::Table<MapKey, MapValue>& table, May may_remove,
           KeyOf key_of, ValueOf value_of) {
    each(name, rows, puts, may_remove, [&](const std::vector<K>& keys, const std::vector<const V*>& values) {
      std::vector<Status> results(keys.size());
      if (puts) {
        std::vector<std::pair<MapKey, MapValue>> batch;
        for (size_t i = 0; i < keys.size(); ++i) batch.emplace_back(key_of(keys[i]), value_of(*values[i]));
        if (table.put(batch)) return results;
        for (size_t i = 0; i < keys.size(); ++i) results[i] = table.put(batch[i].first, batch[i].second);
      } else {
        std::vector<MapKey> batch;
        for (const K& key : keys) batch.push_back(key_of(key));
        if (table.remove(batch)) return results;
        for (size_t i = 0; i < keys.size(); ++i) results[i] = table.remove(batch[i]);
      }
      return results;
    });
  }

  void uplinks(bool puts) {
    map(
        "uplink", self.desired_.uplinks, puts, self.doors_.uplinks, [&](auto&) { return self.nodes_synced_; },
        [](IfIndex ifindex) { return static_cast<uint32_t>(ifindex); },
        [](const UplinkRow& row) { return encode(row); });
  }
  void routes(bool puts) {
    map(
        "route", self.desired_.routes, puts, self.doors_.routes, [&](auto&) { return self.nodes_synced_; },
        [](const Cidr& cidr) { return datapath::route_key(cidr); },
        [&](const Route& row) { return encode(row, self.options_.vni); });
  }
  void peers(bool puts) {
    map(
        "peer", self.desired_.peers, puts, self.doors_.peers, [&](auto&) { return self.nodes_synced_; },
        [](const Ip& ip) { return datapath::peer_key(ip); }, [](const std::string&) { return abi::peer_value{}; });
  }
  void pods(bool puts) {
    map(
        "pod", self.desired_.pods, puts, self.doors_.pods, [&](auto&) { return self.attachments_synced_; },
        [](const Ip& ip) { return datapath::pod_key(ip); }, [](const PodRow& row) { return encode(row); });
  }
  void hooks(bool puts) {
    // What an old uplink carries may go when our Node is known, what a Pod's veth carries when the journal was read.
    auto may_remove = [&](IfIndex) { return self.nodes_synced_ && self.attachments_synced_; };
    each("hooks of dev", self.desired_.hooks, puts, may_remove,
         [&](const std::vector<IfIndex>& keys, const std::vector<const Hooks*>& values) {
           std::vector<Status> results;
           for (size_t i = 0; i < keys.size(); ++i)
             results.push_back(values[i] ? self.doors_.hooks.attach(keys[i], *values[i])
                                         : self.doors_.hooks.detach(keys[i]));
           return results;
         });
  }
  void kernel_routes(bool puts) {
    auto may_remove = [&](const Cidr& to) {
      return self.nodes_synced_ && (to.prefix() != to.address().bits() || self.attachments_synced_);
    };
    net("kernel route", self.desired_.kernel_routes, puts, self.doors_.net, may_remove,
        [&](const Cidr& to, const KernelRoute* row) -> MaybeChange {
          if (row) {
            netlink::Route route = encode(to, *row);
            self.kernel_routes_.insert_or_assign(to, route);
            return netlink::PutRoute{std::move(route)};
          }
          netlink::Route route{.destination = to};
          if (auto it = self.kernel_routes_.find(to); it != self.kernel_routes_.end()) {
            route = it->second;
            self.kernel_routes_.erase(it);
          }
          return netlink::DeleteRoute{std::move(route)};
        });
  }
  void neighbours(bool puts) {
    net(
        "neighbour", self.desired_.neighbours, puts, self.doors_.net, [&](auto&) { return self.nodes_synced_; },
        [](const NeighbourKey& key, const Mac* mac) -> MaybeChange {
          if (mac) return netlink::PutNeighbour{{key.ifindex, key.ip, *mac}};
          return netlink::DeleteNeighbour{key.ifindex, key.ip};
        });
  }
};

Task<Result<std::vector<Failure>>> BpfApplier::apply() {
  if (!observed_) CO_TRY(observe(), "observe the kernel");
  Pass pass(*this);
  // What is built on comes first: maps, then the programs that read them, then routes that lead packets there.
  pass.uplinks(true);
  pass.neighbours(true);
  pass.routes(true);
  pass.peers(true);
  pass.pods(true);
  if (held_) co_return std::move(pass.failures);
  pass.hooks(true);
  pass.kernel_routes(true);
  // And the other way round.
  pass.kernel_routes(false);
  pass.hooks(false);
  pass.pods(false);
  pass.peers(false);
  pass.routes(false);
  pass.neighbours(false);
  pass.uplinks(false);
  pass.refused(desired_.refused);
  co_return std::move(pass.failures);
}

}  // namespace causeway::fabric
