#include "dns/apply_local.h"

namespace causeway::dns {

using netlink::Route;

namespace {

constexpr IfIndex kLoopback{1};

Result<std::map<Ip, Route>> held_routes(netlink::Rtnetlink& net) {
  std::map<Ip, Route> out;
  const netlink::RouteFilter ours{.family = std::nullopt, .table = netlink::kLocalTable, .protocol = kRouteProtocol};
  for (Route& route : TRY(net.routes(ours), "read the local routes"))
    out.emplace(route.destination.address(), std::move(route));
  return out;
}

}  // namespace

Status LocalAddresses::bring(const std::set<Ip>& here, const std::map<Family, Ip>& sources) {
  const std::set<Ip> before = TRY(door_.answering());
  std::set<Ip> stay;
  for (const Ip& ip : before)
    if (here.contains(ip)) stay.insert(ip);
  if (stay != before) TRY(door_.answer(stay));

  const auto held = TRY(held_routes(net_));
  for (const Ip& ip : here) {
    const auto source = sources.find(ip.family());
    const auto from = source == sources.end() ? std::nullopt : std::optional(source->second);
    const auto there = held.find(ip);
    if (there != held.end() && there->second.source == from) continue;
    TRY(net_.apply_one(netlink::PutRoute{{.destination = host_cidr(ip),
                                          .type = netlink::RouteType::Local,
                                          .link = kLoopback,
                                          .table = netlink::kLocalTable,
                                          .protocol = kRouteProtocol,
                                          .source = from}}),
        "{} as an address of this node", ip);
  }
  if (here != stay) TRY(door_.answer(here));
  for (const auto& [ip, route] : held)
    if (!here.contains(ip)) TRY(net_.apply_one(netlink::DeleteRoute{route}), "{} as no address of this node", ip);
  return ok();
}

Status remove_local_addresses(netlink::Rtnetlink& net) {
  for (const auto& [ip, route] : TRY(held_routes(net))) TRY(net.apply_one(netlink::DeleteRoute{route}));
  return ok();
}

}  // namespace causeway::dns
