#include <fmt/format.h>

#include <algorithm>

#include "kube/api/selector.h"

namespace causeway::kube {

namespace {

// Splits at commas that no backslash protects.
std::vector<std::string_view> terms(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == ',') {
      parts.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  parts.push_back(text.substr(start));
  return parts;
}

Result<std::string> unescape(std::string_view text) {
  std::string value;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (i + 1 == text.size() || !std::string_view("\\,=").contains(text[i + 1]))
        return fail(Errc::Invalid, "\"{}\": a backslash may only stand before a backslash, a comma or '='", text);
      value += text[++i];
    } else if (text[i] == ',' || text[i] == '=') {
      return fail(Errc::Invalid, "\"{}\": '{}' must be escaped", text, text[i]);
    } else {
      value += text[i];
    }
  }
  return value;
}

std::string escape(std::string_view value) {
  std::string text;
  for (char c : value) {
    if (std::string_view("\\,=").contains(c)) text += '\\';
    text += c;
  }
  return text;
}

}  // namespace

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector selector;
  for (std::string_view term : terms(text)) {
    if (term.empty()) continue;
    size_t at = 0;
    while (at < term.size() && term[at] != '=' && !term.substr(at).starts_with("!=")) at += term[at] == '\\' ? 2 : 1;
    if (at >= term.size()) return fail(Errc::Invalid, "invalid selector: '{}'; can't understand '{}'", text, term);
    bool equal = term[at] == '=';
    std::string_view value = term.substr(at + (equal && !term.substr(at).starts_with("==") ? 1 : 2));
    selector.requirements_.push_back(
        {std::string(term.substr(0, at)), TRY(unescape(value), "field selector \"{}\"", text), equal});
  }
  return selector;
}

bool FieldSelector::matches(const StringMap& fields) const {
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const FieldRequirement& requirement) {
    auto found = fields.find(requirement.field);
    return (found == fields.end() ? requirement.value.empty() : found->second == requirement.value) ==
           requirement.equal;
  });
}

std::string to_string(const FieldSelector& selector) {
  std::string text;
  for (const auto& requirement : selector.requirements()) {
    if (!text.empty()) text += ',';
    text += requirement.field + (requirement.equal ? "=" : "!=") + escape(requirement.value);
  }
  return text;
}

}  // namespace causeway::kube
