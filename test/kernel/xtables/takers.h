// Who of ours serves where a kube-proxy did: one Service, by each --proxy-mode.
#pragma once

#include "service/apply_nft.h"
#include "world_services.h"

namespace causeway::test {

enum class Taker { Nftables, Iptables, Ipvs };

class TakenOver {
 public:
  // The world of the taker's backend: Iptables' for Nftables.
  TakenOver(ServiceWorld& world, Taker taker);
  ~TakenOver();  // nothing of ours is left
  static ServiceWorld& world_of(Taker taker);

  void web(Ip vip, uint16_t port, uint16_t node_port, std::initializer_list<const Pod*> pods, uint16_t to);
  // "": done; else why not.
  std::string bring();

 private:
  ServiceWorld& w_;
  Taker taker_;
  std::unique_ptr<nftables::Nftables> nft_;
  std::unique_ptr<conntrack::Conntrack> conntrack_;
  std::unique_ptr<service::NftApplier> by_nft_;
};

}  // namespace causeway::test
