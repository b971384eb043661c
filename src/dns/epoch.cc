#include "dns/epoch.h"

#include <algorithm>
#include <cstdlib>

namespace causeway::dns {

Epochs::Reader::Reader(Epochs& epochs) : epochs_(epochs) {
  for (Slot& slot : epochs.slots_)
    if (!slot.taken.exchange(true)) {
      slot_ = &slot;
      return;
    }
  std::abort();
}

void Epochs::reclaim() {
  if (retired_.empty()) return;
  // Who sees the new epoch came after everything that is retired by now was out of reach.
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  uint64_t oldest = kIdle;
  for (const Slot& slot : slots_) oldest = std::min(oldest, slot.seen.load(std::memory_order_seq_cst));
  const auto kept = std::ranges::find_if(retired_, [&](const Retired& each) { return each.epoch >= oldest; });
  for (auto it = retired_.begin(); it != kept; ++it) it->free(it->what);
  retired_.erase(retired_.begin(), kept);
}

}  // namespace causeway::dns
