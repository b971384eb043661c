// What of the address space is the cluster's own, whoever asks for it or was promised it: the ways of a node to its API
// server, to the other nodes and to Services. Pure.
#pragma once

#include "cluster/model/model.h"

namespace causeway::cluster {

// What an agent knows of it beside the model.
struct FixedRanges {
  std::vector<Cidr> services;   // by its flag; the API's ServiceCIDRs are in the model
  std::vector<Ip> api_servers;  // that this agent is connected to
  bool operator==(const FixedRanges&) const = default;
};

// "network address", "node's own address" or "broadcast address" of a Node's range: no Pod gets it. "": any other.
// The network address (IPv6: the Subnet-Router anycast address, RFC 4291 section 2.6.1) and IPv4's broadcast are
// refused by peers in other subnets' software though every Pod has a /32; the first host address is kept for the node
// itself (a tunnel device of the netfilter plane needs a source inside the range). Ranges of up to four addresses have
// no room for such manners (RFC 3021 for /31).
std::string_view kept_from_pods(const Cidr& range, const Ip& ip);

// Why no Pod may have this address, also where it is asked for by name or reserved: "it is an address of Node node-1".
// "": one may.
std::string why_no_pods_address(const Ip& ip, const Model& model, const FixedRanges& fixed);

// The EndpointSlice in which kube-apiserver says where it is itself.
const SliceKey& api_server_slice();

// Which Service has it (of its cluster and load balancer addresses; its externalIPs are whatever a tenant writes): "it
// is an address of Service shop/web". "": none. Looks at all of them: for what is asked rarely.
std::string service_address(const Ip& ip, const Model& model);

// What of the cluster's own a route or a subnet of a further network overlaps: "10.244.1.0/24, the Pods of Node
// node-1".
// "": nothing. `on_link`: a subnet, which may be the one that the Nodes stand in themselves: what this node reaches
// there without a router lies beside the Pod's interface as well, so only an address of it counts, not the subnet.
std::string overlapped(const Cidr& prefix, bool on_link, const Model& model, const FixedRanges& fixed);

}  // namespace causeway::cluster
