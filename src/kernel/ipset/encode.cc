#include "kernel/ipset/encode.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kernel/nftables/message.h"

namespace causeway::ipset {
namespace {

using nftables::Writer;

// NFPROTO_*: linux/netfilter.h and netinet/in.h cannot be read together.
constexpr uint8_t kProtocolNone = 0, kProtocolV4 = 2, kProtocolV6 = 10;

constexpr uint16_t kNetOrder = NLA_F_NET_BYTEORDER;
// Understood by every kernel since 4.x; what later revisions brought are options that we do not use.
constexpr uint8_t kRevision = 1;

void begin(Writer& out, uint8_t command, uint16_t flags, uint32_t sequence, const std::string& name) {
  out.begin(uint16_t(NFNL_SUBSYS_IPSET << 8 | command), uint16_t(NLM_F_ACK | flags), sequence, AF_INET, 0);
  out.u8(IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL);
  out.text(IPSET_ATTR_SETNAME, name);
}

void put_ip(Writer& out, uint16_t type, const Ip& ip) {
  const size_t nest = out.open(type);
  out.bytes(uint16_t((ip.is_v4() ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6) | kNetOrder),
            {reinterpret_cast<const char*>(ip.bytes().data()), ip.bytes().size()});
  out.close(nest);
}

bool has_port(Type type) { return type == Type::IpPort || type == Type::IpPortIp || type == Type::IpPortNet; }

void put_port(Writer& out, uint16_t type, uint16_t number) {
  const char port[]{char(number >> 8), char(number)};
  out.bytes(uint16_t(type | kNetOrder), {port, sizeof port});
}

Status put_element(Writer& out, const Set& set, const Element& element) {
  if (set.type == Type::Port) {
    const size_t data = out.open(IPSET_ATTR_DATA);
    put_port(out, IPSET_ATTR_PORT, element.port);
    out.close(data);
    return ok();
  }
  const Cidr& net = element.net;
  const bool third = set.type == Type::IpPortIp || set.type == Type::IpPortNet;
  if (net.family() != set.family || (element.other && element.other->family() != set.family) ||
      third != element.other.has_value() || has_port(set.type) != (element.protocol != 0) ||
      (set.type != Type::Net && net.prefix() != net.address().bits()) ||
      (set.type == Type::IpPortIp && element.other->prefix() != net.address().bits()))
    return fail(Errc::Invalid, "{} is no element of a set of type {} ({})", element, to_string(set.type), set.family);
  if (net.prefix() == 0 || (element.other && element.other->prefix() == 0))
    return fail(Errc::Invalid, "{}: a set holds no prefix of length 0; its two halves, it does", element);
  const size_t data = out.open(IPSET_ATTR_DATA);
  put_ip(out, IPSET_ATTR_IP, net.address());
  if (set.type == Type::Net) out.u8(IPSET_ATTR_CIDR, uint8_t(net.prefix()));
  if (has_port(set.type)) {
    put_port(out, IPSET_ATTR_PORT, element.port);
    out.u8(IPSET_ATTR_PROTO, element.protocol);
  }
  if (element.other) put_ip(out, IPSET_ATTR_IP2, element.other->address());
  if (set.type == Type::IpPortNet) out.u8(IPSET_ATTR_CIDR2, uint8_t(element.other->prefix()));
  out.close(data);
  return ok();
}

std::string create(const CreateSet& change, uint32_t sequence) {
  Writer out;
  begin(out, IPSET_CMD_CREATE, NLM_F_CREATE, sequence, change.name);
  out.text(IPSET_ATTR_TYPENAME, to_string(change.set.type));
  out.u8(IPSET_ATTR_REVISION, kRevision);
  const bool ports = change.set.type == Type::Port;
  out.u8(IPSET_ATTR_FAMILY, ports ? kProtocolNone : change.set.family == Family::V4 ? kProtocolV4 : kProtocolV6);
  const size_t data = out.open(IPSET_ATTR_DATA);
  if (ports) {
    put_port(out, IPSET_ATTR_PORT, 0);
    put_port(out, IPSET_ATTR_PORT_TO, 65535);
  }
  if (change.set.timeout) out.u32(uint16_t(IPSET_ATTR_TIMEOUT | kNetOrder), change.set.timeout);
  if (!ports) out.u32(uint16_t(IPSET_ATTR_MAXELEM | kNetOrder), kMaxElements);
  out.close(data);
  out.end();
  return out.take();
}

template <class Elements>
Result<std::vector<std::string>> elements_of(const Elements& change, uint8_t command,
                                             const std::function<uint32_t()>& next_sequence) {
  std::vector<std::string> messages;
  for (size_t at = 0; at < change.elements.size();) {
    Writer out;
    begin(out, command, 0, next_sequence(), change.name);
    // The kernel wants a line number beside several elements, for its complaints.
    out.u32(uint16_t(IPSET_ATTR_LINENO | kNetOrder), 1);
    const size_t all = out.open(IPSET_ATTR_ADT);
    for (size_t n = 0; n < kElementsInMessage && at < change.elements.size(); ++n, ++at)
      TRY(put_element(out, change.set, change.elements[at]), "set {}", change.name);
    out.close(all);
    out.end();
    messages.push_back(out.take());
  }
  return messages;
}

std::string_view words_of(int error) {
  switch (error) {
    case IPSET_ERR_FIND_TYPE: return "the kernel has no set of this type: load its module ip_set_hash_*";
    case IPSET_ERR_MAX_SETS: return "there are as many sets as the kernel allows (ip_set's max_sets)";
    case IPSET_ERR_BUSY:
    case IPSET_ERR_REFERENCED: return "a rule uses it";
    case IPSET_ERR_TYPE_MISMATCH: return "it is there with another type";
    case IPSET_ERR_PROTOCOL: return "the kernel did not understand the message";
    case 4352: return "the set is full";  // IPSET_ERR_HASH_FULL
    default: return "";
  }
}

}  // namespace

Result<std::vector<std::string>> encode(const Change& change, const std::function<uint32_t()>& next_sequence) {
  const std::string& name = std::visit([](const auto& c) -> const std::string& { return c.name; }, change);
  if (name.empty() || name.size() > kMaxName)
    return fail(Errc::Invalid, "the set name \"{}\" is not 1 to {} bytes long", name, kMaxName);
  if (const auto* c = std::get_if<CreateSet>(&change)) return std::vector{create(*c, next_sequence())};
  if (std::holds_alternative<DestroySet>(change)) {
    Writer out;
    begin(out, IPSET_CMD_DESTROY, 0, next_sequence(), name);
    out.end();
    return std::vector{out.take()};
  }
  if (const auto* c = std::get_if<AddElements>(&change)) return elements_of(*c, IPSET_CMD_ADD, next_sequence);
  return elements_of(std::get<DeleteElements>(change), IPSET_CMD_DEL, next_sequence);
}

Error error_of(int error, const Change& change) {
  if (const auto words = words_of(error); !words.empty())
    return Error(error == IPSET_ERR_BUSY || error == IPSET_ERR_REFERENCED ? Errc::Conflict
                 : error == IPSET_ERR_FIND_TYPE                           ? Errc::Unsupported
                 : error == IPSET_ERR_MAX_SETS || error == 4352           ? Errc::Exhausted
                                                                          : Errc::Io,
                 fmt::format("{}: {}", change, words));
  if (error >= IPSET_ERR_PRIVATE) return Error(Errc::Io, fmt::format("{}: ipset error {}", change, error));
  return fail_errno(error, to_string(change)).error();
}

}  // namespace causeway::ipset
