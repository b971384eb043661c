#include "apps/kube_proxy_left.h"

#include <unistd.h>

namespace causeway::apps {

Result<service::KubeProxyRemoved> remove_left_by_kube_proxy(bool look) {
  const auto nft = TRY(nftables::open_nftables());
  const auto net = TRY(netlink::open_rtnetlink());
  const auto sets = ipset::open_ipsets();
  const auto tracked = conntrack::open_conntrack();
  std::unique_ptr<ipvs::Ipvs> ipvs;
  // Asking a kernel that has not loaded it would load it.
  if (::access("/proc/net/ip_vs", F_OK) == 0) ipvs = TRY(ipvs::open_ipvs(), "look for virtual servers of kube-proxy");
  const service::KubeIpvsDoors by_ipvs{*net, ipvs.get(), sets ? sets->get() : nullptr,
                                       tracked ? tracked->get() : nullptr};
  std::unique_ptr<xtables::Xtables> xtables;
  if (look || TRY(service::kube_ipvs_left(by_ipvs)))
    if (auto opened = xtables::open_xtables()) xtables = std::move(*opened);  // not installed: there are no such rules
  return service::remove_kube_proxy({*nft, xtables.get(), by_ipvs});
}

}  // namespace causeway::apps
