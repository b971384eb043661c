// A section as the kernel holds it.
#pragma once

#include "kernel/nftables/instruction.h"
#include "kernel/nftables/table.h"

namespace causeway::nftables {

struct ObservedRule {
  code::Program program;
  std::string comment;
  bool operator==(const ObservedRule&) const = default;
};

struct ObservedChain {
  std::optional<Base> base;
  std::vector<ObservedRule> rules;
  bool operator==(const ObservedChain&) const = default;
};

struct ObservedSet {
  std::optional<Set> set;  // empty: declared in a way that we do not speak, so not by us
  Elements elements;       // not of dynamic sets
  bool operator==(const ObservedSet&) const = default;
};

struct Observed {
  std::string section;
  std::map<std::string, ObservedChain> chains;
  std::map<std::string, ObservedSet> sets;
  bool operator==(const Observed&) const = default;
};

// Whether an object of this name is of this section: "hostport-v4" of "hostport".
bool belongs(std::string_view name, std::string_view section);

}  // namespace causeway::nftables
