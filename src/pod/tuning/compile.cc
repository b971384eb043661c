#include "pod/tuning/compile.h"

#include <algorithm>

namespace causeway::pod {
namespace {

constexpr uint64_t kEthernet = 14 + 4;  // header, and a VLAN tag at most

}  // namespace

std::string to_string(const Bucket& bucket) {
  return fmt::format("tbf rate {}bps burst {}b limit {}b", bucket.rate, bucket.burst, bucket.limit);
}

Bucket compile_bucket(const Limit& limit, uint32_t mtu) {
  const uint64_t rate = std::max<uint64_t>(limit.rate / 8, 1);
  const uint64_t frame = mtu + kEthernet;
  // 25 ms of the rate, ten frames at least: a filter that comes to run late catches up, and on machines whose processor
  // is taken away it does by as much (with 4 ms the rate was a third too low there); small beside what a second
  // carries. Larger segments are cut by the filter itself.
  const uint64_t suits = std::max(rate / 40, 10 * frame);
  const uint64_t burst = std::clamp<uint64_t>(limit.burst ? limit.burst / 8 : suits, frame, UINT32_MAX / 2);
  // 25 ms may wait, as in the CNI project's plugin, but never less than four of the largest segments that TCP hands
  // down and that receive offload makes: where one does not fit its tail is lost each time, and a Pod limited to 10
  // Mbit/s sends 7.7. A Pod's own sockets do not fill more than they need (TCP small queues).
  const uint64_t queue = std::max<uint64_t>(rate / 40, 4 * 65536);
  return {.rate = rate, .burst = uint32_t(burst), .limit = uint32_t(std::min<uint64_t>(queue + burst, UINT32_MAX))};
}

std::string differs(const std::optional<Bucket>& found, const std::optional<Limit>& wanted, uint32_t mtu) {
  if (!wanted) return found ? fmt::format("is shaped ({}) and should not be", *found) : "";
  const auto bucket = compile_bucket(*wanted, mtu);
  if (!found) return fmt::format("is not shaped; should be {}", bucket);
  // The kernel tells a burst as the time that it takes, in 32 bits of 64 ns.
  const double tick = double(bucket.rate) * 64e-9 + 1;
  const bool told = double(bucket.burst) < double(bucket.rate) * 64e-9 * UINT32_MAX;
  if (found->rate == bucket.rate && found->limit == bucket.limit &&
      (!told || (found->burst + tick >= bucket.burst && found->burst <= bucket.burst + tick)))
    return "";
  return fmt::format("is shaped as {}; should be {}", *found, bucket);
}

}  // namespace causeway::pod
