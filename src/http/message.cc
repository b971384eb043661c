#include "http/message.h"

#include <algorithm>

namespace causeway::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A '+' is a space in a query only (the form encoding that url.ParseQuery of Go reads).
Result<std::string> percent_decode(std::string_view text, bool in_query) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+' && in_query) {
      decoded += ' ';
    } else if (text[at] != '%') {
      decoded += text[at];
    } else {
      if (text.size() - at < 3)
        return fail(Errc::Invalid, "a percent sign is not followed by two digits in {:?}", text);
      const int high = hex_digit(text[at + 1]), low = hex_digit(text[at + 2]);
      if (high < 0 || low < 0) return fail(Errc::Invalid, "a percent sign is not followed by two digits in {:?}", text);
      decoded += static_cast<char>(high << 4 | low);
      at += 2;
    }
  }
  return decoded;
}

}  // namespace

bool NameLess::operator()(std::string_view a, std::string_view b) const {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return lower(x) < lower(y); });
}

std::string_view Target::get(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return {};
}

bool Target::has(std::string_view name) const {
  return std::ranges::any_of(query, [&](const auto& pair) { return pair.first == name; });
}

Result<Target> parse_target(std::string_view target) {
  if (target.empty() || target[0] != '/')
    return fail(Errc::Invalid, "the request target {:?} does not begin with '/'", target);
  target = target.substr(0, target.find('#'));
  const auto mark = target.find('?');
  Target parsed;
  parsed.path = TRY(percent_decode(target.substr(0, mark), false), "path");
  if (parsed.path.find('\0') != std::string::npos) return fail(Errc::Invalid, "the path holds a zero byte");
  if (mark == std::string_view::npos) return parsed;
  auto rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const auto pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto key = TRY(percent_decode(pair.substr(0, equals), true), "query");
    auto value =
        equals == std::string_view::npos ? std::string() : TRY(percent_decode(pair.substr(equals + 1), true), "query");
    parsed.query.emplace_back(std::move(key), std::move(value));
  }
  return parsed;
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    // Unreserved characters, RFC 3986 section 2.3.
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kHex[static_cast<unsigned char>(c) >> 4];
      encoded += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return encoded;
}

}  // namespace causeway::http
