#include "dns/corefile_words.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace causeway::dns {

Result<ZoneText> parse_zone(const Word& word) {
  std::string text = word.text;
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (text == ".") return text;
  if (text.empty() || text.back() != '.') text += '.';
  if (text.size() > 254) return refuse(word.place, "\"{}\" is longer than a DNS name can be", word.text);
  size_t label = 0;
  for (char c : text) {
    const bool ends = c == '.';
    if ((ends && label == 0) || label > 63)
      return refuse(word.place, "\"{}\" is no DNS name: its labels must have 1 to 63 characters", word.text);
    if (!ends && (static_cast<unsigned char>(c) <= ' ' || c == '{' || c == '}' || c == '/' || c == ':' || c == '\\'))
      return refuse(word.place, "\"{}\" is no DNS name: it has the character '{}'", word.text, c);
    label = ends ? 0 : label + 1;
  }
  return text;
}

namespace {

// 10.20.0.0/14 -> 20.10.in-addr.arpa. … 23.10.in-addr.arpa.: zones end where an octet (v6: a nibble) does.
std::vector<ZoneText> reverse_zones(const Cidr& cidr) {
  const int step = cidr.address().is_v4() ? 8 : 4;
  const int prefix = (cidr.prefix() + step - 1) / step * step;
  std::vector<ZoneText> zones;
  for (int i = 0; i < 1 << (prefix - cidr.prefix()); ++i) {
    ZoneText zone = cidr.address().is_v4() ? "in-addr.arpa." : "ip6.arpa.";
    for (int bit = 0; bit < prefix; bit += step) {
      int digit = cidr.address().bytes()[static_cast<size_t>(bit / 8)];
      if (step == 4) digit = bit % 8 == 0 ? digit >> 4 : digit & 15;
      if (bit + step == prefix) digit |= i;
      zone = (step == 4 ? fmt::format("{:x}.", digit) : fmt::format("{}.", digit)) + zone;
    }
    zones.push_back(std::move(zone));
  }
  return zones;
}

}  // namespace

Result<std::vector<ZoneText>> parse_zones(const Word& word) {
  if (word.text.find('/') == std::string::npos) return std::vector<ZoneText>{TRY(parse_zone(word))};
  auto cidr = Cidr::parse(word.text);
  if (!cidr) return refuse(word.place, "{}", cidr.error().message());
  return reverse_zones(*cidr);
}

Result<std::vector<ZoneText>> parse_zones(const std::vector<Word>& words, size_t from) {
  std::vector<ZoneText> all;
  for (size_t i = from; i < words.size(); ++i) std::ranges::move(TRY(parse_zones(words[i])), std::back_inserter(all));
  return all;
}

Result<std::chrono::milliseconds> parse_duration(const Word& word) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {{"ms", 1},   {"us", 0.001}, {"ns", 0.000001},
                                                                   {"s", 1000}, {"m", 60000},  {"h", 3600000}};
  double sum = 0;
  const char *at = word.text.data(), *const end = at + word.text.size();
  const auto bad = [&] {
    return refuse(word.place, "\"{}\" is no duration: write it like 5s, 500ms or 1h30m", word.text);
  };
  if (at == end) return bad();
  while (at != end) {
    double value = 0;
    const auto [next, error] = std::from_chars(at, end, value, std::chars_format::fixed);
    if (error != std::errc() || value < 0) return bad();
    const std::string_view rest(next, end);
    if (rest.empty() && at == word.text.data()) return std::chrono::milliseconds(static_cast<int64_t>(value * 1000));
    const auto* unit = std::ranges::find_if(kUnits, [&](const auto& u) { return rest.starts_with(u.first); });
    if (unit == std::end(kUnits)) return bad();
    sum += value * unit->second;
    at = next + unit->first.size();
  }
  if (sum > 1e12) return bad();
  return std::chrono::milliseconds(static_cast<int64_t>(sum));
}

Result<uint64_t> parse_number(const Word& word, uint64_t low, uint64_t high) {
  uint64_t value = 0;
  const char* end = word.text.data() + word.text.size();
  const auto [next, error] = std::from_chars(word.text.data(), end, value);
  if (error != std::errc() || next != end || value < low || value > high)
    return refuse(word.place, "\"{}\" is no number from {} to {}", word.text, low, high);
  return value;
}

Result<uint16_t> parse_type(const Word& word) {
  static const std::map<std::string, uint16_t, std::less<>> kTypes = {
      {"A", 1},     {"NS", 2},    {"CNAME", 5},  {"SOA", 6},    {"PTR", 12},  {"HINFO", 13}, {"MX", 15},
      {"TXT", 16},  {"AAAA", 28}, {"SRV", 33},   {"NAPTR", 35}, {"DS", 43},   {"RRSIG", 46}, {"DNSKEY", 48},
      {"TLSA", 52}, {"SVCB", 64}, {"HTTPS", 65}, {"AXFR", 252}, {"ANY", 255}, {"CAA", 257}};
  std::string upper = word.text;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (const auto found = kTypes.find(upper); found != kTypes.end()) return found->second;
  if (upper.starts_with("TYPE"))  // RFC 3597
    return static_cast<uint16_t>(TRY(parse_number({.text = upper.substr(4), .place = word.place}, 1, 65535)));
  return refuse(word.place, "\"{}\" is no record type: write it like A, AAAA or TYPE65", word.text);
}

Result<uint8_t> parse_rcode(const Word& word) {
  static const std::map<std::string, uint8_t, std::less<>> kCodes = {{"NOERROR", 0},  {"FORMERR", 1}, {"SERVFAIL", 2},
                                                                     {"NXDOMAIN", 3}, {"NOTIMP", 4},  {"REFUSED", 5},
                                                                     {"YXDOMAIN", 6}, {"NOTAUTH", 9}, {"NOTZONE", 10}};
  std::string upper = word.text;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (const auto found = kCodes.find(upper); found != kCodes.end()) return found->second;
  return refuse(word.place, "\"{}\" is no response code: write NOERROR, SERVFAIL, NXDOMAIN, NOTIMP or REFUSED",
                word.text);
}

Status check_shape(const Directive& directive, size_t low, size_t high, bool braces) {
  const size_t count = directive.arguments.size();
  if (count < low)
    return refuse(directive.name.place, "{} needs {} argument{}", directive.name.text,
                  low == high ? fmt::format("{}", low) : fmt::format("at least {}", low), low == 1 ? "" : "s");
  if (count > high)
    return refuse(directive.arguments[high].place, "{}: remove \"{}\": {}", directive.name.text,
                  directive.arguments[high].text,
                  high == 0 ? "it takes no argument here" : fmt::format("at most {} arguments are taken here", high));
  if (!braces && !directive.body.empty())
    return refuse(directive.name.place, "{} takes nothing in braces here: remove them", directive.name.text);
  return ok();
}

Result<Fallthrough> parse_fallthrough(const Directive& line) {
  TRY(check_shape(line, 0, 1000));
  return Fallthrough{.on = true, .zones = TRY(parse_zones(line.arguments, 0))};
}

}  // namespace causeway::dns
