#include "cluster/model/objects.h"

#include <algorithm>
#include <tuple>

namespace causeway::cluster {

std::optional<Ip> Node::address(Family family) const {
  for (const Ip& ip : addresses)
    if (ip.family() == family) return ip;
  return std::nullopt;
}

bool has_address(const Node& node, const Ip& ip) {
  return std::ranges::find(node.addresses, ip) != node.addresses.end() ||
         std::ranges::find(node.others, ip) != node.others.end();
}

bool older(const Node& a, const Node& b) {
  // A Node without a time is the youngest: a known age beats an unknown one.
  return std::tuple(a.created == 0, a.created, a.name) < std::tuple(b.created == 0, b.created, b.name);
}

std::string to_string(const PodKey& key) { return key.ns + "/" + key.name; }
std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::Tcp: return "tcp";
    case Protocol::Udp: return "udp";
    case Protocol::Sctp: return "sctp";
  }
  __builtin_unreachable();
}

std::string to_string(const HostPort& port) {
  return fmt::format("{}:{}/{}{}", port.port, port.container_port, port.protocol,
                     port.host_ip ? "@" + to_string(*port.host_ip) : "");
}

std::string to_string(const HostPortClaim& claim) {
  return fmt::format("{} {}", claim.protocol, Endpoint{claim.ip, claim.port});
}

std::vector<HostPortClaim> claims(const Attachment& attachment) {
  std::vector<HostPortClaim> all;
  for (const Ip& ip : attachment.addresses) {
    const Ip every = ip.is_v4() ? Ip() : Ip::v6(std::array<uint8_t, 16>{});
    for (const HostPort& port : attachment.host_ports)
      if (!port.host_ip || port.host_ip->family() == ip.family())
        all.push_back({port.protocol, port.host_ip.value_or(every), port.port});
  }
  return all;
}

std::string to_string(const AttachmentKey& key) { return key.container + "/" + key.ifname; }

bool NodeFacts::shares_link(const Ip& ip) const {
  for (const LinkAddress& address : uplink.addresses)
    if (address.ip.family() == ip.family() && address.prefix < ip.bits() && address.subnet().contains(ip)) return true;
  return false;
}

}  // namespace causeway::cluster
