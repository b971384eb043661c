#include "pod/record_words.h"

#include <charconv>

namespace causeway::pod {
namespace {

int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

bool take_text(std::string& out, std::string_view value) {
  auto text = unescaped(value);
  if (text) out = std::move(*text);
  return text.has_value();
}

bool take_sysctl(Record& record, std::string_view value) {
  const size_t colon = value.find(':');
  if (colon == std::string_view::npos) return false;
  auto name = unescaped(value.substr(0, colon));
  auto set = unescaped(value.substr(colon + 1));
  if (!name || !set) return false;
  record.tuning.sysctls[std::move(*name)] = std::move(*set);
  return true;
}

}  // namespace

std::string escaped(std::string_view text) {
  if (text.empty()) return "-";
  if (text == "-") return "%2d";
  std::string word;
  for (const char c : text) {
    if (c > ' ' && c < 0x7f && c != '%')
      word += c;
    else
      word += fmt::format("%{:02x}", uint8_t(c));
  }
  return word;
}

std::optional<std::string> unescaped(std::string_view word) {
  std::string text;
  if (word == "-") return text;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      text += word[i];
      continue;
    }
    if (i + 2 >= word.size()) return std::nullopt;
    const int high = hex(word[i + 1]), low = hex(word[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    text += char(high * 16 + low);
    i += 2;
  }
  return text;
}

std::vector<std::string> words_of(const Record& record) {
  std::vector<std::string> words;
  if (record.role != Role::Main) words.push_back(fmt::format("role={}", record.role));
  if (!record.network.empty()) words.push_back("net=" + escaped(record.network));
  if (record.asked) words.push_back("asked=1");
  if (record.mtu != 0) words.push_back(fmt::format("mtu={}", record.mtu));
  if (record.tuning.mac) words.push_back(fmt::format("mac={}", *record.tuning.mac));
  if (!record.tuning.bandwidth.none()) words.push_back("bw=" + to_string(record.tuning.bandwidth));
  if (!record.host_link.empty()) words.push_back("link=" + escaped(record.host_link));
  for (const auto& [name, value] : record.tuning.sysctls)
    words.push_back(fmt::format("sysctl={}:{}", escaped(name), escaped(value)));
  for (const auto& extra : record.extras) words.push_back("extra=" + escaped(to_word(extra)));
  return words;
}

bool take_word(Record& record, std::string_view word) {
  const size_t equal = word.find('=');
  if (equal == std::string_view::npos) return false;
  const auto key = word.substr(0, equal);
  const auto value = word.substr(equal + 1);
  if (key == "role") {
    const auto role = parse_role(value);
    if (role) record.role = *role;
    return role.has_value();
  }
  if (key == "net") return take_text(record.network, value);
  if (key == "asked") return record.asked = value == "1";
  if (key == "mtu") {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), record.mtu);
    return error == std::errc() && end == value.data() + value.size();
  }
  if (key == "mac") {
    const auto mac = Mac::parse(value);
    if (mac) record.tuning.mac = *mac;
    return mac.has_value();
  }
  if (key == "bw") {
    const auto bandwidth = parse_bandwidth(value);
    if (bandwidth) record.tuning.bandwidth = *bandwidth;
    return bandwidth.has_value();
  }
  if (key == "link") return take_text(record.host_link, value);
  if (key == "sysctl") return take_sysctl(record, value);
  if (key == "extra") {
    const auto text = unescaped(value);
    auto extra = text ? parse_extra(*text) : fail(Errc::Invalid, "no text");
    if (extra) record.extras.push_back(std::move(*extra));
    return extra.has_value();
  }
  return false;
}

}  // namespace causeway::pod
