#include "control/zone_hints.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "control/endpoint_of.h"
#include "kube/api/quantity.h"

namespace causeway::control {
namespace {

constexpr double kOverload = 0.2;

bool is_ready(const kube::SliceEndpoint& endpoint) { return endpoint.conditions.ready.value_or(false); }

kube::EndpointHints hints_for_zone(const std::string& zone) { return {.for_zones = {{.name = zone}}}; }

// What the endpoint's hints shall be: nothing, or its own place.
std::optional<kube::EndpointHints> own_place(HintMode mode, const kube::SliceEndpoint& endpoint) {
  kube::EndpointHints hints;
  if (endpoint.zone) hints.for_zones = {{.name = *endpoint.zone}};
  if (mode == HintMode::SameNode && endpoint.node_name) hints.for_nodes = {{.name = *endpoint.node_name}};
  if (hints == kube::EndpointHints{}) return std::nullopt;
  return hints;
}

// Applies wanted(endpoint) to all; touches unchanged slices only where it makes a difference.
template <class Wanted>
void set_hints(SliceSet& slices, Wanted wanted) {
  for (auto* list : {&slices.create, &slices.update})
    for (auto& slice : *list)
      for (auto& endpoint : slice.endpoints) endpoint.hints = wanted(endpoint);
  std::erase_if(slices.unchanged, [&](kube::EndpointSlice& slice) {
    bool differs = false;
    for (auto& endpoint : slice.endpoints) {
      auto hints = wanted(endpoint);
      differs = differs || endpoint.hints != hints;
      endpoint.hints = std::move(hints);
    }
    if (differs) slices.update.push_back(std::move(slice));
    return differs;
  });
}

struct Allocation {
  int minimum = 0, maximum = 0;
  double desired = 0;
};
using Allocations = std::map<std::string, Allocation>;

std::string allocate(const ZoneShares& shares, int endpoints, Allocations& allocations) {
  if (shares.empty())
    return "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
  if (int(shares.size()) > endpoints)
    return fmt::format("Insufficient number of endpoints ({} endpoints, {} zones)", endpoints, shares.size());
  int total = 0;
  for (const auto& [zone, share] : shares) {
    const double desired = share * endpoints;
    const int minimum = int(std::ceil(desired / (1 + kOverload)));
    allocations[zone] = {.minimum = minimum, .desired = std::max(desired, double(minimum))};
    total += minimum;
  }
  if (total > endpoints)
    return fmt::format(
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ({} "
        "endpoints, {} zones)",
        endpoints, shares.size());
  for (auto& [zone, allocation] : allocations) allocation.maximum = allocation.minimum + endpoints - total;
  return "";
}

// The hints that an untouched slice has, if they may stay.
std::optional<ZoneCounts> kept_hints(const kube::EndpointSlice& slice, const ZoneCounts& dealt,
                                     const Allocations& allocations) {
  ZoneCounts counts;
  for (const auto& endpoint : slice.endpoints) {
    if (!is_ready(endpoint)) continue;
    if (!endpoint.hints || endpoint.hints->for_zones.empty()) return std::nullopt;
    for (const auto& zone : endpoint.hints->for_zones) {
      if (!allocations.contains(zone.name)) return std::nullopt;
      ++counts[zone.name];
    }
  }
  for (const auto& [zone, count] : counts) {
    const auto before = dealt.find(zone);
    if (count + (before == dealt.end() ? 0 : before->second) > allocations.at(zone).maximum) return std::nullopt;
  }
  return counts;
}

std::pair<std::string, double> most(const std::map<std::string, double>& zones) {
  std::pair<std::string, double> found;
  for (const auto& [zone, number] : zones)
    if (number > found.second) found = {zone, number};
  return found;
}

// How many endpoints each zone has to give, and how many it has to get.
void balance(const Allocations& allocations, const ZoneCounts& dealt, ZoneCounts& giving, ZoneCounts& receiving) {
  std::map<std::string, double> surplus, lack;
  for (const auto& [zone, allocation] : allocations) {
    const auto has = dealt.find(zone);
    const double difference = (has == dealt.end() ? 0 : has->second) - allocation.desired;
    if (difference > 0) surplus[zone] = difference;
    if (difference < 0) lack[zone] = -difference;
  }
  for (;;) {
    const auto [from, gives] = most(surplus);
    const auto [to, gets] = most(lack);
    if (from.empty() || to.empty() || (gives < 1 && gets < 1) || gives < 0.5 || gets < 0.5) return;
    ++giving[from];
    --surplus[from];
    ++receiving[to];
    --lack[to];
  }
}

void redistribute(std::vector<kube::EndpointSlice*>& slices, ZoneCounts giving, ZoneCounts receiving,
                  ZoneCounts& dealt) {
  for (auto* slice : slices)
    for (auto& endpoint : slice->endpoints) {
      if (!is_ready(endpoint) || !endpoint.zone) continue;
      const auto from = giving.find(*endpoint.zone);
      if (from == giving.end() || receiving.empty()) continue;
      const auto to = receiving.begin();
      endpoint.hints = hints_for_zone(to->first);
      ++dealt[to->first];
      --dealt[from->first];
      if (--from->second == 0) giving.erase(from);
      if (--to->second == 0) receiving.erase(to);
    }
}

HintOutcome deal_out(const ZoneShares& shares, SliceSet& slices) {
  int ready = 0;
  bool zoned = true;
  for (auto* list : {&slices.create, &slices.update, &slices.unchanged})
    for (const auto& slice : *list)
      for (const auto& endpoint : slice.endpoints) {
        if (!is_ready(endpoint)) continue;
        ++ready;
        zoned = zoned && endpoint.zone && !endpoint.zone->empty();
      }
  HintOutcome outcome;
  Allocations allocations;
  outcome.refused = allocate(shares, ready, allocations);
  if (outcome.refused.empty() && !zoned) outcome.refused = "One or more endpoints do not have a zone specified";
  if (!outcome.refused.empty()) return outcome;

  std::erase_if(slices.unchanged, [&](kube::EndpointSlice& slice) {
    const auto kept = kept_hints(slice, outcome.dealt, allocations);
    if (!kept) {
      slices.update.push_back(std::move(slice));
      return true;
    }
    for (const auto& [zone, count] : *kept) outcome.dealt[zone] += count;
    return false;
  });
  std::vector<kube::EndpointSlice*> open;
  for (auto* list : {&slices.create, &slices.update})
    for (auto& slice : *list) open.push_back(&slice);
  for (auto* slice : open)
    for (auto& endpoint : slice->endpoints) {
      endpoint.hints.reset();
      if (!is_ready(endpoint)) continue;
      endpoint.hints = hints_for_zone(*endpoint.zone);
      ++outcome.dealt[*endpoint.zone];
    }
  ZoneCounts giving, receiving;
  balance(allocations, outcome.dealt, giving, receiving);
  redistribute(open, std::move(giving), std::move(receiving), outcome.dealt);
  if (outcome.dealt.empty()) outcome.refused = "No hints allocated for zones";
  return outcome;
}

}  // namespace

HintMode hint_mode(const kube::Service& service) {
  const auto& annotations = service.metadata.annotations;
  auto found = annotations.find("service.kubernetes.io/topology-aware-hints");
  if (found == annotations.end()) found = annotations.find("service.kubernetes.io/topology-mode");
  if (found != annotations.end() && (found->second == "Auto" || found->second == "auto")) return HintMode::Auto;
  const auto distribution = service.spec.traffic_distribution.value_or("");
  if (distribution == "PreferSameNode") return HintMode::SameNode;
  if (distribution == "PreferSameZone" || distribution == "PreferClose") return HintMode::SameZone;
  return HintMode::None;
}

ZoneShares zone_shares(const std::vector<const kube::Node*>& nodes) {
  std::map<std::string, int64_t> cpus;
  int64_t total = 0;
  for (const auto* node : nodes) {
    const auto& labels = node->metadata.labels;
    if (labels.contains("node-role.kubernetes.io/control-plane") || labels.contains("node-role.kubernetes.io/master"))
      continue;
    const auto* ready = kube::find_condition(node->status.conditions, "Ready");
    if (!ready || ready->status != "True") continue;
    const auto zone = labels.find(kZoneLabel);
    const auto cpu = node->status.allocatable.find("cpu");
    if (zone == labels.end() || zone->second.empty() || cpu == node->status.allocatable.end()) return {};
    const auto milli = kube::parse_quantity_milli(cpu->second);
    if (!milli || *milli <= 0) return {};
    cpus[zone->second] += *milli;
    total += *milli;
  }
  if (cpus.size() < 2) return {};
  ZoneShares shares;
  for (const auto& [zone, milli] : cpus) shares[zone] = double(milli) / double(total);
  return shares;
}

bool overloaded(const ZoneCounts& dealt, const ZoneShares& shares) {
  if (dealt.empty()) return false;
  if (shares.empty()) return true;
  int total = 0;
  for (const auto& [zone, count] : dealt) total += count;
  return std::ranges::any_of(shares, [&](const auto& share) {
    const auto has = dealt.find(share.first);
    return has == dealt.end() || has->second < int(std::ceil(total * share.second / (1 + kOverload)));
  });
}

HintOutcome write_hints(HintMode mode, const ZoneShares& shares, SliceSet& slices) {
  using Hints = std::optional<kube::EndpointHints>;
  if (mode == HintMode::Auto) {
    auto outcome = deal_out(shares, slices);
    if (outcome.refused.empty()) return outcome;
    set_hints(slices, [](const auto&) { return Hints(); });
    return {.refused = std::move(outcome.refused)};
  }
  set_hints(slices, [mode](const kube::SliceEndpoint& endpoint) {
    return mode != HintMode::None && is_ready(endpoint) ? own_place(mode, endpoint) : Hints();
  });
  return {};
}

}  // namespace causeway::control
