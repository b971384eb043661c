#include "kube/api/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ip.h"

namespace causeway::kube {

namespace {

constexpr std::string_view kLabelRule =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view kSubdomainRule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr std::string_view kDns1035Rule =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view kQualifiedRule =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr std::string_view kLabelValueRule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
constexpr std::string_view kConfigKeyRule =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool alnum(char c) { return lower(c) || digit(c) || (c >= 'A' && c <= 'Z'); }

bool is_label(std::string_view text) {
  auto inner = [](char c) { return lower(c) || digit(c) || c == '-'; };
  return !text.empty() && text.front() != '-' && text.back() != '-' && std::all_of(text.begin(), text.end(), inner);
}
bool is_subdomain(std::string_view text) {
  while (true) {
    size_t dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}
bool is_qualified(std::string_view text) {
  auto inner = [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; };
  return !text.empty() && alnum(text.front()) && alnum(text.back()) && std::all_of(text.begin(), text.end(), inner);
}

class Complaints {
 public:
  void add(std::string_view text) {
    if (!text_.empty()) text_ += "; ";
    text_ += text;
  }
  void limit(std::string_view value, size_t most) {
    if (value.size() > most) add(fmt::format("must be no more than {} characters", most));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string check_dns1123_label(std::string_view name) {
  Complaints found;
  found.limit(name, 63);
  if (!is_label(name)) found.add(kLabelRule);
  return found.take();
}

std::string check_dns1123_subdomain(std::string_view name) {
  Complaints found;
  found.limit(name, 253);
  if (!is_subdomain(name)) found.add(kSubdomainRule);
  return found.take();
}

std::string check_dns1035_label(std::string_view name) {
  Complaints found;
  found.limit(name, 63);
  if (!is_label(name) || !lower(name.front())) found.add(kDns1035Rule);
  return found.take();
}

std::string check_qualified_name(std::string_view key) {
  Complaints found;
  std::string_view name = key;
  if (size_t slash = key.find('/'); slash != std::string_view::npos) {
    std::string_view prefix = key.substr(0, slash);
    name = key.substr(slash + 1);
    if (name.contains('/'))
      return fmt::format(
          "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. "
          "'example.com/MyName')",
          kQualifiedRule);
    if (prefix.empty())
      found.add("prefix part must be non-empty");
    else if (auto wrong = check_dns1123_subdomain(prefix); !wrong.empty())
      found.add("prefix part " + wrong);
  }
  if (name.empty())
    found.add("name part must be non-empty");
  else if (name.size() > 63)
    found.add("name part must be no more than 63 characters");
  if (!is_qualified(name)) found.add(fmt::format("name part {}", kQualifiedRule));
  return found.take();
}

std::string check_label_value(std::string_view value) {
  Complaints found;
  found.limit(value, 63);
  if (!value.empty() && !is_qualified(value)) found.add(kLabelValueRule);
  return found.take();
}

std::string check_port_name(std::string_view name) {
  Complaints found;
  found.limit(name, 15);
  auto allowed = [](char c) { return lower(c) || digit(c) || c == '-'; };
  if (name.empty() || !std::all_of(name.begin(), name.end(), allowed))
    found.add("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (std::none_of(name.begin(), name.end(), lower)) found.add("must contain at least one letter (a-z)");
  if (name.contains("--")) found.add("must not contain consecutive hyphens");
  if (!name.empty() && (name.front() == '-' || name.back() == '-')) found.add("must not begin or end with a hyphen");
  return found.take();
}

std::string check_env_var_name(std::string_view name) {
  if (name.empty()) return "environment variable name must be non-empty";
  auto allowed = [](char c) { return c >= ' ' && c <= '~' && c != '='; };
  if (std::all_of(name.begin(), name.end(), allowed)) return {};
  return "a valid environment variable name must consist only of printable ASCII characters other than '='";
}

std::string check_config_map_key(std::string_view key) {
  Complaints found;
  found.limit(key, 253);
  auto allowed = [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; };
  if (key.empty() || !std::all_of(key.begin(), key.end(), allowed)) found.add(kConfigKeyRule);
  if (key == ".")
    found.add("must not be '.'");
  else if (key == "..")
    found.add("must not be '..'");
  else if (key.starts_with(".."))
    found.add("must not start with '..'");
  return found.take();
}

std::string check_canonical_ip(std::string_view name) {
  const auto ip = Ip::parse(name);
  if (!ip) return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
  if (const auto form = to_string(*ip); form != name) return "must be in canonical form (\"" + form + "\")";
  return "";
}

std::string check_path_segment(std::string_view name) {
  if (name == "." || name == "..") return fmt::format("may not be '{}'", name);
  Complaints found;
  for (char c : {'/', '%'})
    if (name.contains(c)) found.add(fmt::format("may not contain '{}'", c));
  return found.take();
}

}  // namespace causeway::kube
