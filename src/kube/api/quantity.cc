#include "kube/api/quantity.h"

#include <limits>

namespace causeway::kube {

namespace {

using Wide = __int128;
constexpr Wide kMost = std::numeric_limits<int64_t>::max();

// What one unit of the suffix is in thousandths, as numerator and denominator; numerator 0: no such suffix.
struct Scale {
  Wide numerator = 0;
  Wide denominator = 1;
};
Scale scale_of(std::string_view suffix) {
  if (suffix.empty()) return {1000};
  if (suffix == "n") return {1, 1'000'000};
  if (suffix == "u") return {1, 1000};
  if (suffix == "m") return {1};
  static constexpr std::string_view kDecimal = "kMGTPE", kBinary = "KMGTPE";
  if (suffix.size() == 1) {
    size_t power = kDecimal.find(suffix[0]);
    if (power == std::string_view::npos) return {};
    Wide scale = 1000;
    for (size_t i = 0; i <= power; ++i) scale *= 1000;
    return {scale};
  }
  if (suffix.size() == 2 && suffix[1] == 'i') {
    size_t power = kBinary.find(suffix[0]);
    if (power == std::string_view::npos) return {};
    return {Wide{1000} << (10 * (power + 1))};
  }
  if (suffix[0] != 'e' && suffix[0] != 'E') return {};
  suffix.remove_prefix(1);
  bool negative = suffix.front() == '-';
  if (negative || suffix.front() == '+') suffix.remove_prefix(1);
  int exponent = 0;
  if (suffix.empty() || suffix.size() > 2) return {};
  for (char c : suffix) {
    if (c < '0' || c > '9') return {};
    exponent = exponent * 10 + (c - '0');
  }
  if (exponent > 18) exponent = 18;  // saturates anyway
  Scale scale{1000};
  for (int i = 0; i < exponent; ++i) (negative ? scale.denominator : scale.numerator) *= 10;
  return scale;
}

}  // namespace

Result<int64_t> parse_quantity_milli(std::string_view text) {
  std::string_view whole = text;
  auto bad = [&] {
    return fail(Errc::Invalid,
                "\"{}\" is no quantity: quantities match "
                "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
                whole);
  };
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  Wide digits = 0;
  Wide divisor = 1;
  bool any = false, point = false, dropped = false;
  while (!text.empty() && ((text[0] >= '0' && text[0] <= '9') || (text[0] == '.' && !point))) {
    if (text[0] == '.')
      point = true;
    else {
      any = true;
      if (digits < kMost) {
        digits = digits * 10 + (text[0] - '0');
        if (point) divisor *= 10;
      } else if (point) {
        dropped = dropped || text[0] != '0';
      } else {
        digits = kMost * 16;  // beyond int64 whatever follows
      }
    }
    text.remove_prefix(1);
  }
  Scale scale = scale_of(text);
  if (!any || scale.numerator == 0) return bad();
  if (digits > kMost) return negative ? -std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::max();
  // digits < 2^63 * 10 and numerator <= 10^21 may pass 128 bits: saturate before multiplying.
  Wide limit = (Wide{1} << 126) / scale.numerator;
  if (digits > limit) return negative ? -std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::max();
  Wide below = divisor * scale.denominator;
  Wide product = digits * scale.numerator;
  Wide value = product / below;
  if (product % below != 0 || dropped) ++value;
  if (value > kMost) value = kMost;
  return static_cast<int64_t>(negative ? -value : value);
}

}  // namespace causeway::kube
