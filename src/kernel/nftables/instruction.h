// A rule as the kernel has it: instructions over 16 registers of 4 bytes. What is sent, and what a dump is decoded to;
// the two are compared to see whether a rule is the one that shall be. No names of sets get lost on that way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernel/nftables/values.h"

namespace causeway::nftables::code {

using Register = uint8_t;  // 0..15: which word; longer values go on in those behind it

struct LoadPayload {
  uint8_t base = 0;  // NFT_PAYLOAD_*
  uint32_t offset = 0, length = 0;
  Register to = 0;
  bool operator==(const LoadPayload&) const = default;
};
struct LoadMeta {
  uint32_t key = 0;  // NFT_META_*
  Register to = 0;
  bool operator==(const LoadMeta&) const = default;
};
struct StoreMeta {
  uint32_t key = 0;
  Register from = 0;
  bool operator==(const StoreMeta&) const = default;
};
struct LoadCt {
  uint32_t key = 0;  // NFT_CT_*
  std::optional<uint8_t> direction;
  Register to = 0;
  bool operator==(const LoadCt&) const = default;
};
struct StoreCt {
  uint32_t key = 0;
  Register from = 0;
  bool operator==(const StoreCt&) const = default;
};
struct LoadFib {
  uint32_t result = 0, flags = 0;  // NFT_FIB_RESULT_*, NFTA_FIB_F_*
  Register to = 0;
  bool operator==(const LoadFib&) const = default;
};
struct LoadRandom {
  uint32_t mod = 0, offset = 0;
  Register to = 0;
  bool operator==(const LoadRandom&) const = default;
};
struct LoadHash {
  Register from = 0;
  uint32_t length = 0, mod = 0, seed = 0, offset = 0;
  Register to = 0;
  bool operator==(const LoadHash&) const = default;
};
struct LoadValue {
  Register to = 0;
  std::string value;
  bool operator==(const LoadValue&) const = default;
};
struct Compare {
  Register from = 0;
  bool equal = true;  // else: not equal
  std::string value;
  bool operator==(const Compare&) const = default;
};
// to = (from & mask) ^ flip
struct Bitwise {
  Register from = 0, to = 0;
  std::string mask, flip;
  bool operator==(const Bitwise&) const = default;
};
struct Find {
  std::string set;
  Register from = 0;
  bool inverted = false;
  bool verdict = false;        // of a verdict map
  std::optional<Register> to;  // of another map
  bool operator==(const Find&) const = default;
};
struct Update {
  std::string set;
  Register from = 0;
  uint64_t timeout_ms = 0;
  std::optional<Register> data = std::nullopt;  // of a map
  bool remove = false;                          // the element instead
  bool operator==(const Update&) const = default;
};
struct Nat {
  uint32_t kind = 0, family = 0;  // NFT_NAT_*, NFPROTO_*
  Register address = 0;
  std::optional<Register> port;
  bool operator==(const Nat&) const = default;
};
struct Masquerade {
  uint32_t flags = 0;  // NF_NAT_RANGE_*
  bool operator==(const Masquerade&) const = default;
};
struct Notrack {
  bool operator==(const Notrack&) const = default;
};
struct Counter {
  bool operator==(const Counter&) const = default;
};
struct Reject {
  uint32_t type = 0;  // NFT_REJECT_*
  uint8_t code = 0;
  bool operator==(const Reject&) const = default;
};
// One that we do not speak: equal to nothing that we write.
struct Foreign {
  std::string name;
  bool operator==(const Foreign&) const = default;
};

using Instruction =
    std::variant<LoadPayload, LoadMeta, StoreMeta, LoadCt, StoreCt, LoadFib, LoadRandom, LoadHash, LoadValue, Compare,
                 Bitwise, Find, Update, Nat, Masquerade, Notrack, Counter, Reject, Verdict, Foreign>;
using Program = std::vector<Instruction>;

}  // namespace causeway::nftables::code
