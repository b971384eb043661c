#include "apps/plane_hand_back.h"

#include <set>

#include "abi/pod.h"
#include "abi/types.h"
#include "async/worker_pool.h"
#include "base/log.h"
#include "datapath/conntrack.h"
#include "datapath/rows.h"
#include "kernel/bpf/pins.h"
#include "kernel/conntrack/conntrack.h"
#include "service/hand_back.h"

namespace causeway::apps {

namespace {

using service::Whose;
using MaybeRows = std::optional<datapath::ConntrackMap>;

constexpr Duration kTryAgainAfter = 5s;
constexpr size_t kToldSingly = 5;  // refused connections

// None: there is no such map, or one of another version, whose rows nobody can read.
template <class Map>
Result<std::optional<Map>> pinned_map(const std::string& pins, const std::string& name) {
  auto pinned = bpf::open_pin(fmt::format("{}/v{}/maps/{}", pins, +abi::ABI_VERSION, name));
  if (!pinned && pinned.error().code() == Errc::NotFound) return std::optional<Map>();
  return std::optional<Map>(TRY(Map::open(bpf::RawMap(TRY(std::move(pinned)), name))));
}
Result<MaybeRows> rows_of(const std::string& pins) { return pinned_map<datapath::ConntrackMap>(pins, "conntrack"); }

struct Parties {
  std::set<Ip> pods, node_addresses;
};
Result<Parties> parties_of(const std::string& pins, netlink::Rtnetlink& net) {
  Parties out;
  if (const auto pods = TRY((pinned_map<bpf::Map<abi::pod_key, abi::pod_value>>(pins, "pods"))))
    TRY(pods->each([&](const auto& key, const auto&) { out.pods.insert(datapath::from_abi(key.addr)); }), "read Pods");
  for (const auto& address : TRY(net.addresses(), "the node's addresses")) out.node_addresses.insert(address.ip);
  return out;
}

Result<service::HandedBack> tell(datapath::ConntrackMap& rows, Whose whose) {
  auto to = TRY(conntrack::open_conntrack());
  return service::hand_back(*to, rows, whose, datapath::monotonic_seconds());
}

// While the programs still translate.
Status tell_most(const Parties& parties, MaybeRows& rows) {
  auto to = TRY(conntrack::open_conntrack());
  TRY(service::forget_unfollowed(*to, parties.pods, parties.node_addresses));
  if (rows) TRY(tell(*rows, Whose::Others), "tell nf_conntrack of connections");
  return ok();
}

void report(const service::HandedBack& told) {
  log::info("plane netfilter carries the packets; {} connections go on", told.known);
  for (size_t i = 0; i < std::min(told.refused.size(), kToldSingly); ++i) log::warning("{}", told.refused[i].message());
  if (told.refused.size() > kToldSingly) log::warning("... and {} more", told.refused.size() - kToldSingly);
}

Status change_hands(const PlaneChange& change, netlink::Rtnetlink& net, Freeze& freeze, MaybeRows& rows) {
  TRY(freeze.become(Freeze::What::Continuing));
  TRY(remove_other_plane(change, net));
  if (rows) report(TRY(tell(*rows, Whose::All), "tell nf_conntrack of connections"));
  return freeze.end();
}

}  // namespace

Result<Freeze> take_over_own(const PlaneChange& change, nftables::Nftables& nft) {
  auto rows = TRY(rows_of(change.pins));
  const auto answering =
      rows ? TRY(service::answering_own(*rows, datapath::monotonic_seconds())) : service::Answering();
  auto freeze = TRY(Freeze::begin(nft, Freeze::What::Continuing, answering));
  if (rows) TRY(tell(*rows, Whose::Node), "tell nf_conntrack of connections");
  TRY(freeze.become(Freeze::What::Nothing));
  return freeze;
}

Task<Status> take_over_from_bpf(Loop& loop, cluster::Feed& feed, const PlaneChange& change, netlink::Rtnetlink& net,
                                Freeze& freeze, const service::Applier* services) {
  CO_TRY(co_await all_in_place(loop, feed, services));
  WorkerPool worker(loop, 1);
  for (;; CO_TRY(co_await loop.sleep(kTryAgainAfter))) {
    const auto rows = std::make_shared<Result<MaybeRows>>(rows_of(change.pins));  // the worker may outlive us
    Status changed = *rows ? ok() : fail(Error(rows->error()));
    auto parties = parties_of(change.pins, net);
    if (!parties) changed = fail(std::move(parties.error()));
    if (changed)
      changed =
          CO_TRY(co_await worker.run([rows, parties = std::move(*parties)] { return tell_most(parties, **rows); }));
    if (changed) changed = change_hands(change, net, freeze, **rows);
    if (changed) co_return ok();
    log::warning("plane netfilter cannot take over yet, and tries again in {} s: {}", kTryAgainAfter / 1s,
                 changed.error().message());
  }
}

}  // namespace causeway::apps
