#include "pod/tuning/tuning.h"

#include <charconv>
#include <cmath>

namespace causeway::pod {
namespace {

constexpr uint64_t kMinRate = 8;                          // bits per second: the kernel counts bytes
constexpr uint64_t kMaxRate = 1'000'000'000'000;          // 1 Tbit/s
constexpr uint64_t kMaxBurst = uint64_t{8} * UINT32_MAX;  // what the kernel can hold, bits
// containerd and CRI-O send 2^32-1, older runtimes 2^31-1, because the Pod's annotations have no burst.
constexpr uint64_t kNoBurst = INT32_MAX;

std::string limit_word(const std::optional<Limit>& limit) {
  return limit ? fmt::format("{}/{}", limit->rate, limit->burst) : "";
}

bool parse_number(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_limit_word(std::string_view word, std::optional<Limit>& limit) {
  if (word.empty()) return true;
  const size_t slash = word.find('/');
  if (slash == std::string_view::npos) return false;
  limit.emplace();
  return parse_number(word.substr(0, slash), limit->rate) && parse_number(word.substr(slash + 1), limit->burst) &&
         limit->rate >= kMinRate && limit->rate <= kMaxRate && limit->burst <= kMaxBurst;
}

}  // namespace

std::string to_string(const Bandwidth& bandwidth) {
  if (bandwidth.none()) return "-";
  return limit_word(bandwidth.ingress) + ":" + limit_word(bandwidth.egress);
}

Result<Bandwidth> parse_bandwidth(std::string_view word) {
  Bandwidth bandwidth;
  if (word == "-") return bandwidth;
  const size_t colon = word.find(':');
  if (colon == std::string_view::npos || !parse_limit_word(word.substr(0, colon), bandwidth.ingress) ||
      !parse_limit_word(word.substr(colon + 1), bandwidth.egress))
    return fail(Errc::Invalid, "bandwidth \"{}\": not IN/BURST:OUT/BURST", word);
  return bandwidth;
}

Result<std::optional<Limit>> parse_limit(std::string_view which, std::optional<double> rate,
                                         std::optional<double> burst) {
  const double bits = rate.value_or(0), extra = burst.value_or(0);
  if (!std::isfinite(bits) || !std::isfinite(extra) || bits < 0 || extra < 0 || std::floor(bits) != bits ||
      std::floor(extra) != extra)
    return fail(Errc::Invalid, "{}Rate {} and {}Burst {} must be whole numbers of bits, not negative", which, bits,
                which, extra);
  if (bits == 0 && extra == 0) return std::nullopt;
  if (bits == 0) return fail(Errc::Invalid, "{0}Burst {1} without {0}Rate: a burst needs a rate", which, extra);
  if (extra == 0) return fail(Errc::Invalid, "{0}Rate {1} without {0}Burst: a rate needs a burst", which, bits);
  if (bits < double(kMinRate) || bits > double(kMaxRate))
    return fail(Errc::Invalid, "{}Rate {:.0f} must be from {} bit/s to {} bit/s", which, bits, kMinRate, kMaxRate);
  if (extra > double(kMaxBurst))
    return fail(Errc::Invalid, "{}Burst {:.0f} must be at most {} bits (4 GB)", which, extra, kMaxBurst);
  return Limit{.rate = uint64_t(bits), .burst = extra >= double(kNoBurst) ? 0 : uint64_t(extra)};
}

}  // namespace causeway::pod
