#include "apps/plane_adopt.h"

#include "apps/netfilter_services.h"
#include "base/log.h"
#include "datapath/conntrack.h"
#include "kernel/nftables/nftables.h"
#include "kernel/xtables/xtables.h"
#include "service/adopt.h"
#include "service/kube_proxy.h"

namespace causeway::apps {

namespace {

constexpr Duration kLookEvery = 5s;

Status take_over(netlink::Rtnetlink& net, datapath::Datapath& maps, nftables::Nftables& nft,
                 conntrack::Conntrack* tracked) {
  const service::AdoptDoors doors{maps.services(),       maps.backends(),  maps.pods(),
                                  maps.node_addresses(), maps.conntrack(), maps.service_marks()};
  std::vector<conntrack::Flow> flows;
  if (tracked)
    flows = TRY(service::adopt_flows(*tracked, TRY(service::read_tables(doors)), doors, datapath::monotonic_seconds()));
  if (!flows.empty()) log::info("{} connections through Services go on by plane bpf", flows.size());
  TRY(remove_other_services(net, nft, ""));
  // Looking into tables of iptables makes them, and with them hooks that every packet of the node pays for: only where
  // connections tell that there are some.
  std::unique_ptr<xtables::Xtables> xtables;
  if (!flows.empty())
    if (auto opened = xtables::open_xtables()) xtables = std::move(*opened);
  if (const auto runs = service::kube_proxy_runs(); !runs)
    log::info("rules of a kube-proxy that ended would be left alone: {}; `kube-proxy --cleanup` removes them",
              runs.error().message());
  else if (!*runs)
    for (const std::string& what : TRY(service::remove_kube_proxy(nft, xtables.get())))
      log::info("removed what kube-proxy left: {}", what);
  return tracked ? service::forget_flows(*tracked, flows) : ok();
}

}  // namespace

Task<Status> take_over_services(Loop& loop, netlink::Rtnetlink& net, service::Applier& services,
                                datapath::Datapath& datapath) {
  auto nft = nftables::open_nftables();
  if (!nft) co_return ok();                    // a kernel without nf_tables holds no rules
  auto tracked = conntrack::open_conntrack();  // none: nothing is tracked
  for (;; CO_TRY(co_await loop.sleep(kLookEvery))) {
    if (!services.desired().complete()) continue;
    const auto runs = service::kube_proxy_runs();
    if (runs && *runs) continue;
    const auto differences = services.differences();
    if (!differences || !differences->empty()) continue;
    const Status taken = take_over(net, datapath, **nft, tracked ? tracked->get() : nullptr);
    if (taken) co_return ok();
    log::warning("rules of Services from before could not be removed, and are tried again in {} s: {}", kLookEvery / 1s,
                 taken.error().message());
  }
}

}  // namespace causeway::apps
