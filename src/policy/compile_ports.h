// The ports that a set's rules name, cut into atoms: ports that every rule treats alike are one. Pure.
#pragma once

#include "policy/tables.h"

namespace causeway::policy {

// Ports of one protocol.
struct PortSpan {
  Protocol protocol = Protocol::Tcp;
  uint16_t first = 0, last = 65535;
  auto operator<=>(const PortSpan&) const = default;
};
using PortList = std::vector<PortSpan>;  // of one rule

// In order; what overlaps or touches is joined.
PortList joined(PortList list);

// The atoms that a list of the cut holds, sorted, each once.
std::vector<PortAtom> atoms_of(const PortRanges& ranges, const PortList& list);
// `lists` are joined(). The same ones give the same cut, in whatever order they come.
PortRanges cut_ports(std::vector<PortList> lists);

}  // namespace causeway::policy
