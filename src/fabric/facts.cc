#include "fabric/facts.h"

#include <algorithm>

namespace causeway::fabric {

namespace {

constexpr const char* kKubeIpvsDevice = "kube-ipvs0";  // a kube-proxy's in mode ipvs: addresses of Services

bool is_global(const Ip& ip) {
  return !ip.is_loopback() && !ip.is_link_local() && !ip.is_multicast() && !ip.is_unspecified();
}

Result<netlink::Link> choose(netlink::Rtnetlink& net, const std::vector<netlink::Address>& addresses,
                             const UplinkChoice& choice) {
  if (!choice.device.empty()) return TRY(net.link(choice.device), "--uplink {}", choice.device);
  for (const Ip& ip : choice.addresses)
    for (const netlink::Address& address : addresses) {
      if (address.ip != ip) continue;
      auto link = TRY(net.link(address.link), "the device of {}", ip);
      if (link.kind != "vxlan") return link;  // our own tunnels have the node's addresses too
    }
  for (Family family : {Family::V4, Family::V6})
    for (const netlink::Route& route : TRY(net.routes({.family = family})))
      if (route.destination.prefix() == 0 && route.type == netlink::RouteType::Unicast && route.link != IfIndex{})
        return TRY(net.link(route.link), "the device of the default route");
  std::string wanted;
  for (const Ip& ip : choice.addresses) wanted += fmt::format("{}{}", wanted.empty() ? "" : ", ", ip);
  return fail(Errc::NotFound,
              "no device has an address of this node ({}) and there is no default route: name it with --uplink",
              wanted.empty() ? "none is known" : wanted);
}

}  // namespace

Result<cluster::NodeFacts> observe_facts(netlink::Rtnetlink& net, std::string node, const UplinkChoice& choice) {
  const auto addresses = TRY(net.addresses(), "read the node's addresses");
  const netlink::Link link = TRY(choose(net, addresses, choice));
  cluster::NodeFacts facts{.name = std::move(node)};
  facts.uplink = {.name = link.name, .ifindex = link.index, .mac = link.mac, .mtu = link.mtu, .up = link.up};
  // To the kernel they are its own, so that IPVS sees their packets; nobody reaches the node by them.
  const auto virtual_servers = net.index_of(kKubeIpvsDevice);
  for (const netlink::Address& address : addresses) {
    if (!is_global(address.ip) || (virtual_servers && address.link == *virtual_servers)) continue;
    facts.addresses.push_back(address.ip);
    if (address.link == link.index) facts.uplink.addresses.push_back({address.ip, address.prefix});
  }
  std::ranges::sort(facts.addresses);
  facts.addresses.erase(std::ranges::unique(facts.addresses).begin(), facts.addresses.end());
  std::ranges::sort(facts.uplink.addresses);
  return facts;
}

}  // namespace causeway::fabric
