#include "lab/underlay.h"

#include "kernel/netlink/rtnetlink.h"
#include "kernel/netns/netns.h"

namespace causeway::lab {
namespace {

using namespace netlink;

bool has_v6(const Plan& plan) { return plan.spec.ip_family != "ipv4"; }

// For the namespace that the calling thread is in: its devices, which come later, have their link-local addresses at
// once. While one is being checked for duplicates (a second, or two) a router asks for no neighbour of forwarded
// packets.
Status without_duplicate_detection() {
  TRY(netns::write_sysctl("ipv6/conf/all/accept_dad", "0"));
  return netns::write_sysctl("ipv6/conf/default/accept_dad", "0");
}

Status put_addresses(Rtnetlink& net, const std::string& device, const std::vector<std::pair<Ip, int>>& addresses) {
  const auto link = TRY(net.link(LinkRef(device)));
  std::vector<Change> changes;
  for (const auto& [address, prefix] : addresses)
    changes.push_back(PutAddress{{.link = link.index, .ip = address, .prefix = prefix, .nodad = true}});
  return net.apply_all(changes);
}

}  // namespace

Status wire_router(int router_netns, const Plan& plan) {
  TRY(netns::run_in(router_netns,
                    [&]() -> Status {
                      TRY(netns::write_sysctl("ipv4/ip_forward", "1"));
                      // The subnets' router never steers a host past itself: the nodes' routes are what is tested.
                      TRY(netns::write_sysctl("ipv4/conf/all/send_redirects", "0"));
                      TRY(netns::write_sysctl("ipv4/conf/default/send_redirects", "0"));
                      if (!has_v6(plan)) return ok();
                      TRY(without_duplicate_detection());
                      return netns::write_sysctl("ipv6/conf/all/forwarding", "1");
                    }),
      "router");
  auto net = TRY(open_rtnetlink_in(router_netns));
  for (const RouterPort& port : plan.router) {
    if (!port.bridge) continue;
    if (!net->link(LinkRef(port.device)))
      TRY(net->apply_one(CreateBridge{.name = port.device}), "bridge {}", port.device);
    TRY(net->apply_one(SetLink{.link = port.device, .up = true}), "bridge {}", port.device);
    TRY(put_addresses(*net, port.device, port.addresses), "bridge {}", port.device);
  }
  return ok();
}

Status wire_space(int router_netns, int space_netns, const Wire& wire, const Plan& plan) {
  TRY(netns::run_in(space_netns,
                    [&]() -> Status {
                      // Addresses and routes come from the plan alone.
                      if (!has_v6(plan)) return ok();
                      TRY(netns::write_sysctl("ipv6/conf/all/accept_ra", "0"));
                      TRY(netns::write_sysctl("ipv6/conf/default/accept_ra", "0"));
                      return without_duplicate_detection();
                    }),
      "{}", wire.space);
  auto router = TRY(open_rtnetlink_in(router_netns));
  auto space = TRY(open_rtnetlink_in(space_netns));
  TRY(router->apply_one(DeleteLink{wire.port}), "port {}", wire.port);
  TRY(router->apply_one(
          CreateVeth{.link = {.name = wire.port}, .peer = {.name = wire.device, .netns_fd = space_netns}}),
      "wire of {}", wire.space);
  SetLink port{.link = wire.port, .up = true};
  if (!wire.bridge.empty()) port.master = TRY(router->link(LinkRef(wire.bridge))).index;
  TRY(router->apply_one(port), "port {}", wire.port);
  for (const RouterPort& own : plan.router)
    if (!own.bridge && own.device == wire.port)
      TRY(put_addresses(*router, wire.port, own.addresses), "port {}", wire.port);
  TRY(space->apply_one(SetLink{.link = wire.device, .up = true}), "wire of {}", wire.space);
  TRY(put_addresses(*space, wire.device, wire.addresses), "wire of {}", wire.space);
  const auto link = TRY(space->link(LinkRef(wire.device)));
  for (const Ip& gateway : wire.gateways)
    // kRouteProtocol marks the agent's own routes, which it may remove: this one is the machine's (3 is RTPROT_BOOT).
    TRY(space->apply_one(PutRoute{{.destination = Cidr(gateway.is_v4() ? Ip() : *Ip::parse("::"), 0),
                                   .gateway = gateway,
                                   .link = link.index,
                                   .protocol = 3}}),
        "default route of {}", wire.space);
  return ok();
}

}  // namespace causeway::lab
