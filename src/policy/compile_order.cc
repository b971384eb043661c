#include "policy/compile_order.h"

#include <algorithm>

namespace causeway::policy {

namespace {

constexpr uint32_t kFirst = 1, kEnd = Choice::kLast - 1;
// Between new neighbours: names that count upwards come one behind the other.
constexpr uint32_t kStride = 256;

uint32_t width(const PolicyState& policy) {
  return static_cast<uint32_t>(std::max({size_t{1}, policy.policy->ingress.size(), policy.policy->egress.size()}));
}

}  // namespace

void PolicyOrder::insert(PolicyState& policy, const std::function<void(PolicyState&)>& moved) {
  const auto at = order_.insert(&policy).first;
  const auto low_of = [&](Order::iterator one) {
    return one == order_.begin() ? kFirst : (*std::prev(one))->rank + width(**std::prev(one));
  };
  const auto high_of = [&](Order::iterator end) { return end == order_.end() ? kEnd : (*end)->rank; };
  const uint32_t low = low_of(at), high = high_of(std::next(at)), wide = width(policy);
  if (policy.rank >= low && uint64_t{policy.rank} + wide <= high) return;
  if (uint64_t{low} + wide <= high) {
    policy.rank = low + std::min((high - low - wide) / 2, kStride);
    return;
  }
  // Around it, as many as it takes to have room.
  auto first = at, last = std::next(at);
  uint64_t count = 1, needed = wide;
  for (size_t reach = 8;; reach *= 2) {
    for (size_t i = 0; i < reach && first != order_.begin(); ++i, ++count) needed += width(**--first);
    for (size_t i = 0; i < reach && last != order_.end(); ++i, ++count) needed += width(**last++);
    const uint64_t room = high_of(last) - low_of(first);
    const bool all = first == order_.begin() && last == order_.end();
    if (!all && room < needed + count * (kStride / 8)) continue;
    spread(first, last, low_of(first), high_of(last), [&](PolicyState& one) {
      if (&one != &policy) moved(one);
    });
    return;
  }
}

void PolicyOrder::number_all() {
  spread(order_.begin(), order_.end(), kFirst, kEnd, [](PolicyState&) {});
}

void PolicyOrder::spread(Order::iterator first, Order::iterator last, uint32_t low, uint32_t high,
                         const std::function<void(PolicyState&)>& moved) {
  uint64_t count = 0, needed = 0;
  for (auto at = first; at != last; ++at, ++count) needed += width(**at);
  if (count == 0) return;
  const uint64_t room = high - low, gap = room > needed ? (room - needed) / (count + 1) : 0;
  uint64_t next = low + gap;
  for (auto at = first; at != last; ++at) {
    PolicyState& policy = **at;
    const auto rank = static_cast<uint32_t>(std::min<uint64_t>(next, kEnd));
    next += width(policy) + gap;
    if (std::exchange(policy.rank, rank) != rank) moved(policy);
  }
}

}  // namespace causeway::policy
