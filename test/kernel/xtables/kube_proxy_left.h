// A node as a kube-proxy in mode ipvs left it: its device, sets, chains and virtual servers, written as it writes them.
#pragma once

#include "service/kube_proxy.h"
#include "world_services.h"

namespace causeway::test {

struct LeftByKubeProxy {
  ServiceWorld& w;
  Ip vip;
  uint16_t port, node_port;

  // A Service of this address, with a node port. `endpoints`: of its virtual servers; none where the kernel has no
  // IPVS.
  LeftByKubeProxy(ServiceWorld& world, Ip vip, uint16_t port, uint16_t node_port,
                  const std::vector<Endpoint>& endpoints);
  LeftByKubeProxy(const LeftByKubeProxy&) = delete;
  ~LeftByKubeProxy();

  // What our agent does when it finds that kube-proxy has ended.
  service::KubeProxyRemoved take_away();
  // What there is of it: device, sets, chains, virtual servers that are not ours; "": nothing.
  std::string left();
  // Connections of its virtual server of `vip`, as IPVS counts them.
  uint32_t carried();

 private:
  ipvs::ServiceKey server() const { return {vip, port, uint8_t(service::Protocol::Tcp)}; }
  void leave_chains();

  std::unique_ptr<nftables::Nftables> nft_;
  std::unique_ptr<conntrack::Conntrack> conntrack_;
  std::unique_ptr<ipvs::Ipvs> ipvs_;
};

}  // namespace causeway::test
