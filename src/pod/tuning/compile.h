// From what a Pod asks to what the kernel is told. Pure.
#pragma once

#include "pod/tuning/tuning.h"

namespace causeway::pod {

// A token bucket filter: bytes per second, bytes that may pass at once, bytes that wait at most.
struct Bucket {
  uint64_t rate = 0;
  uint32_t burst = 0;
  uint32_t limit = 0;
  auto operator<=>(const Bucket&) const = default;
};
std::string to_string(const Bucket& bucket);

// The filter for one direction of a link with this MTU. A burst smaller than a frame is raised to one: nothing would
// pass.
Bucket compile_bucket(const Limit& limit, uint32_t mtu);

// Why the kernel's shaping is not what was asked for; "" when it is. The kernel rounds a burst to 64 ns of the rate.
std::string differs(const std::optional<Bucket>& found, const std::optional<Limit>& wanted, uint32_t mtu);

}  // namespace causeway::pod
