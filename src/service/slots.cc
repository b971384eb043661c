#include "service/slots.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace causeway::service {

namespace {

bool equal_weights(const std::vector<Share>& shares) {
  return std::ranges::all_of(shares, [&](const Share& share) { return share.weight == shares.front().weight; });
}

// Turns spread evenly: the k-th slot of a backend with n of them is at (k + 1/2) / n of the way.
std::vector<uint32_t> in_turns(const std::vector<Share>& shares) {
  struct Place {
    double at;
    uint32_t backend;
  };
  std::vector<Place> places;
  const auto counts = repetitions(shares);
  for (size_t i = 0; i < shares.size(); ++i)
    for (uint32_t k = 0; k < counts[i]; ++k) places.push_back({(k + 0.5) / counts[i], shares[i].backend});
  std::ranges::sort(places, {}, [](const Place& place) { return std::pair(place.at, place.backend); });
  std::vector<uint32_t> slots;
  slots.reserve(places.size());
  for (const Place& place : places) slots.push_back(place.backend);
  return slots;
}

// Keeps what is there and wanted, fills the holes with what is wanted and not there, then with the last ones.
std::vector<uint32_t> closest(const std::vector<Share>& shares, const std::vector<uint32_t>& counts,
                              const std::vector<uint32_t>& now) {
  std::unordered_map<uint32_t, uint32_t> left;
  left.reserve(shares.size());
  for (size_t i = 0; i < shares.size(); ++i) left[shares[i].backend] += counts[i];
  std::vector<uint32_t> slots = now;
  std::vector<size_t> holes;
  for (size_t i = 0; i < slots.size(); ++i) {
    auto it = left.find(slots[i]);
    if (it != left.end() && it->second)
      --it->second;
    else
      holes.push_back(i);
  }
  size_t hole = 0;
  for (const Share& share : shares)
    for (uint32_t& n = left[share.backend]; n; --n) {
      if (hole < holes.size())
        slots[holes[hole++]] = share.backend;
      else
        slots.push_back(share.backend);
    }
  for (size_t last = holes.size(); last > hole; --last) {  // from the end: what is behind a hole is no hole
    slots[holes[last - 1]] = slots.back();
    slots.pop_back();
  }
  return slots;
}

}  // namespace

std::vector<uint32_t> repetitions(const std::vector<Share>& shares) {
  if (shares.empty() || equal_weights(shares)) return std::vector<uint32_t>(shares.size(), 1);
  uint32_t divisor = 0;
  uint64_t sum = 0;
  for (const Share& share : shares) {
    divisor = std::gcd(divisor, static_cast<uint32_t>(share.weight));
    sum += share.weight;
  }
  const uint64_t most = std::max<uint64_t>(1024, 8 * shares.size());
  std::vector<uint32_t> counts;
  counts.reserve(shares.size());
  for (const Share& share : shares)
    counts.push_back(sum / divisor <= most
                         ? share.weight / divisor
                         : static_cast<uint32_t>(std::max<uint64_t>(1, share.weight * (most - shares.size()) / sum)));
  return counts;
}

bool follow_one_another(const std::vector<uint32_t>& slots) {
  const auto gap = [](uint32_t a, uint32_t b) { return b != a + 1; };
  return !slots.empty() && slots.front() != 0 && std::ranges::adjacent_find(slots, gap) == slots.end();
}

SlotPlan plan_slots(Algorithm algorithm, const std::vector<Share>& shares, const std::vector<uint32_t>& now) {
  SlotPlan plan;
  if (algorithm == Algorithm::SourceHash) {
    plan.slots = maglev(shares, maglev_size(shares.size()));
  } else if (algorithm == Algorithm::RoundRobin && !equal_weights(shares)) {
    plan.slots = in_turns(shares);
  } else {
    // Least connections and least load weigh by themselves, by the backends' rows.
    const bool weighs = algorithm == Algorithm::Random || algorithm == Algorithm::RoundRobin;
    plan.slots = closest(shares, weighs ? repetitions(shares) : std::vector<uint32_t>(shares.size(), 1), now);
  }
  for (uint32_t i = 0; i < plan.slots.size(); ++i)
    if (i >= now.size() || plan.slots[i] != now[i]) plan.changed.push_back(i);
  plan.in_place = !now.empty() && plan.changed.size() <= std::max<size_t>(1, plan.slots.size() / 4);
  return plan;
}

}  // namespace causeway::service
