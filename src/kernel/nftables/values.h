// What sets hold and rules compare: packed bytes with types, verdicts, and the names that nft prints for them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"

namespace causeway::nftables {

// Types of nft, by its own numbers (its datatype.h), which it reads back from NFTA_SET_KEY_TYPE.
enum class Type : uint8_t {
  NfProto = 2,       // nf_proto, 1 byte
  Integer = 4,       // bytes of no fixed number, for Raw; no set is made of them
  Ipv4 = 7,          // ipv4_addr
  Ipv6 = 8,          // ipv6_addr
  Protocol = 12,     // inet_proto, 1 byte
  Port = 13,         // inet_service
  Mark = 19,         // mark, 4 bytes in host order; also what a number (of numgen, jhash) is declared as
  ClassId = 23,      // classid, 4 bytes in host order: of queues, what meta priority is
  CtState = 26,      // ct_state, bits of 4 bytes in host order
  CtDirection = 27,  // ct_dir, 1 byte
  CtStatus = 28,     // ct_status, bits of 4 bytes in host order
  Icmp6Type = 29,    // icmpv6_type, 1 byte
  DeviceGroup = 35,  // devgroup, 4 bytes in host order
  AddressKind = 38,  // fib_addrtype, 4 bytes in host order
  Ifname = 41,       // ifname, 16 bytes
};
std::string_view to_string(Type type);  // "ipv4_addr"
uint32_t bytes_of(Type type);           // 0 for Integer
bool is_host_order(Type type);          // numbers of the machine, not of the packet; also names
Type type_of(Family family);

// The bytes of one or several fields, in the order that they were added. Each field fills a multiple of 4 bytes, as the
// kernel's registers want it.
//   Tuple().protocol(IPPROTO_TCP).ip(address).port(80)
class Tuple {
 public:
  Tuple() = default;
  static Tuple from_bytes(std::string bytes);

  Tuple& ip(const Ip& ip);
  Tuple& port(uint16_t port);
  Tuple& protocol(uint8_t protocol);   // one byte: IPPROTO_*, NFPROTO_*, a direction
  Tuple& number(uint32_t number);      // host order: marks, groups, states
  Tuple& name(std::string_view name);  // of a device, at most 15 bytes

  const std::string& bytes() const { return bytes_; }
  auto operator<=>(const Tuple&) const = default;

 private:
  Tuple& add(std::string_view field);
  std::string bytes_;
};
// How many bytes a Tuple of these types has.
uint32_t bytes_of(const std::vector<Type>& types);
// As nft prints it: "tcp . 10.0.0.1 . 80". Bytes that do not fit the types are printed in hexadecimal.
std::string to_string(const Tuple& tuple, const std::vector<Type>& types);

// What becomes of a packet; also the data of a verdict map.
struct Verdict {
  enum class Kind : uint8_t { Accept, Drop, Continue, Return, Jump, Goto };
  Kind kind = Kind::Accept;
  std::string chain;  // Jump and Goto
  auto operator<=>(const Verdict&) const = default;
};
std::string to_string(const Verdict& verdict);
inline Verdict accept() { return {Verdict::Kind::Accept, {}}; }
inline Verdict drop() { return {Verdict::Kind::Drop, {}}; }
inline Verdict returns() { return {Verdict::Kind::Return, {}}; }
inline Verdict jump(std::string chain) { return {Verdict::Kind::Jump, std::move(chain)}; }
inline Verdict go(std::string chain) { return {Verdict::Kind::Goto, std::move(chain)}; }

}  // namespace causeway::nftables
