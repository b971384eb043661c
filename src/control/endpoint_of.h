// What one Pod is to one Service: an endpoint, on these ports. Pure.
#pragma once

#include <string>
#include <vector>

#include "kube/api/types.h"

namespace causeway::control {

inline constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";

// Somebody else writes the endpoints of ExternalName Services and of those without a selector.
bool has_selected_endpoints(const kube::Service& service);
// It has an address, and it may still answer: neither Succeeded nor Failed. Pods that are being deleted count.
bool may_be_endpoint(const kube::Pod& pod);
// Has a cluster IP of its own.
bool has_cluster_ip(const kube::Service& service);

// "IPv4", "IPv6": the families that the endpoints are listed in. An object of before dual stack has none written down:
// then the family of clusterIP, or both when headless.
std::vector<std::string> address_types(const kube::Service& service);

// The Pod's addresses of this type, in canonical form; stored old forms are read as decimal.
std::vector<std::string> pod_addresses(const kube::Pod& pod, const std::string& address_type);

// The number behind a Service port's targetPort in this Pod: names are looked up in ordinary containers, then in
// sidecars (init containers that restart). Absent: the Pod has no such port.
std::optional<int32_t> target_port(const kube::Pod& pod, const kube::ServicePort& port);
// The Service's ports in this Pod; those that it does not have are left out.
std::vector<kube::EndpointPort> endpoint_ports(const kube::Service& service, const kube::Pod& pod);

// The Pod's name in DNS beneath the Service's, or "": hostname, when its subdomain is the Service.
std::string endpoint_hostname(const kube::Service& service, const kube::Pod& pod);

// `node` is null when it is not known (then the endpoint has no zone). Without addresses of the type: no endpoint.
kube::SliceEndpoint endpoint_of(const kube::Service& service, const kube::Pod& pod, const kube::Node* node,
                                const std::string& address_type);

// Whether a Service that selects the Pod must be looked at.
bool endpoint_changed(const kube::Pod& old, const kube::Pod& now);

}  // namespace causeway::control
