// What a kube-proxy in mode ipvs leaves besides chains: virtual servers, a dummy device that makes their addresses the
// node's own, and IP sets that its chains look into. nf_conntrack does not translate its connections, IPVS does: so
// virtual server and address stay as long as a connection goes by them, and no new one does.
#pragma once

#include "kernel/conntrack/conntrack.h"
#include "kernel/ipset/ipset.h"
#include "kernel/ipvs/ipvs.h"
#include "kernel/netlink/rtnetlink.h"

namespace causeway::service {

// Its addresses are the virtual servers', and no node's.
inline constexpr const char* kKubeIpvsDevice = "kube-ipvs0";

// Borrowed; all of one node.
struct KubeIpvsDoors {
  netlink::Rtnetlink& net;
  ipvs::Ipvs* ipvs = nullptr;                 // nullptr: this kernel holds no virtual servers
  ipset::IpSets* sets = nullptr;              // nullptr: it has no IP sets
  conntrack::Conntrack* conntrack = nullptr;  // nullptr: what IPVS itself counts is believed
};

// Whether there is anything of it: the device, or one of its sets.
Result<bool> kube_ipvs_left(const KubeIpvsDoors& doors);

struct KubeIpvsRetired {
  size_t servers = 0, addresses = 0;  // removed
  size_t connections = 0;             // that still go by the virtual servers that are left
};
// Its virtual servers get no new connections; those without any go, then the addresses of which none is left, and at
// last the device. Repeat until no connection is left. Others' virtual servers (ours, keepalived's) stay: of
// kube-proxy are those of the device's addresses and those of its sets of node ports.
// A connection counts while IPVS and nf_conntrack both know it: IPVS remembers what somebody else translates now for 15
// minutes, nf_conntrack what has long fallen silent for a day.
Result<KubeIpvsRetired> retire_kube_ipvs(const KubeIpvsDoors& doors);

// A set of kube-proxy's; others' begin with KUBE- too (kube-router's).
bool is_set_of_kube_proxy(std::string_view name);
// Once no chain looks into them. Returns how many there were.
Result<size_t> remove_kube_ipsets(ipset::IpSets& sets);

}  // namespace causeway::service
