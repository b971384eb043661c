// Rules as nft prints them, so that a log line, a test and `nft list ruleset` can be compared.
#include "kernel/nftables/rule.h"

#include <netinet/in.h>

#include <bit>
#include <cstring>

namespace causeway::nftables {
namespace {

std::string to_string(const Selector& what) {
  if (const auto* field = std::get_if<Field>(&what)) return std::string(nftables::to_string(*field));
  if (const auto* random = std::get_if<Random>(&what))
    return fmt::format("numgen random mod {}{}", random->mod,
                       random->offset ? fmt::format(" offset {}", random->offset) : "");
  if (const auto* raw = std::get_if<Raw>(&what))
    return fmt::format("@{},{},{}", raw->base == Raw::Base::Network ? "nh" : "th", raw->offset * 8, raw->length * 8);
  const auto& hash = std::get<Hash>(what);
  std::string text = "jhash ";
  for (size_t i = 0; i < hash.fields.size(); ++i)
    text += fmt::format("{}{}", i ? " . " : "", nftables::to_string(hash.fields[i]));
  text += fmt::format(" mod {}", hash.mod);
  text += fmt::format(" seed 0x{:x}", hash.seed);
  if (hash.offset) text += fmt::format(" offset {}", hash.offset);
  return text;
}

std::string to_string(const std::vector<Selector>& key) {
  std::string text;
  for (const auto& what : key) text += (text.empty() ? "" : " . ") + to_string(what);
  return text;
}

// The length of a prefix that the mask of an address is, if it is one.
std::optional<int> prefix_of(const Tuple& mask) {
  int ones = 0;
  bool ended = false;
  for (const char c : mask.bytes()) {
    const int leading = std::countl_one(uint8_t(c));
    if ((ended && c != 0) || std::popcount(uint8_t(c)) != leading) return std::nullopt;
    ended = leading < 8;
    ones += leading;
  }
  return ones;
}

struct Printer {
  std::string operator()(const Match& match) const {
    const std::vector<Type> type{type_of(match.what)};
    const std::string what = to_string(match.what);
    if (const auto* raw = std::get_if<Raw>(&match.what)) {
      const auto bytes = match.value.bytes().substr(0, raw->length);
      uint64_t number = 0;
      for (const char c : bytes) number = number << 8 | uint8_t(c);
      return fmt::format("{} {}0x{:x}", what, match.negated ? "!= " : "", number);
    }
    const std::string value = nftables::to_string(match.value, type);
    if (match.any_bit) return fmt::format("{} {}{}", what, match.negated ? "! " : "", value);
    if (!match.mask) return fmt::format("{} {}{}", what, match.negated ? "!= " : "", value);
    if (type.front() == Type::Ipv4 || type.front() == Type::Ipv6)
      if (const auto prefix = prefix_of(*match.mask))
        return fmt::format("{} {}{}/{}", what, match.negated ? "!= " : "", value, *prefix);
    return fmt::format("{} & {} {} {}", what, nftables::to_string(*match.mask, type),
                       match.negated ? "!=" : "==", value);
  }
  std::string operator()(const Lookup& lookup) const {
    return fmt::format("{} {}@{}", to_string(lookup.key), lookup.negated ? "!= " : "", lookup.set);
  }
  std::string operator()(const VerdictMap& map) const {
    return fmt::format("{} vmap @{}", to_string(map.key), map.map);
  }
  std::string operator()(const Verdict& verdict) const { return nftables::to_string(verdict); }
  std::string operator()(const Masquerade& masquerade) const {
    return masquerade.fully_random ? "masquerade fully-random" : "masquerade";
  }
  std::string operator()(const Notrack&) const { return "notrack"; }
  std::string operator()(const Nat& nat) const {
    std::string text = fmt::format("{} {} to ", nat.kind == Nat::Kind::Source ? "snat" : "dnat",
                                   nat.family == Family::V4 ? "ip" : "ip6");
    if (const auto* map = std::get_if<FromMap>(&nat.to)) return text + from(*map);
    const auto& endpoint = std::get<Endpoint>(nat.to);
    return text + (endpoint.port ? causeway::to_string(endpoint) : causeway::to_string(endpoint.ip));
  }
  std::string operator()(const SetMark& mark) const {
    using Target = SetMark::Target;
    std::string text = mark.target == Target::Packet     ? "meta mark set "
                       : mark.target == Target::Priority ? "meta priority set "
                                                         : "ct mark set ";
    if (const auto* value = std::get_if<uint32_t>(&mark.to))
      return text + nftables::to_string(Tuple().number(*value),
                                        {mark.target == Target::Priority ? Type::ClassId : Type::Mark});
    if (const auto* map = std::get_if<FromMap>(&mark.to)) return text + from(*map);
    text += nftables::to_string(std::get<Field>(mark.to));
    if ((mark.keep | mark.add) != 0xffffffff) text += fmt::format(" & 0x{:08x}", mark.keep | mark.add);
    if (mark.add) text += fmt::format(" | 0x{:08x}", mark.add);
    return text;
  }
  std::string operator()(const Counter&) const { return "counter"; }
  std::string operator()(const Reject& reject) const {
    switch (reject.with) {
      case Reject::With::PortUnreachable: return "reject";
      case Reject::With::AdminProhibited: return "reject with icmpx admin-prohibited";
      case Reject::With::TcpReset: return "reject with tcp reset";
    }
    __builtin_unreachable();
  }
  std::string operator()(const Update& update) const {
    std::string text =
        fmt::format("{} @{} {{ {}", update.remove ? "delete" : "update", update.set, to_string(update.key));
    if (update.timeout_ms % 1000 == 0 && update.timeout_ms)
      text += fmt::format(" timeout {}s", update.timeout_ms / 1000);
    else if (update.timeout_ms)
      text += fmt::format(" timeout {}ms", update.timeout_ms);
    if (update.data) text += fmt::format(" : {}", *update.data);
    return text + " }";
  }

 private:
  static std::string from(const FromMap& map) { return fmt::format("{} map @{}", to_string(map.key), map.map); }
};

// One number in the width of the field.
Tuple number_for(Field what, uint32_t number) {
  switch (bytes_of(type_of(what))) {
    case 1: return Tuple().protocol(uint8_t(number));
    case 2: return Tuple().port(uint16_t(number));
    default: return Tuple().number(number);
  }
}

Tuple mask_of(const Cidr& cidr) {
  std::string bytes(size_t(cidr.address().bits()) / 8, '\0');
  for (int bit = 0; bit < cidr.prefix(); ++bit) bytes[size_t(bit) / 8] = char(bytes[size_t(bit) / 8] | 0x80 >> bit % 8);
  return Tuple::from_bytes(std::move(bytes));
}

}  // namespace

std::string_view to_string(Field field) {
  switch (field) {
    case Field::NfProto: return "meta nfproto";
    case Field::L4Proto: return "meta l4proto";
    case Field::Mark: return "meta mark";
    case Field::Priority: return "meta priority";
    case Field::IifName: return "iifname";
    case Field::OifName: return "oifname";
    case Field::IifGroup: return "iifgroup";
    case Field::OifGroup: return "oifgroup";
    case Field::IpSaddr: return "ip saddr";
    case Field::IpDaddr: return "ip daddr";
    case Field::Ip6Saddr: return "ip6 saddr";
    case Field::Ip6Daddr: return "ip6 daddr";
    case Field::ThSport: return "th sport";
    case Field::ThDport: return "th dport";
    case Field::Icmp6Type: return "icmpv6 type";
    case Field::CtState: return "ct state";
    case Field::CtStatus: return "ct status";
    case Field::CtDirection: return "ct direction";
    case Field::CtMark: return "ct mark";
    case Field::CtOriginalIpDaddr: return "ct original ip daddr";
    case Field::CtOriginalIp6Daddr: return "ct original ip6 daddr";
    case Field::CtOriginalProtoDport: return "ct original proto-dst";
    case Field::FibDaddrType: return "fib daddr type";
    case Field::FibSaddrType: return "fib saddr type";
  }
  __builtin_unreachable();
}

Type type_of(Field field) {
  switch (field) {
    case Field::NfProto: return Type::NfProto;
    case Field::L4Proto: return Type::Protocol;
    case Field::Mark:
    case Field::CtMark: return Type::Mark;
    case Field::Priority: return Type::ClassId;
    case Field::IifName:
    case Field::OifName: return Type::Ifname;
    case Field::IifGroup:
    case Field::OifGroup: return Type::DeviceGroup;
    case Field::IpSaddr:
    case Field::IpDaddr:
    case Field::CtOriginalIpDaddr: return Type::Ipv4;
    case Field::Ip6Saddr:
    case Field::Ip6Daddr:
    case Field::CtOriginalIp6Daddr: return Type::Ipv6;
    case Field::ThSport:
    case Field::ThDport:
    case Field::CtOriginalProtoDport: return Type::Port;
    case Field::Icmp6Type: return Type::Icmp6Type;
    case Field::CtState: return Type::CtState;
    case Field::CtStatus: return Type::CtStatus;
    case Field::CtDirection: return Type::CtDirection;
    case Field::FibDaddrType:
    case Field::FibSaddrType: return Type::AddressKind;
  }
  __builtin_unreachable();
}

Type type_of(const Selector& selector) {
  if (const auto* field = std::get_if<Field>(&selector)) return type_of(*field);
  return std::holds_alternative<Raw>(selector) ? Type::Integer : Type::Mark;  // numbers
}
uint32_t bytes_of(const Selector& selector) {
  if (const auto* raw = std::get_if<Raw>(&selector)) return raw->length;
  return bytes_of(type_of(selector));
}

Field saddr_of(Family family) { return family == Family::V4 ? Field::IpSaddr : Field::Ip6Saddr; }
Field daddr_of(Family family) { return family == Family::V4 ? Field::IpDaddr : Field::Ip6Daddr; }

std::string to_string(const Rule& rule) {
  std::string text;
  for (const auto& statement : rule.statements) text += (text.empty() ? "" : " ") + std::visit(Printer{}, statement);
  if (!rule.comment.empty()) text += fmt::format(" comment \"{}\"", rule.comment);
  return text;
}

Match match(Field what, Tuple value) { return {.what = what, .value = std::move(value)}; }
Match match(Field what, uint32_t number) { return {.what = what, .value = number_for(what, number)}; }
Match match(Field what, const Cidr& prefix) {
  Match match{.what = what, .value = Tuple().ip(prefix.address())};
  if (prefix.prefix() < prefix.address().bits()) match.mask = mask_of(prefix);
  return match;
}
Match match(Raw what, Tuple value) { return {.what = what, .value = std::move(value)}; }
Match differs(Field what, Tuple value) { return {.what = what, .value = std::move(value), .negated = true}; }
Match differs(Field what, const Cidr& prefix) {
  auto same = match(what, prefix);
  same.negated = true;
  return same;
}
Match any_of(Field what, uint32_t bits) { return {.what = what, .value = number_for(what, bits), .any_bit = true}; }
Match masked(Field what, uint32_t mask, uint32_t value) {
  return {.what = what, .value = number_for(what, value), .mask = number_for(what, mask)};
}
Lookup in(Field what, std::string set) { return {{what}, std::move(set)}; }
Lookup not_in(Field what, std::string set) { return {{what}, std::move(set), true}; }

}  // namespace causeway::nftables
