// The door to the IP sets of one network namespace: what iptables' `-m set --match-set NAME dst,dst` looks into.
//
//   TRY(sets->apply(ipset::CreateSet{"causeway-inside4", {.type = ipset::Type::IpPort, .family = Family::V4}}));
//   TRY(sets->apply(ipset::AddElements{"causeway-inside4", set, elements}));
//
// Calls block: about 1 us for each element. One thread at a time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/ip.h"

namespace causeway::ipset {

enum class Type : uint8_t { Ip, Net, IpPort, IpPortIp, IpPortNet, Port };
std::string_view to_string(Type type);  // "hash:ip,port", as ipset says it; Port: "bitmap:port"

struct Set {
  Type type = Type::Ip;
  Family family = Family::V4;  // of Type::Port none: V4
  uint32_t timeout = 0;        // s: elements vanish so long after they were added; 0: never
  auto operator<=>(const Set&) const = default;
};

struct Element {
  Cidr net;                   // of one address, but for Type::Net; Type::Port: none
  uint8_t protocol = 0;       // Type::IpPort*
  uint16_t port = 0;          // Type::IpPort*, Type::Port
  std::optional<Cidr> other;  // Type::IpPortIp (of one address), Type::IpPortNet
  auto operator<=>(const Element&) const = default;
};
std::string to_string(const Element& element);  // "10.96.0.1,tcp:80,10.0.0.0/8"
using Elements = std::set<Element>;

struct CreateSet {
  std::string name;  // 1-31 bytes
  Set set;
};
struct DestroySet {  // Conflict: a rule uses it
  std::string name;
};
struct AddElements {
  std::string name;
  Set set;
  std::vector<Element> elements;
};
struct DeleteElements {
  std::string name;
  Set set;
  std::vector<Element> elements;
};
using Change = std::variant<CreateSet, DestroySet, AddElements, DeleteElements>;
std::string to_string(const Change& change);  // "add 2 to causeway-inside4"

// A set as the kernel has it.
struct Held {
  std::optional<Set> set;  // absent: of a type that we do not speak
  Elements elements;       // none are read of a set with a timeout
};

class IpSets {
 public:
  virtual ~IpSets() = default;
  virtual Result<std::vector<std::string>> names(std::string_view prefix) = 0;
  // Those whose names begin so.
  virtual Result<std::map<std::string, Held>> observe(std::string_view prefix) = 0;
  virtual Status apply(const Change& change) = 0;
};

// A socket in the caller's namespace. Unsupported: this kernel has no IP sets.
Result<std::unique_ptr<IpSets>> open_ipsets();

}  // namespace causeway::ipset
