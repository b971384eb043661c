// Times and strings of the wire format.
#include "kube/api/codec.h"
#include "kube/api/codec_encode.h"

namespace causeway::kube {

namespace {

// The length of the valid UTF-8 sequence at the front of `text`, or 0 (RFC 3629: no surrogates, nothing above U+10FFFF,
// no overlong form).
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  auto tail = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (lead == 0xe0 && byte(1) < 0xa0) return 0;
    if (lead == 0xed && byte(1) > 0x9f) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (lead == 0xf0 && byte(1) < 0x90) return 0;
    if (lead == 0xf4 && byte(1) > 0x8f) return 0;
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

// `count` digits at the front of `text`, removed from it; -1 if there are fewer.
int take_digits(std::string_view& text, size_t count) {
  if (text.size() < count) return -1;
  int value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}
bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

struct Civil {
  int year, month, day, hour, minute, second, micro;
};
Civil civil(Time time) {
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(time - day);
  return {static_cast<int>(date.year()),
          static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day())),
          static_cast<int>(clock.hours().count()),
          static_cast<int>(clock.minutes().count()),
          static_cast<int>(clock.seconds().count()),
          static_cast<int>(clock.subseconds().count())};
}

}  // namespace

void codec::append_quoted(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    auto c = static_cast<uint8_t>(text.front());
    size_t length = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text.front();
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else if (c < 0x80) {
      out += text.front();
    } else if ((length = utf8_length(text)) != 0) {
      out += text.substr(0, length);
    } else {
      out += "\xef\xbf\xbd";
      length = 1;
    }
    text.remove_prefix(length);
  }
  out += '"';
}

std::string json_quote(std::string_view text) {
  std::string out;
  codec::append_quoted(out, text);
  return out;
}

std::string format_time(Time time) {
  auto [year, month, day, hour, minute, second, micro] = civil(time);
  (void)micro;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", year, month, day, hour, minute, second);
}

std::string format_micro_time(Time time) {
  auto [year, month, day, hour, minute, second, micro] = civil(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", year, month, day, hour, minute, second, micro);
}

Result<Time> parse_time(std::string_view text) {
  auto whole = text;
  auto bad = [&] { return fail(Errc::Invalid, "\"{}\" is no RFC 3339 time", whole); };
  int year = take_digits(text, 4);
  if (year < 0 || !take(text, '-')) return bad();
  int month = take_digits(text, 2);
  if (month < 0 || !take(text, '-')) return bad();
  int day = take_digits(text, 2);
  if (day < 0 || !(take(text, 'T') || take(text, 't'))) return bad();
  int hour = take_digits(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ':')) return bad();
  int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59 || !take(text, ':')) return bad();
  int second = take_digits(text, 2);
  if (second < 0 || second > 60) return bad();
  int64_t micro = 0;
  if (take(text, '.')) {
    int64_t unit = 100'000;
    bool any = false;
    for (int digit; (digit = take_digits(text, 1)) >= 0; unit /= 10, any = true) micro += digit * unit;
    if (!any) return bad();
  }
  int offset = 0;
  if (!(take(text, 'Z') || take(text, 'z'))) {
    int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
    int hours = take_digits(text, 2);
    if (sign == 0 || hours < 0 || hours > 23 || !take(text, ':')) return bad();
    int minutes = take_digits(text, 2);
    if (minutes < 0 || minutes > 59) return bad();
    offset = sign * (hours * 60 + minutes);
  }
  std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day)));
  if (!text.empty() || !date.ok()) return bad();
  const Time time = Time(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
                    std::chrono::minutes(minute - offset) + std::chrono::seconds(second) +
                    std::chrono::microseconds(micro);
  // The offset may lead out of the years that four digits can say.
  if (auto in_utc = civil(time).year; in_utc < 0 || in_utc > 9999) return bad();
  return time;
}

}  // namespace causeway::kube
