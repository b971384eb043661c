// A rule as a list of statements, near to what one writes for nft: what a packet is compared with, and what is done to
// it. Pure values; lower.h turns them into the kernel's instructions. What comes later (affinity, quotas) is one more
// statement or selector.
//
//   Rule{{match(Field::FibDaddrType, kLocal), jump("hostport-rows")}}
//   Rule{{in(Field::IpSaddr, "fabric-pods4"), not_in(Field::IpDaddr, "fabric-cluster4"), Masquerade{}}}
#pragma once

#include <optional>
#include <variant>

#include "kernel/nftables/values.h"

namespace causeway::nftables {

// What can be read of a packet. A field of one family only (IpSaddr) brings its check of the family along.
enum class Field : uint8_t {
  NfProto,
  L4Proto,
  Mark,
  Priority,  // of the packet, for queues
  IifName,
  OifName,
  IifGroup,
  OifGroup,
  IpSaddr,
  IpDaddr,
  Ip6Saddr,
  Ip6Daddr,
  ThSport,
  ThDport,
  Icmp6Type,  // brings its check of the protocol along
  CtState,
  CtStatus,
  CtDirection,
  CtMark,
  CtOriginalIpDaddr,
  CtOriginalIp6Daddr,
  CtOriginalProtoDport,
  FibDaddrType,  // what the routing tables say of the destination: kLocal, ...
  FibSaddrType,
};
std::string_view to_string(Field field);
Type type_of(Field field);
Field saddr_of(Family family);
Field daddr_of(Family family);

// A number below `mod`, plus `offset`: a new one for each packet.
struct Random {
  uint32_t mod = 1;
  uint32_t offset = 0;
  bool operator==(const Random&) const = default;
};
// Jenkins hash of the fields below `mod`, plus `offset`: the same for the same packet.
struct Hash {
  std::vector<Field> fields;
  uint32_t mod = 1;
  uint32_t seed = 0;
  uint32_t offset = 0;
  bool operator==(const Hash&) const = default;
};
// Bytes of a header that no Field names: "@th,96,24" is {Transport, 12, 3}. Its value is a Tuple of that many bytes
// (Tuple::from_bytes).
struct Raw {
  enum class Base : uint8_t { Network, Transport };
  Base base = Base::Transport;
  uint32_t offset = 0, length = 0;  // bytes; at most 16
  bool operator==(const Raw&) const = default;
};
using Selector = std::variant<Field, Random, Hash, Raw>;
Type type_of(const Selector& selector);  // Integer for Raw
uint32_t bytes_of(const Selector& selector);

// ---- what a packet is compared with; the first that fails ends the rule

// (what & mask) == value, or != when negated. Without a mask all bits count. Bits: any of them is set.
struct Match {
  Selector what;
  Tuple value;
  std::optional<Tuple> mask;
  bool negated = false;
  bool any_bit = false;  // "ct state established,related": what & value != 0
  bool operator==(const Match&) const = default;
};
// The fields, side by side, are an element of the set (or not).
struct Lookup {
  std::vector<Selector> key;
  std::string set;
  bool negated = false;
  bool operator==(const Lookup&) const = default;
};
// The verdict that the map has for them; none: the next statement.
struct VerdictMap {
  std::vector<Selector> key;
  std::string map;
  bool operator==(const VerdictMap&) const = default;
};
// What a map has for them: a NAT target, a mark. No element ends the rule.
struct FromMap {
  std::vector<Selector> key;
  std::string map;
  bool operator==(const FromMap&) const = default;
};

// ---- what is done

// Source NAT to the address of the device that the packet leaves by. Only in nat chains of postrouting.
struct Masquerade {
  bool fully_random = false;  // ports by chance, for both ends' sake: less collisions under load
  bool operator==(const Masquerade&) const = default;
};
// nf_conntrack leaves the packet alone: it neither tracks nor translates it. Only in chains before it (kRaw).
struct Notrack {
  bool operator==(const Notrack&) const = default;
};
struct Nat {
  enum class Kind : uint8_t { Source, Destination };
  Kind kind = Kind::Destination;
  Family family = Family::V4;
  // Port 0 keeps the packet's. A map's data are `address` or, with_port, `address . port`.
  std::variant<Endpoint, FromMap> to;
  bool with_port = false;  // of a map
  bool operator==(const Nat&) const = default;
};
// target = (source & mask) ^ value, as the kernel's bitwise has it; a plain value, another mark, or what a map says.
struct SetMark {
  enum class Target : uint8_t { Packet, Connection, Priority };  // meta mark, ct mark, meta priority
  Target target = Target::Packet;
  std::variant<uint32_t, Field, FromMap> to;  // Field::Mark or Field::CtMark
  // With a Field: keep only the bits of `keep`, then set those of `add`: "ct mark set meta mark & keep | add".
  uint32_t keep = 0xffffffff;
  uint32_t add = 0;
  bool operator==(const SetMark&) const = default;
};
struct Counter {
  bool operator==(const Counter&) const = default;
};
struct Reject {
  enum class With : uint8_t { PortUnreachable, AdminProhibited, TcpReset };  // TcpReset only for TCP packets
  With with = With::PortUnreachable;
  bool operator==(const Reject&) const = default;
};
// Puts the fields into a dynamic set, or makes its timeout start again; or takes them out.
struct Update {
  std::vector<Selector> key;
  std::string set;
  uint64_t timeout_ms = 0;  // 0: the set's
  // Of a map. What is there already keeps its own.
  std::optional<Field> data = std::nullopt;
  bool remove = false;
  bool operator==(const Update&) const = default;
};

using Statement =
    std::variant<Match, Lookup, VerdictMap, Verdict, Masquerade, Nat, Notrack, SetMark, Counter, Reject, Update>;

struct Rule {
  std::vector<Statement> statements;
  std::string comment;  // at most 127 bytes
  bool operator==(const Rule&) const = default;
};
std::string to_string(const Rule& rule);  // as nft prints it

// ---- short forms

inline constexpr uint32_t kLocal = 2;  // RTN_LOCAL, for FibDaddrType
inline constexpr uint32_t kStateInvalid = 1, kStateEstablished = 2, kStateRelated = 4, kStateNew = 8;  // ct state
inline constexpr uint32_t kStatusSnat = 0x10, kStatusDnat = 0x20;                                      // ct status

Match match(Field what, Tuple value);
Match match(Field what, uint32_t number);  // marks, groups, kinds of addresses, protocols
Match match(Field what, const Cidr& prefix);
Match match(Raw what, Tuple value);
Match differs(Field what, Tuple value);
Match differs(Field what, const Cidr& prefix);
Match any_of(Field what, uint32_t bits);                  // ct state, ct status, a mark's bits
Match masked(Field what, uint32_t mask, uint32_t value);  // meta mark & mask == value
Lookup in(Field what, std::string set);
Lookup not_in(Field what, std::string set);

}  // namespace causeway::nftables
