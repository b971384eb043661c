// From the objects of the API to those of the model. Pure. What cannot be read is left out; a Node, a Service,
// an EndpointSlice and a policy say so in `problem`.
#pragma once

#include "cluster/model/policies.h"
#include "cluster/model/services.h"
#include "kube/api/causeway.h"
#include "kube/api/cluster_policy.h"
#include "kube/api/types.h"

namespace causeway::cluster {

Node project(const kube::Node& node);
Pod project(const kube::Pod& pod);
Namespace project(const kube::Namespace& ns);
Policy project(const kube::NetworkPolicy& policy);
Policy project(const kube::ClusterNetworkPolicy& policy);
Service project(const kube::Service& service);
// `pod_names`: what DNS may call endpoints without a hostname; there may be 250,000 of them, so nobody else keeps them.
EndpointSlice project(const kube::EndpointSlice& slice, bool pod_names = false);
ServiceCidr project(const kube::ServiceCidr& cidr);
// Invalid: its address cannot be read; nobody gets such a one, so it is as if it were not there.
Result<Reservation> project(const kube::AddressReservation& reservation);

// Addresses and prefixes as objects of older clusters may hold them: leading zeros, IPv4-mapped IPv6, host bits
// (KEP-4858: writers are strict, readers accept what is stored, and read it as decimal). An IPv4-mapped prefix of 96
// bits or more is the IPv4 prefix that is 96 shorter (Go's net.IPNet); a shorter one is of IPv6 and contains no IPv4.
Result<Ip> parse_stored_ip(std::string_view text);
Result<Cidr> parse_stored_cidr(std::string_view text);

}  // namespace causeway::cluster
