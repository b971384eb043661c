#include "apps/plane_adopt.h"

#include "apps/freeze.h"
#include "apps/kube_proxy_left.h"
#include "apps/netfilter_services.h"
#include "async/worker_pool.h"
#include "base/log.h"
#include "datapath/conntrack.h"
#include "kernel/nftables/nftables.h"
#include "service/adopt.h"
#include "service/take_over.h"

namespace causeway::apps {

namespace {

using service::Whose;

constexpr Duration kTryAgainAfter = 5s;
constexpr Duration kLookForOwnEvery = 60s;

service::AdoptDoors doors_of(datapath::Datapath& maps) {
  return {maps.services(),  maps.backends(),      maps.pods(),  maps.node_addresses(),
          maps.conntrack(), maps.service_marks(), maps.routes()};
}

// nullptr: nothing is tracked.
Result<std::vector<conntrack::Flow>> adopt(conntrack::Conntrack* tracked, datapath::Datapath& maps, Whose whose) {
  if (!tracked) return std::vector<conntrack::Flow>{};
  const auto doors = doors_of(maps);
  return service::adopt_flows(*tracked, TRY(service::read_tables(doors)), doors, datapath::monotonic_seconds(), whose);
}

Task<Status> change_hands(const PlaneChange& change, netlink::Rtnetlink& net, fabric::BpfApplier& fabric,
                          datapath::Datapath& datapath) {
  auto nft = CO_TRY(nftables::open_nftables());
  auto tracked = conntrack::open_conntrack();
  conntrack::Conntrack* from = tracked ? tracked->get() : nullptr;
  const auto freeze = CO_TRY(Freeze::begin(*nft, Freeze::What::New));
  const auto flows = CO_TRY(adopt(from, datapath, Whose::Others));
  fabric.release();
  // Single objects that fail are the feed's to report and to try again.
  const auto failures = CO_TRY(co_await fabric.apply(), "attach the programs");
  for (const auto& failure : failures) log::warning("{}: {}", failure.object, failure.error.message());
  if (from) CO_TRY(service::forget_answered_here(*from, flows, CO_TRY(service::read_tables(doors_of(datapath)))));
  log::info("plane bpf carries the packets; {} connections go on", flows.size());
  co_return remove_other_plane(change, net);
}

// Whose rules they are, and that they are gone, is settled first: what is tracked goes on without any, but for what a
// kube-proxy's IPVS carries: so many connections. Tables of iptables are looked into only where connections tell that
// there is something in them.
Result<size_t> remove_rules(netlink::Rtnetlink& net, nftables::Nftables& nft, bool flows) {
  TRY(remove_other_services(net, nft, ""));
  const auto runs = service::kube_proxy_runs();
  if (!runs)
    log::info("rules of a kube-proxy that ended would be left alone: {}; `kube-proxy --cleanup` removes them",
              runs.error().message());
  if (!runs || *runs) return 0;
  const auto removed = TRY(remove_left_by_kube_proxy(flows));
  for (const std::string& what : removed.what) log::info("removed what kube-proxy left: {}", what);
  return removed.connections;
}

// How many connections go by a kube-proxy's IPVS: not 0, and it is to be called again when they have ended.
Result<size_t> take_over(netlink::Rtnetlink& net, datapath::Datapath& maps, nftables::Nftables& nft,
                         conntrack::Conntrack* tracked, std::optional<Freeze>& following) {
  const auto carried = [&]() -> Result<service::Carried> {
    if (!tracked) return service::Carried();
    return service::carried_flows(*tracked, TRY(service::read_tables(doors_of(maps))), datapath::monotonic_seconds());
  };
  if (!TRY(carried()).flows) return remove_rules(net, nft, false);
  if (!following) following.emplace(TRY(Freeze::begin(nft, Freeze::What::Nothing)));
  if (const size_t by_ipvs = TRY(remove_rules(net, nft, true))) {
    // Those of Pods and of the outside are ours. What the node itself opened meets IPVS before us, until it ends.
    TRY(service::forget_flows(*tracked, TRY(adopt(tracked, maps, Whose::Others))));
    return by_ipvs;
  }
  // An answer that we translate before netfilter has forgotten its flow looks like a connection of its own.
  TRY(following->become(Freeze::What::Continuing, TRY(carried()).own));
  const auto own = TRY(adopt(tracked, maps, Whose::Node)), others = TRY(adopt(tracked, maps, Whose::Others));
  TRY(service::forget_flows(*tracked, others));
  if (const size_t all = own.size() + others.size())
    log::info("{} connections through Services and out of the cluster go on by plane bpf", all);
  TRY(following->become(Freeze::What::Nothing));
  return 0;
}

}  // namespace

Task<Status> take_over_plane(Loop& loop, cluster::Feed& feed, const PlaneChange& change, netlink::Rtnetlink& net,
                             fabric::BpfApplier& fabric, const service::Applier* services,
                             datapath::Datapath& datapath) {
  CO_TRY(co_await all_in_place(loop, feed, services));
  for (;; CO_TRY(co_await loop.sleep(kTryAgainAfter))) {
    const Status changed = co_await change_hands(change, net, fabric, datapath);
    if (changed) co_return ok();
    log::warning("plane bpf cannot take over yet, and tries again in {} s: {}", kTryAgainAfter / 1s,
                 changed.error().message());
  }
}

Task<Status> take_over_services(Loop& loop, cluster::Feed& feed, netlink::Rtnetlink& net, service::Applier& services,
                                datapath::Datapath& datapath) {
  auto nft = nftables::open_nftables();
  if (!nft) co_return ok();                    // a kernel without nf_tables holds no rules
  auto tracked = conntrack::open_conntrack();  // none: nothing is tracked
  const auto translates_own = [maps = &datapath.conntrack()] {
    return service::translates_own(*maps, datapath::monotonic_seconds());
  };
  // While it is there nf_conntrack follows what the node itself sends: a kube-proxy that is started beside us does not
  // balance those connections anew.
  std::optional<Freeze> following;
  if (const auto own = translates_own(); own && *own)
    following.emplace(CO_TRY(Freeze::begin(**nft, Freeze::What::Nothing)));
  WorkerPool worker(loop, 1);  // a large conntrack takes longer than an ADD may wait
  for (;; CO_TRY(co_await loop.sleep(kTryAgainAfter))) {
    CO_TRY(co_await all_in_place(loop, feed, &services));
    const auto runs = service::kube_proxy_runs();
    if (runs && *runs) continue;
    const auto taken = take_over(net, datapath, **nft, tracked ? tracked->get() : nullptr, following);
    if (taken && !*taken) break;
    if (taken)
      CO_TRY(co_await service::take_over_from_kube_proxy({loop, worker, [] { return service::kube_proxy_runs(); },
                                                          [&] { return all_in_place(loop, feed, &services); },
                                                          [] { return remove_left_by_kube_proxy(true); }}));
    else
      log::warning("rules of Services from before could not be removed, and are tried again in {} s: {}",
                   kTryAgainAfter / 1s, taken.error().message());
  }
  for (bool own = true; following && own; CO_TRY(co_await loop.sleep(kLookForOwnEvery))) {
    const auto still = CO_TRY(co_await worker.run(translates_own));
    own = !still || *still;
  }
  if (following) CO_TRY(following->end());
  co_return ok();
}

}  // namespace causeway::apps
