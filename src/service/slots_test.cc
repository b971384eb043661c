#include "service/slots.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

using namespace causeway;
using namespace causeway::service;

namespace {

std::vector<Share> shares(uint32_t n, uint16_t weight = 1) {
  std::vector<Share> out;
  for (uint32_t i = 0; i < n; ++i) out.push_back({{Ip::v4(0x0a010001 + i), 80}, i + 1, weight});
  return out;
}
std::map<uint32_t, uint32_t> count(const std::vector<uint32_t>& slots) {
  std::map<uint32_t, uint32_t> out;
  for (uint32_t slot : slots) ++out[slot];
  return out;
}

}  // namespace

TEST_CASE("weights are repetitions without their common divisor, and bounded") {
  auto of = shares(3);
  of[0].weight = 10, of[1].weight = 20, of[2].weight = 40;
  CHECK(repetitions(of) == std::vector<uint32_t>{1, 2, 4});
  CHECK(repetitions(shares(3, 65535)) == std::vector<uint32_t>{1, 1, 1});
  of[0].weight = 1, of[1].weight = 65535, of[2].weight = 32768;
  const auto bounded = repetitions(of);
  CHECK(bounded[0] == 1);
  CHECK(bounded[0] + bounded[1] + bounded[2] <= 1024);
  CHECK(bounded[1] == doctest::Approx(2 * bounded[2]).epsilon(0.02));
}

TEST_CASE("slots that may stay do") {
  auto of = shares(100);
  const auto before = plan_slots(Algorithm::Random, of, {}).slots;
  CHECK(before.size() == 100);
  of.erase(of.begin() + 10);
  const auto less = plan_slots(Algorithm::Random, of, before);
  CHECK(less.slots.size() == 99);
  CHECK(less.changed == std::vector<uint32_t>{10});
  CHECK(less.in_place);
  of.push_back({{Ip::v4(1), 80}, 777});
  const auto more = plan_slots(Algorithm::Random, of, less.slots);
  CHECK(more.changed == std::vector<uint32_t>{99});
  CHECK_FALSE(plan_slots(Algorithm::Random, shares(50), before).slots.size() != 50);
  CHECK(plan_slots(Algorithm::Random, {}, before).slots.empty());
}

TEST_CASE("weighted turns are spread, not in a row") {
  auto of = shares(2);
  of[0].weight = 3;
  CHECK(plan_slots(Algorithm::RoundRobin, of, {}).slots == std::vector<uint32_t>{1, 1, 2, 1});
}

TEST_CASE("least connections weighs by itself: one slot for each") {
  auto of = shares(2);
  of[0].weight = 3;
  CHECK(plan_slots(Algorithm::LeastConnections, of, {}).slots.size() == 2);
}

TEST_CASE("Maglev: a prime, even shares by weight, the same whatever the order") {
  for (const size_t n : {1, 2, 3, 10, 11, 100, 1000, 5000}) {
    const uint32_t size = maglev_size(n);
    for (uint32_t d = 2; d * d <= size; ++d) CHECK(size % d != 0);
    CHECK((size >= 100 * n || size == 65537));
  }
  auto of = shares(10);
  of[3].weight = 2;
  const auto table = maglev(of, 1021);
  for (const auto& [backend, times] : count(table)) {
    CAPTURE(backend);
    CHECK(times == doctest::Approx(backend == 4 ? 2 * 1021 / 11 : 1021 / 11).epsilon(0.03));
  }
  std::ranges::reverse(of);
  CHECK(maglev(of, 1021) == table);
}

TEST_CASE("Maglev: when an endpoint goes, the flows of the others stay") {
  auto of = shares(40);
  const auto before = maglev(of, 4093);
  of.erase(of.begin() + 7);
  const auto after = maglev(of, 4093);
  uint32_t moved = 0, lost = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == 8)
      ++lost;
    else if (before[i] != after[i])
      ++moved;
  }
  CHECK(lost > 80);
  CHECK(moved < 4093 / 20);  // the paper's figure 12: some per cent
  // The same size: the change is written in place.
  CHECK(plan_slots(Algorithm::SourceHash, of, before).in_place);
}
