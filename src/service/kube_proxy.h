// Taking over from kube-proxy: what one that ended left in the kernel, and removing it. Connections that it translated
// need none of it: nf_conntrack remembers their translation for as long as there is any chain of type nat. Those that
// IPVS carries for it do (kube_proxy_ipvs.h).
#pragma once

#include "kernel/nftables/nftables.h"
#include "kernel/xtables/xtables.h"
#include "service/kube_proxy_ipvs.h"

namespace causeway::service {

// A chain of kube-proxy's modes iptables and ipvs; kubelet's own (KUBE-FIREWALL ...) are none.
bool is_of_kube_proxy(std::string_view chain);
// Pure: what iptables-restore --noflush takes to remove its chains and the rules that lead there; "": there are none.
std::string removal_of_kube_proxy(const std::string& name, const xtables::Table& table);

// Whether one runs in our network namespace, and not only its remains (a zombie). Those of other nodes on this machine
// are not counted. Unsupported: processes of the node are not to be seen from here. `proc`: a procfs.
Result<bool> kube_proxy_runs(const std::string& proc = "/proc");

struct KubeProxyDoors {
  nftables::Nftables& nft;
  xtables::Xtables* xtables = nullptr;  // nullptr: nobody looks into tables of iptables
  KubeIpvsDoors ipvs;
};
struct KubeProxyRemoved {
  std::vector<std::string> what;  // for people
  // That go by its virtual servers. Not 0: call again, what carries them is still there, and so are its chains: they
  // guard what else listens at the virtual servers' addresses.
  size_t connections = 0;
};
// Removes its tables and chains, one transaction for each table; before them its virtual servers, behind them its sets.
Result<KubeProxyRemoved> remove_kube_proxy(const KubeProxyDoors& doors);

}  // namespace causeway::service
