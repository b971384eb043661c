// Messages of dumps and notifications to values. Pure, and for any bytes.
#pragma once

#include <linux/netlink.h>

#include "kernel/nftables/nftables.h"
#include "kernel/nftables/observed.h"

namespace causeway::nftables {

// Each is empty for a message of another kind and for other tables than ours.
struct NamedChain {
  std::string name;
  ObservedChain chain;
};
std::optional<NamedChain> decode_chain(const nlmsghdr* message);
// Of other tables than ours, and only what drops by policy.
std::optional<ForeignDrop> decode_foreign_drop(const nlmsghdr* message);
struct RuleOf {
  std::string chain;
  ObservedRule rule;
};
std::optional<RuleOf> decode_rule(const nlmsghdr* message);
struct NamedSet {
  std::string name;
  std::optional<Set> set;
};
std::optional<NamedSet> decode_set(const nlmsghdr* message);

// Elements come one by one, ranges of one field as two: gathered, then put together.
class ElementReader {
 public:
  explicit ElementReader(const Set& set) : set_(set) {}
  void read(const nlmsghdr* message);
  Elements take();
  void clear();

 private:
  const Set& set_;
  Elements elements_;
  std::vector<std::string> ends_;  // the first key behind a range
};

// Whether it tells of a change of our table, or of what is in it.
bool concerns_us(const nlmsghdr* message);

// The expressions of NFTA_RULE_EXPRESSIONS.
code::Program decode_program(std::string_view expressions);
Verdict decode_verdict(std::string_view verdict);

}  // namespace causeway::nftables
