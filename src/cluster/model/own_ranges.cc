#include "cluster/model/own_ranges.h"

#include <algorithm>

namespace causeway::cluster {
namespace {

bool has_own(const NodeFacts& facts, const Ip& ip) {
  return std::ranges::find(facts.addresses, ip) != facts.addresses.end() ||
         std::ranges::find(facts.uplink.addresses, ip, &LinkAddress::ip) != facts.uplink.addresses.end();
}

// Addresses that no host has for itself: RFC 1122 section 3.2.1.3, RFC 1112 section 4.
bool is_special(const Ip& ip) {
  static const Cidr kThis(Ip::v4(0), 8), kLater(Ip::v4(0xf0000000), 4);
  return ip.is_unspecified() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || kThis.contains(ip) ||
         kLater.contains(ip);
}

bool is_api_server(const Ip& ip, const Model& model, const FixedRanges& fixed) {
  if (std::ranges::find(fixed.api_servers, ip) != fixed.api_servers.end()) return true;
  const EndpointSlice* slice = model.slice(api_server_slice());
  return slice && std::ranges::find(slice->endpoints, ip, &SliceEndpoint::ip) != slice->endpoints.end();
}

std::string service_range(const Ip& ip, const Model& model, const FixedRanges& fixed) {
  for (const auto& [name, object] : model.service_cidrs())
    for (const Cidr& cidr : object.cidrs)
      if (cidr.contains(ip)) return fmt::format("it is inside of the Service range {} (ServiceCIDR {})", cidr, name);
  for (const Cidr& cidr : fixed.services)
    if (cidr.contains(ip)) return fmt::format("it is inside of the Service range {}", cidr);
  return "";
}

}  // namespace

const SliceKey& api_server_slice() {
  static const SliceKey kKey{"default", "kubernetes"};
  return kKey;
}

std::string_view kept_from_pods(const Cidr& range, const Ip& ip) {
  if (range.size() <= 4 || !range.contains(ip)) return "";
  if (ip == range.address()) return "network address";
  if (ip == range.address().plus(1)) return "node's own address";
  if (ip.is_v4() && ip == range.address().plus(range.size() - 1)) return "broadcast address";
  return "";
}

std::string why_no_pods_address(const Ip& ip, const Model& model, const FixedRanges& fixed) {
  if (is_special(ip)) return "it is none that a host can have for itself";
  if (const auto nodes = model.nodes_at(ip); !nodes.empty())
    return fmt::format("it is an address of Node {}", *nodes.begin());
  if (has_own(model.facts(), ip)) return fmt::format("it is an address of this node, {}", model.facts().name);
  if (is_api_server(ip, model, fixed)) return "it is the API server's";
  if (auto why = service_range(ip, model, fixed); !why.empty()) return why;
  for (const std::string& name : model.nodes_overlapping(host_cidr(ip)))
    for (const Cidr& range : model.node(name)->pod_cidrs)
      if (const auto use = kept_from_pods(range, ip); !use.empty())
        return fmt::format("it is the {} of {}, the range of Node {}", use, range, name);
  return "";
}

std::string service_address(const Ip& ip, const Model& model) {
  const auto has = [&](const auto& list) { return std::ranges::find(list, ip) != list.end(); };
  for (const auto& [key, service] : model.services())
    if (has(service->cluster_ips) || has(service->external_ips) || has(service->load_balancer_ips))
      return fmt::format("it is an address of Service {}", key);
  return "";
}

}  // namespace causeway::cluster
