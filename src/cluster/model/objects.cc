#include "cluster/model/objects.h"

#include <tuple>

namespace causeway::cluster {

std::optional<Ip> Node::address(Family family) const {
  for (const Ip& ip : addresses)
    if (ip.family() == family) return ip;
  return std::nullopt;
}

bool older(const Node& a, const Node& b) {
  // A Node without a time is the youngest: a known age beats an unknown one.
  return std::tuple(a.created == 0, a.created, a.name) < std::tuple(b.created == 0, b.created, b.name);
}

std::string to_string(const PodKey& key) { return key.ns + "/" + key.name; }
std::string to_string(const AttachmentKey& key) { return key.container + "/" + key.ifname; }

bool NodeFacts::shares_link(const Ip& ip) const {
  for (const LinkAddress& address : uplink.addresses)
    if (address.ip.family() == ip.family() && address.prefix < ip.bits() && address.subnet().contains(ip)) return true;
  return false;
}

}  // namespace causeway::cluster
