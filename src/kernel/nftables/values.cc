#include "kernel/nftables/values.h"

#include <netinet/in.h>

#include <array>
#include <cstring>

namespace causeway::nftables {
namespace {

constexpr size_t kRegister = 4;
constexpr size_t kIfname = 16;  // IFNAMSIZ

size_t padded(size_t size) { return (size + kRegister - 1) / kRegister * kRegister; }

uint32_t host_order(std::string_view bytes) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// As /etc/protocols of every Linux names those that we use; nft asks there.
std::string protocol_name(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_ICMP: return "icmp";
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_ICMPV6: return "ipv6-icmp";
    case IPPROTO_SCTP: return "sctp";
    default: return std::to_string(protocol);
  }
}

template <size_t N>
std::string flags(uint32_t bits, const std::array<std::pair<uint32_t, const char*>, N>& names) {
  std::string text;
  for (const auto& [bit, name] : names) {
    if (!(bits & bit)) continue;
    text += (text.empty() ? "" : ",") + std::string(name);
    bits &= ~bit;
  }
  if (bits || text.empty()) text += fmt::format("{}0x{:x}", text.empty() ? "" : ",", bits);
  return text;
}

std::string states(uint32_t bits) {
  return flags(bits, std::to_array<std::pair<uint32_t, const char*>>(
                         {{1, "invalid"}, {2, "established"}, {4, "related"}, {8, "new"}, {64, "untracked"}}));
}

std::string statuses(uint32_t bits) {
  return flags(bits, std::to_array<std::pair<uint32_t, const char*>>({{1, "expected"},
                                                                      {2, "seen-reply"},
                                                                      {4, "assured"},
                                                                      {8, "confirmed"},
                                                                      {0x10, "snat"},
                                                                      {0x20, "dnat"},
                                                                      {0x200, "dying"}}));
}

std::string address_kind(uint32_t kind) {
  static constexpr std::array kNames{"unspec",    "unicast",   "local",       "broadcast", "anycast",
                                     "multicast", "blackhole", "unreachable", "prohibit"};
  return kind < kNames.size() ? kNames[kind] : std::to_string(kind);
}

std::string class_id(uint32_t id) {
  if (id == 0) return "none";
  return id >> 16 ? fmt::format("{:x}:{:x}", id >> 16, id & 0xffff) : fmt::format(":{:x}", id);
}

std::string icmp6_type(uint8_t type) {
  switch (type) {
    case 1: return "destination-unreachable";
    case 2: return "packet-too-big";
    case 128: return "echo-request";
    case 129: return "echo-reply";
    case 133: return "nd-router-solicit";
    case 134: return "nd-router-advert";
    case 135: return "nd-neighbor-solicit";
    case 136: return "nd-neighbor-advert";
    case 137: return "nd-redirect";
    default: return std::to_string(type);
  }
}

std::string hexadecimal(std::string_view bytes) {
  std::string text = "0x";
  for (const char c : bytes) text += fmt::format("{:02x}", uint8_t(c));
  return text;
}

std::string field_text(std::string_view bytes, Type type) {
  switch (type) {
    case Type::NfProto:
      if (uint8_t(bytes[0]) == 2) return "ipv4";
      if (uint8_t(bytes[0]) == 10) return "ipv6";
      return std::to_string(uint8_t(bytes[0]));
    case Type::Ipv4:
      return to_string(Ip::v4(std::span<const uint8_t, 4>(reinterpret_cast<const uint8_t*>(bytes.data()), 4)));
    case Type::Ipv6:
      return to_string(Ip::v6(std::span<const uint8_t, 16>(reinterpret_cast<const uint8_t*>(bytes.data()), 16)));
    case Type::Integer: return hexadecimal(bytes);
    case Type::Icmp6Type: return icmp6_type(uint8_t(bytes[0]));
    case Type::Protocol: return protocol_name(uint8_t(bytes[0]));
    case Type::Port: return std::to_string(uint8_t(bytes[0]) << 8 | uint8_t(bytes[1]));
    case Type::Mark: return fmt::format("0x{:08x}", host_order(bytes));
    case Type::ClassId: return class_id(host_order(bytes));
    case Type::CtState: return states(host_order(bytes));
    case Type::CtDirection:
      return bytes[0] == 0 ? "original" : bytes[0] == 1 ? "reply" : std::to_string(uint8_t(bytes[0]));
    case Type::CtStatus: return statuses(host_order(bytes));
    case Type::DeviceGroup: return host_order(bytes) == 0 ? "default" : std::to_string(host_order(bytes));
    case Type::AddressKind: return address_kind(host_order(bytes));
    case Type::Ifname: return fmt::format("\"{}\"", bytes.substr(0, bytes.find('\0')));
  }
  __builtin_unreachable();
}

}  // namespace

std::string_view to_string(Type type) {
  switch (type) {
    case Type::NfProto: return "nf_proto";
    case Type::Ipv4: return "ipv4_addr";
    case Type::Ipv6: return "ipv6_addr";
    case Type::Protocol: return "inet_proto";
    case Type::Port: return "inet_service";
    case Type::Mark: return "mark";
    case Type::ClassId: return "classid";
    case Type::CtState: return "ct_state";
    case Type::CtDirection: return "ct_dir";
    case Type::CtStatus: return "ct_status";
    case Type::Icmp6Type: return "icmpv6_type";
    case Type::Integer: return "integer";
    case Type::DeviceGroup: return "devgroup";
    case Type::AddressKind: return "fib_addrtype";
    case Type::Ifname: return "ifname";
  }
  __builtin_unreachable();
}

uint32_t bytes_of(Type type) {
  switch (type) {
    case Type::Integer: return 0;
    case Type::NfProto:
    case Type::Protocol:
    case Type::Icmp6Type:
    case Type::CtDirection: return 1;
    case Type::Port: return 2;
    case Type::Ipv4:
    case Type::Mark:
    case Type::ClassId:
    case Type::CtState:
    case Type::CtStatus:
    case Type::DeviceGroup:
    case Type::AddressKind: return 4;
    case Type::Ipv6: return 16;
    case Type::Ifname: return kIfname;
  }
  __builtin_unreachable();
}

bool is_host_order(Type type) {
  switch (type) {
    case Type::Mark:
    case Type::ClassId:
    case Type::CtState:
    case Type::CtStatus:
    case Type::DeviceGroup:
    case Type::AddressKind:
    case Type::Ifname: return true;
    case Type::NfProto:
    case Type::Integer:
    case Type::Ipv4:
    case Type::Ipv6:
    case Type::Protocol:
    case Type::Port:
    case Type::CtDirection:
    case Type::Icmp6Type: return false;
  }
  __builtin_unreachable();
}

Type type_of(Family family) { return family == Family::V4 ? Type::Ipv4 : Type::Ipv6; }

Tuple Tuple::from_bytes(std::string bytes) {
  Tuple tuple;
  tuple.bytes_ = std::move(bytes);
  tuple.bytes_.resize(padded(tuple.bytes_.size()));
  return tuple;
}

Tuple& Tuple::add(std::string_view field) {
  bytes_.append(field);
  bytes_.resize(padded(bytes_.size()));
  return *this;
}

Tuple& Tuple::ip(const Ip& ip) { return add({reinterpret_cast<const char*>(ip.bytes().data()), ip.bytes().size()}); }
Tuple& Tuple::port(uint16_t port) {
  const char bytes[]{char(port >> 8), char(port)};
  return add({bytes, sizeof bytes});
}
Tuple& Tuple::protocol(uint8_t protocol) {
  const char byte = char(protocol);
  return add({&byte, 1});
}
Tuple& Tuple::number(uint32_t number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  return add({bytes, sizeof bytes});
}
Tuple& Tuple::name(std::string_view name) {
  char bytes[kIfname]{};
  std::memcpy(bytes, name.data(), std::min(name.size(), kIfname - 1));
  return add({bytes, sizeof bytes});
}

uint32_t bytes_of(const std::vector<Type>& types) {
  uint32_t size = 0;
  for (const Type type : types) size += uint32_t(padded(bytes_of(type)));
  return size;
}

std::string to_string(const Tuple& tuple, const std::vector<Type>& types) {
  if (tuple.bytes().size() != bytes_of(types)) return hexadecimal(tuple.bytes());
  std::string text;
  std::string_view rest = tuple.bytes();
  for (const Type type : types) {
    text += (text.empty() ? "" : " . ") + field_text(rest, type);
    rest.remove_prefix(padded(bytes_of(type)));
  }
  return text;
}

std::string to_string(const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::Accept: return "accept";
    case Verdict::Kind::Drop: return "drop";
    case Verdict::Kind::Continue: return "continue";
    case Verdict::Kind::Return: return "return";
    case Verdict::Kind::Jump: return "jump " + verdict.chain;
    case Verdict::Kind::Goto: return "goto " + verdict.chain;
  }
  __builtin_unreachable();
}

}  // namespace causeway::nftables
