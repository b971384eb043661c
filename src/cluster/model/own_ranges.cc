#include "cluster/model/own_ranges.h"

#include <algorithm>

namespace causeway::cluster {
namespace {

bool has_own(const NodeFacts& facts, const Ip& ip) {
  return std::ranges::find(facts.addresses, ip) != facts.addresses.end() ||
         std::ranges::find(facts.uplink.addresses, ip, &LinkAddress::ip) != facts.uplink.addresses.end();
}

// Addresses that no host has for itself: RFC 1122 section 3.2.1.3, RFC 1112 section 4. Of 240.0.0.0/4 Linux refuses
// only the last, and some clusters' Pods live there.
bool is_special(const Ip& ip) {
  static const Cidr kThis(Ip::v4(0), 8);
  static const Ip kBroadcast = Ip::v4(0xffffffff);
  return ip.is_unspecified() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || kThis.contains(ip) ||
         ip == kBroadcast;
}

const EndpointSlice* find_api_server(const Model& model) { return model.slice(api_server_slice()); }

bool is_api_server(const Ip& ip, const Model& model, const FixedRanges& fixed) {
  if (std::ranges::find(fixed.api_servers, ip) != fixed.api_servers.end()) return true;
  const EndpointSlice* slice = find_api_server(model);
  return slice && std::ranges::find(slice->endpoints, ip, &SliceEndpoint::ip) != slice->endpoints.end();
}

// As CNI's replies name them (pod/cni_reply.cc): 169.254.1.1 and fe80::1.
const std::array<Ip, 2> kPodGateways{
    Ip::v4(0xa9fe0101), Ip::v6(std::array<uint8_t, 16>{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})};

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
    if (has(service->cluster_ips) || has(service->load_balancer_ips))
      return fmt::format("it is an address of Service {}", key);
  return "";
}

std::string overlapped(const Cidr& prefix, bool on_link, const Model& model, const FixedRanges& fixed) {
  const bool single = prefix.prefix() == prefix.address().bits();
  const auto leads_away = [&](const Ip& ip) {
    return prefix.contains(ip) && (single || !on_link || !model.facts().shares_link(ip));
  };
  for (const Ip& gateway : kPodGateways)
    if (prefix.contains(gateway)) return fmt::format("{}, the gateway of every Pod", gateway);
  for (const std::string& name : model.nodes_overlapping(prefix))
    for (const Cidr& range : model.node(name)->pod_cidrs)
      if (range.overlaps(prefix)) return fmt::format("{}, the Pods of Node {}", range, name);
  for (const auto& [name, object] : model.service_cidrs())
    for (const Cidr& range : object.cidrs)
      if (range.overlaps(prefix)) return fmt::format("{}, Services (ServiceCIDR {})", range, name);
  for (const Cidr& range : fixed.services)
    if (range.overlaps(prefix)) return fmt::format("{}, Services", range);
  for (const std::string& name : model.nodes_in(prefix))
    for (const Ip& ip : model.node(name)->addresses)
      if (leads_away(ip)) return fmt::format("{}, an address of Node {}", ip, name);
  for (const Ip& ip : fixed.api_servers)
    if (leads_away(ip)) return fmt::format("{}, the API server", ip);
  if (const EndpointSlice* slice = find_api_server(model))
    for (const SliceEndpoint& endpoint : slice->endpoints)
      if (leads_away(endpoint.ip)) return fmt::format("{}, the API server", endpoint.ip);
  for (auto at = model.reservations().lower_bound(prefix.address());
       at != model.reservations().end() && prefix.contains(at->first); ++at)
    return fmt::format("{}, reserved for Pod {}", at->first, at->second.pod);
  if (single)
    if (const std::string why = service_address(prefix.address(), model); !why.empty())
      return fmt::format("{}: {}", prefix.address(), why);
  return "";
}

}  // namespace causeway::cluster
