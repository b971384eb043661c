// Hints: which zones and nodes an endpoint is meant for (KEP-2433, KEP-4444, KEP-3015). Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/slice_pack.h"

namespace causeway::control {

enum class HintMode {
  None,
  SameZone,  // PreferSameZone, PreferClose: each ready endpoint is for its own zone
  SameNode,  // PreferSameNode: for its own node too
  Auto,      // the annotation topology-mode: endpoints dealt out by the zones' share of CPUs
};
// The annotations are deprecated, and stronger than spec.trafficDistribution; the older of them is the strongest.
HintMode hint_mode(const kube::Service& service);

// Each zone's share of the CPUs of ready nodes that are no control plane. Empty: fewer than two zones, or a node that
// does not say its zone or its CPUs.
using ZoneShares = std::map<std::string, double>;
ZoneShares zone_shares(const std::vector<const kube::Node*>& nodes);

using ZoneCounts = std::map<std::string, int>;
// Endpoints are dealt out so that no zone's are more than 20 % above their share; more often the dealing is kept.
// Whether a zone has become so now.
bool overloaded(const ZoneCounts& dealt, const ZoneShares& shares);

struct HintOutcome {
  ZoneCounts dealt;     // Auto only
  std::string refused;  // Auto only: why there are no hints
};
// Writes the hints of what is created and updated; unchanged slices whose hints are wrong become updates. The slices
// are of one address type.
HintOutcome write_hints(HintMode mode, const ZoneShares& shares, SliceSet& slices);

}  // namespace causeway::control
