// Everything of ours is in one table, `inet causeway`. Each domain (fabric, hostport, later service, policy) owns one
// Section of it: the chains, sets and maps whose names begin with "SECTION-". It applies its own part in transactions
// of its own and never touches another's. A Section has a constant number of rules: elements carry the scale.
#pragma once

#include <map>

#include "kernel/nftables/rule.h"

namespace causeway::nftables {

inline constexpr const char* kTable = "causeway";

enum class Hook : uint8_t { Prerouting, Input, Forward, Output, Postrouting };
enum class ChainType : uint8_t { Filter, Nat, Route };

// Priorities of the inet family by the names that nft gives them; between them by + and -.
inline constexpr int32_t kRaw = -300, kMangle = -150, kDstnat = -100, kFilter = 0, kSecurity = 50, kSrcnat = 100;

// Where packets enter: a chain with a hook.
struct Base {
  ChainType type = ChainType::Filter;
  Hook hook = Hook::Prerouting;
  int32_t priority = kFilter;
  bool drop = false;  // the policy: what passes all rules is dropped
  bool operator==(const Base&) const = default;
};

struct Chain {
  std::optional<Base> base;  // absent: reached by jump and goto
  std::vector<Rule> rules;
  bool operator==(const Chain&) const = default;
};

// The declaration of a set or a map.
struct Set {
  std::vector<Type> key;
  std::vector<Type> data;    // of a map; empty: a set, or a map of verdicts
  bool verdicts = false;     // a map of verdicts
  bool interval = false;     // elements are ranges
  bool dynamic = false;      // packets add elements (Update)
  uint64_t timeout_ms = 0;   // of elements; 0: none. Needs has_timeout.
  bool has_timeout = false;  // elements may end by themselves
  uint32_t size = 0;         // most elements; 0: no limit
  bool operator==(const Set&) const = default;
  bool is_map() const { return verdicts || !data.empty(); }
};

// What an element says beside its key.
struct Value {
  std::optional<Tuple> last;  // interval: the range from key to here, both included; absent: only the key
  std::variant<std::monostate, Tuple, Verdict> data;
  std::string comment;  // names, for people; at most 127 bytes
  bool operator==(const Value&) const = default;
};
using Elements = std::map<Tuple, Value>;

// The range of a prefix, for interval sets: elements.insert(range(cidr)).
Elements::value_type range(const Cidr& cidr);

struct Section {
  std::string name;  // "hostport"; letters and digits
  std::map<std::string, Chain> chains;
  std::map<std::string, Set> sets;
  std::map<std::string, Elements> elements;  // by set; of dynamic sets only what we put there ourselves
  bool operator==(const Section&) const = default;
};

// As `nft list table inet causeway` prints it, sets before chains, in the order of their names.
std::string render(const Section& section);

// ---- changes: one message each

struct AddChain {
  std::string name;
  std::optional<Base> base;
  bool operator==(const AddChain&) const = default;
};
struct DeleteChain {
  std::string name;
  bool operator==(const DeleteChain&) const = default;
};
// Every rule of it.
struct FlushChain {
  std::string name;
  bool operator==(const FlushChain&) const = default;
};
struct AddRule {  // at the end of the chain
  std::string chain;
  Rule rule;
  bool operator==(const AddRule&) const = default;
};
struct AddSet {
  std::string name;
  Set set;
  bool operator==(const AddSet&) const = default;
};
struct DeleteSet {
  std::string name;
  bool operator==(const DeleteSet&) const = default;
};
// `set` has the declaration, for the bytes of a message.
struct AddElements {
  std::string name;
  Set set;
  Elements elements;
  bool operator==(const AddElements&) const = default;
};
struct DeleteElements {
  std::string name;
  Set set;
  Elements elements;  // their keys (and ends of ranges) count
  bool operator==(const DeleteElements&) const = default;
};
using Change = std::variant<AddChain, DeleteChain, FlushChain, AddRule, AddSet, DeleteSet, AddElements, DeleteElements>;
std::string to_string(const Change& change);

// All of it or nothing. The table itself is made when it is missing.
using Transaction = std::vector<Change>;

}  // namespace causeway::nftables
