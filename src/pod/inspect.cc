#include "pod/inspect.h"

#include <algorithm>

#include "pod/cni_reply.h"
#include "pod/tuning/apply.h"

namespace causeway::pod {
namespace {

using netlink::Rtnetlink;

// Where we were asked for no limit, a later plugin of the list may have set one.
Status check_limit(Rtnetlink& door, IfIndex link, const std::optional<Limit>& limit, const Record& record,
                   std::string_view which) {
  return limit ? check_shaping(door, link, limit, record.mtu, which) : ok();
}

// What a namespace has of one interface.
struct Inside {
  netlink::Link link;
  std::vector<Ip> addresses;
  std::vector<netlink::Route> routes;  // through it, of every table: a later plugin may have moved them to one
  std::vector<netlink::Neighbour> neighbours;
};

Result<Inside> look_inside(Doors& doors, int netns, const Record& record) {
  return netns::call_in(netns, [&]() -> Result<Inside> {
    const std::string& ifname = record.key.ifname;
    auto net = TRY(doors.pod());
    Inside inside{.link = TRY(net->link(ifname)), .addresses = {}, .routes = {}, .neighbours = {}};
    for (const auto& address : TRY(net->addresses()))
      if (address.link == inside.link.index) inside.addresses.push_back(address.ip);
    for (auto& route : TRY(net->routes({.family = {}, .table = 0, .protocol = 0})))
      if (route.link == inside.link.index) inside.routes.push_back(std::move(route));
    for (auto& neighbour : TRY(net->neighbours()))
      if (neighbour.link == inside.link.index) inside.neighbours.push_back(neighbour);
    TRY(check_limit(*net, inside.link.index, record.tuning.bandwidth.egress, record, "egress"));
    TRY(check_sysctls(record.tuning, ifname));
    return inside;
  });
}

bool has_neighbour(const std::vector<netlink::Neighbour>& all, IfIndex link, const Ip& ip, const Mac& mac) {
  return std::ranges::any_of(all, [&](const auto& one) { return one.link == link && one.ip == ip && one.mac == mac; });
}

// The node's end of a link that we made.
Result<netlink::Link> own_end(Rtnetlink& node, const Record& record) {
  auto host = TRY(node.link(host_ifname(record.key)), "the node's end of the link");
  const auto alias = parse_alias(host.alias);
  if (host.group != netlink::kPodGroup || !alias || alias->key != record.key || alias->generation != record.generation)
    return fail(Errc::Conflict, "link {} is not the one that was made for it", host.name);
  if (!host.up) return fail(Errc::Unavailable, "link {} is down", host.name);
  return host;
}

Status check_way_to(Rtnetlink& node, const netlink::Link& host, const Record& record, const Mac& pod_mac) {
  const auto neighbours = TRY(node.neighbours());
  for (const auto& ip : record.addresses) {
    const auto route = TRY(node.route_to(ip), "the node's route to {}", ip);
    if (route.link != host.index)
      return fail(Errc::Conflict, "the node's route to {} leads to link {}, not to {} ({})", ip, route.link, host.name,
                  host.index);
    if (!has_neighbour(neighbours, host.index, ip, pod_mac))
      return fail(Errc::NotFound, "the node has no permanent neighbour {} with MAC {} on {}", ip, pod_mac, host.name);
  }
  return ok();
}

Status check_interface(const Inside& inside, const PrevResult& previous, const std::optional<Mac>& own_mac) {
  const auto& link = inside.link;
  if (!link.up) return fail(Errc::Unavailable, "interface {} of the Pod is down", link.name);
  const auto* told = previous.in_sandbox(link.name);
  const auto mac = told && told->mac ? told->mac : own_mac;
  if (mac && link.mac != *mac)
    return fail(Errc::Conflict, "interface {} has MAC {}, not {}", link.name, link.mac, *mac);
  if (told && told->mtu != 0 && link.mtu != told->mtu)
    return fail(Errc::Conflict, "interface {} has mtu {}, not {}", link.name, link.mtu, told->mtu);
  return ok();
}

// Each address that we gave and the answer still tells of; whether there is a way out by our gateway, where it does.
Status check_addresses(const Inside& inside, const Record& record, const PrevResult& previous) {
  const std::string& name = inside.link.name;
  for (const auto& address : previous.addresses_of(name))
    if (std::ranges::find(record.addresses, address.ip) != record.addresses.end() &&
        std::ranges::find(inside.addresses, address.ip) == inside.addresses.end())
      return fail(Errc::NotFound, "interface {} does not have its address {}", name, address.ip);
  if (record.role != Role::Main) return ok();
  for (const auto& route : previous.routes) {
    if (!route.gateway || *route.gateway != gateway_of(route.gateway->family())) continue;
    const auto same = [&](const auto& one) {
      return one.destination == route.destination && one.gateway == route.gateway;
    };
    if (std::ranges::none_of(inside.routes, same))
      return fail(Errc::NotFound, "interface {} does not have its route {} via {}", name, route.destination,
                  *route.gateway);
    if (!has_neighbour(inside.neighbours, inside.link.index, *route.gateway, gateway_mac()))
      return fail(Errc::NotFound, "interface {} does not have its permanent neighbour {}", name, *route.gateway);
  }
  return ok();
}

}  // namespace

Status check_pod(Doors& doors, Rtnetlink& node, const Record& record, int netns, const PrevResult& previous) {
  const Inside inside = TRY(look_inside(doors, netns, record), "interface {} of the Pod", record.key.ifname);
  TRY(check_interface(inside, previous, record.role == Role::Main ? std::optional(mac_of(record)) : std::nullopt));
  TRY(check_addresses(inside, record, previous));
  if (record.role == Role::Main) {
    const auto host = TRY(own_end(node, record));
    if (inside.link.peer != host.index)
      return fail(Errc::Conflict, "interface {} of the Pod is not the other end of link {}", record.key.ifname,
                  host.name);
    TRY(check_way_to(node, host, record, inside.link.mac));
    return check_limit(node, host.index, record.tuning.bandwidth.ingress, record, "ingress");
  }
  if (record.host_link.empty()) return ok();
  const auto host = TRY(node.link(record.host_link), "the node's end of the link");
  if (!host.up) return fail(Errc::Unavailable, "link {} is down", host.name);
  return check_limit(node, host.index, record.tuning.bandwidth.ingress, record, "ingress");
}

}  // namespace causeway::pod
