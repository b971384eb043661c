#include "takers.h"

#include "kernel/nftables/diff.h"

namespace causeway::test {

using namespace service;

ServiceWorld& TakenOver::world_of(Taker taker) {
  return ServiceWorld::shared(taker == Taker::Ipvs ? XtBackend::Ipvs : XtBackend::Iptables);
}

TakenOver::TakenOver(ServiceWorld& world, Taker taker) : w_(world), taker_(taker) {
  In in(w_.node.ns);
  nft_ = w_.value(nftables::open_nftables());
  conntrack_ = w_.value(conntrack::open_conntrack());
  w_.reset();
  // Its rules come behind those that are there already.
  (void)run_until_done(w_.loop, w_.rules->bring(XtRules()));
  if (w_.virtual_services) {
    (void)w_.virtual_services->bring({});
    w_.virtual_services->forget();
  }
  if (taker != Taker::Nftables) return;
  by_nft_ = std::make_unique<NftApplier>(Options(), NftDoors{*nft_, *conntrack_, netns::write_sysctl});
  by_nft_->set_complete();
}

TakenOver::~TakenOver() {
  In in(w_.node.ns);
  if (const auto observed = nft_->observe(nft::kSection))
    if (const auto removal = nftables::removal(*observed); !removal.empty()) (void)nft_->apply(removal);
  w_.reset();
  (void)w_.bring();
}

void TakenOver::web(Ip vip, uint16_t port, uint16_t node_port, std::initializer_list<const Pod*> pods, uint16_t to) {
  const PortId id{"default", "web", "", vip.family()};
  constexpr Side kBalance{Verdict::Balance, Pool::Cluster, false}, kMasquerade{Verdict::Balance, Pool::Cluster, true};
  constexpr Side kDrop{Verdict::Drop, Pool::Cluster, false};
  w_.serve(id, pods, to);
  w_.tables.frontends[{vip, port, Protocol::Tcp}] = {id, Kind::ClusterIp, kBalance, kDrop, {}};
  w_.tables.frontends[{vip.is_v4() ? Ip() : w_.address("::"), node_port, Protocol::Tcp}] = {
      id, Kind::NodePort, kBalance, kMasquerade, {}};
  w_.tables.addresses[vip] = {"default", "web"};
}

std::string TakenOver::bring() {
  if (taker_ != Taker::Nftables) {
    const std::string done = w_.bring();
    return done.starts_with("error") ? done : "";
  }
  In in(w_.node.ns);
  by_nft_->rows().replace(SelfKey{}, w_.tables);
  const auto failures = run_until_done(w_.loop, by_nft_->apply());
  if (!failures) return failures.error().message();
  return failures->empty() ? "" : failures->front().error.message();
}

}  // namespace causeway::test
