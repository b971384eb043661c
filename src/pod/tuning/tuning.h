// What a Pod asks of its interface beyond addresses, as values: bandwidth, MAC, MTU and sysctls. The journal keeps
// them, CHECK compares the kernel with them.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/ip.h"

namespace causeway::pod {

// A rate that is not exceeded, seen on the wire: whole Ethernet frames count.
struct Limit {
  uint64_t rate = 0;   // bits per second, at least 8
  uint64_t burst = 0;  // bits that may pass at once above it; 0: what suits the rate
  auto operator<=>(const Limit&) const = default;
};

// As the Pod sees it: what comes in, what goes out.
struct Bandwidth {
  std::optional<Limit> ingress;
  std::optional<Limit> egress;
  auto operator<=>(const Bandwidth&) const = default;
  bool none() const { return !ingress && !egress; }
};
// One word, for the journal: "10000000/0:5000000/80000" is in, its burst, out, its burst; "-" for none.
std::string to_string(const Bandwidth& bandwidth);
Result<Bandwidth> parse_bandwidth(std::string_view word);

// One direction of the capability `bandwidth` (bits per second, bits), by the rules of the CNI project's plugin: both
// positive or both absent (0), at most 4 GB of burst. Runtimes that have no burst to pass send 2^31-1 or more, which
// would let half a gigabyte pass unshaped: taken as "what suits the rate". `which` names the keys in the error.
Result<std::optional<Limit>> parse_limit(std::string_view which, std::optional<double> rate,
                                         std::optional<double> burst);

struct Tuning {
  Bandwidth bandwidth;
  std::optional<Mac> mac;                      // absent: derived from the address
  std::map<std::string, std::string> sysctls;  // "net.ipv4.tcp_fin_timeout" -> "20"; checked by check_sysctl()
  bool operator==(const Tuning&) const = default;
};

}  // namespace causeway::pod
