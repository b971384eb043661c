#include "kernel/ipset/decode.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#include "kernel/nftables/attributes.h"

namespace causeway::ipset {
namespace {

using nftables::Attributes;

// NFPROTO_*: linux/netfilter.h and netinet/in.h cannot be read together.
constexpr uint8_t kProtocolV4 = 2, kProtocolV6 = 10;

constexpr Type kTypes[] = {Type::Ip, Type::Net, Type::IpPort, Type::IpPortIp, Type::IpPortNet, Type::Port};

std::optional<Cidr> cidr_of(const Attributes<IPSET_ATTR_ADT_MAX + 1>& a, size_t ip_type, size_t cidr_type) {
  const Attributes<IPSET_ATTR_IPADDR_MAX + 1> ip(a.bytes(ip_type));
  const auto v4 = ip.bytes(IPSET_ATTR_IPADDR_IPV4), v6 = ip.bytes(IPSET_ATTR_IPADDR_IPV6);
  Ip address;
  if (v4.size() == 4)
    address = Ip::v4(std::span<const uint8_t, 4>(reinterpret_cast<const uint8_t*>(v4.data()), 4));
  else if (v6.size() == 16)
    address = Ip::v6(std::span<const uint8_t, 16>(reinterpret_cast<const uint8_t*>(v6.data()), 16));
  else
    return std::nullopt;
  const int prefix = a.has(cidr_type) ? a.u8(cidr_type) : address.bits();
  if (prefix > address.bits()) return std::nullopt;
  return Cidr(address, prefix);
}

std::optional<Element> element_of(std::string_view bytes, const Set& set) {
  const Attributes<IPSET_ATTR_ADT_MAX + 1> a(bytes);
  if (set.type == Type::Port) {
    if (!a.has(IPSET_ATTR_PORT)) return std::nullopt;
    return Element{.port = a.u16(IPSET_ATTR_PORT)};
  }
  const auto net = cidr_of(a, IPSET_ATTR_IP, IPSET_ATTR_CIDR);
  if (!net || net->family() != set.family) return std::nullopt;
  Element element{.net = *net};
  if (set.type == Type::Ip || set.type == Type::Net) return element;
  element.port = a.u16(IPSET_ATTR_PORT);
  element.protocol = a.u8(IPSET_ATTR_PROTO);
  if (set.type == Type::IpPort) return element;
  element.other = cidr_of(a, IPSET_ATTR_IP2, IPSET_ATTR_CIDR2);
  if (!element.other) return std::nullopt;
  return element;
}

std::optional<Set> header_of(const Attributes<IPSET_ATTR_CMD_MAX + 1>& a) {
  const std::string name = a.text(IPSET_ATTR_TYPENAME);
  const uint8_t family = a.u8(IPSET_ATTR_FAMILY);
  for (const Type type : kTypes)
    if (to_string(type) == name && (type == Type::Port || family == kProtocolV4 || family == kProtocolV6))
      return Set{type, family == kProtocolV6 ? Family::V6 : Family::V4,
                 Attributes<IPSET_ATTR_CREATE_MAX + 1>(a.bytes(IPSET_ATTR_DATA)).u32(IPSET_ATTR_TIMEOUT)};
  return std::nullopt;
}

std::string_view name_of(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_SCTP: return "sctp";
    default: return "other";
  }
}

std::string text(const Cidr& cidr) {
  return cidr.prefix() == cidr.address().bits() ? to_string(cidr.address()) : to_string(cidr);
}

}  // namespace

std::string_view to_string(Type type) {
  switch (type) {
    case Type::Ip: return "hash:ip";
    case Type::Net: return "hash:net";
    case Type::IpPort: return "hash:ip,port";
    case Type::IpPortIp: return "hash:ip,port,ip";
    case Type::IpPortNet: return "hash:ip,port,net";
    case Type::Port: return "bitmap:port";
  }
  return "";
}

std::string to_string(const Element& element) {
  // A set of ports knows neither addresses nor protocols.
  if (element.port && !element.protocol) return fmt::format("{}", element.port);
  std::string out = text(element.net);
  if (element.protocol) out += fmt::format(",{}:{}", name_of(element.protocol), element.port);
  if (element.other) out += "," + text(*element.other);
  return out;
}

std::string to_string(const Change& change) {
  if (const auto* c = std::get_if<CreateSet>(&change))
    return fmt::format("create set {} {} {}{}", c->name, c->set.type, c->set.family,
                       c->set.timeout ? fmt::format(" timeout {}", c->set.timeout) : "");
  if (const auto* c = std::get_if<DestroySet>(&change)) return fmt::format("destroy set {}", c->name);
  if (const auto* c = std::get_if<AddElements>(&change))
    return fmt::format("add {} elements to set {}", c->elements.size(), c->name);
  const auto& c = std::get<DeleteElements>(change);
  return fmt::format("delete {} elements of set {}", c.elements.size(), c.name);
}

std::optional<SetMessage> decode_set(const nlmsghdr* message, const std::optional<Set>& known) {
  if (message->nlmsg_type != (NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST)) return std::nullopt;
  const Attributes<IPSET_ATTR_CMD_MAX + 1> a(nftables::body_of(message));
  if (!a.has(IPSET_ATTR_SETNAME)) return std::nullopt;
  SetMessage found{.name = a.text(IPSET_ATTR_SETNAME), .header = a.has(IPSET_ATTR_TYPENAME), .set = {}, .elements = {}};
  if (found.header) found.set = header_of(a);
  const auto& set = found.header ? found.set : known;
  if (!set || set->timeout) return found;
  nftables::each_attribute(a.bytes(IPSET_ATTR_ADT), [&](const nlattr* each) {
    if (auto element = element_of(nftables::payload(each), *set)) found.elements.insert(*element);
  });
  return found;
}

}  // namespace causeway::ipset
