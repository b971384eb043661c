#include "dns/rewrite.h"

#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

std::string lower_text(NameView name) {
  std::string text = to_string(name);
  for (char& c : text) c = static_cast<char>(lower(static_cast<uint8_t>(c)));
  return text;
}

// "{1}" in `to` is what the first parentheses matched.
std::string filled(const std::string& to, const std::smatch& match) {
  std::string out = to;
  for (size_t i = 0; i < match.size(); ++i) {
    const std::string mark = fmt::format("{{{}}}", i);
    for (size_t at = 0; (at = out.find(mark, at)) != std::string::npos; at += match[i].str().size())
      out.replace(at, mark.size(), match[i].str());
  }
  return out;
}

// What `text` becomes by a pattern; nullopt: it does not fit. Patterns of users may be written with or without the dot
// at a name's end.
std::optional<std::string> by_pattern(const std::regex& from, const std::string& to, const std::string& text) {
  std::smatch match;
  const std::string bare = text.size() > 1 ? text.substr(0, text.size() - 1) : text;
  if (std::regex_search(text, match, from)) return filled(to, match);
  if (std::regex_search(bare, match, from)) return filled(to, match);
  return std::nullopt;
}

std::optional<std::string> renamed(const RewriteRule& rule, const std::regex& pattern, const std::string& name) {
  switch (rule.match) {
    case RewriteRule::Match::Exact: return name == rule.from ? std::optional(rule.to) : std::nullopt;
    case RewriteRule::Match::Prefix:
      if (!name.starts_with(rule.from)) return std::nullopt;
      return rule.to + name.substr(rule.from.size());
    case RewriteRule::Match::Suffix:
      if (!name.ends_with(rule.from)) return std::nullopt;
      return name.substr(0, name.size() - rule.from.size()) + rule.to;
    case RewriteRule::Match::Substring: {
      const size_t at = name.find(rule.from);
      if (at == std::string::npos) return std::nullopt;
      return name.substr(0, at) + rule.to + name.substr(at + rule.from.size());
    }
    case RewriteRule::Match::Regex: return by_pattern(pattern, rule.to, name);
  }
  return std::nullopt;
}

std::regex pattern_of(const std::string& text) {
  return std::regex(text, std::regex::ECMAScript | std::regex::icase | std::regex::optimize);
}

uint16_t type_of(const std::string& text) { return parse_type({.text = text}).value_or(0); }

}  // namespace

Rewriter::Rewriter(const std::vector<RewriteRule>& rules) {
  for (const RewriteRule& text : rules) {
    Rule rule{.text = text};
    if (text.match == RewriteRule::Match::Regex) rule.from = pattern_of(text.from);
    if (!text.answer_from.empty()) rule.answer_from = pattern_of(text.answer_from);
    if (!text.value_from.empty()) rule.value_from = pattern_of(text.value_from);
    rules_.push_back(std::move(rule));
  }
}

std::optional<Rewriter::Changed> Rewriter::change(const Question& question) const {
  Changed changed{.name = question.name, .type = question.type, .cls = question.cls};
  for (size_t i = 0; i < rules_.size(); ++i) {
    const RewriteRule& rule = rules_[i].text;
    bool fits = false;
    switch (rule.field) {
      case RewriteRule::Field::Name: {
        const auto name = renamed(rule, rules_[i].from, lower_text(changed.name));
        if (!name) break;
        // A name that is none is no reason to answer something else: the rule does not fit then.
        auto wire = WireName::parse(*name);
        if (!wire) break;
        fits = true;
        changed.name = *wire;
        break;
      }
      case RewriteRule::Field::Ttl: fits = renamed(rule, rules_[i].from, lower_text(changed.name)).has_value(); break;
      case RewriteRule::Field::Type:
        fits = static_cast<uint16_t>(changed.type) == type_of(rule.from);
        if (fits) changed.type = static_cast<Type>(type_of(rule.to));
        break;
      case RewriteRule::Field::Class:
        fits = static_cast<uint16_t>(changed.cls) == (rule.from == "IN" ? 1 : 3);
        if (fits) changed.cls = rule.to == "IN" ? Class::In : Class::Chaos;
        break;
    }
    if (!fits) continue;
    changed.rules.push_back(i);
    if (rule.stop) break;
  }
  if (changed.rules.empty()) return std::nullopt;
  return changed;
}

void Rewriter::turn_back(const Changed& changed, const Question& question, Message& answer) const {
  for (auto i = changed.rules.rbegin(); i != changed.rules.rend(); ++i) {
    const Rule& rule = rules_[*i];
    for (Resource& record : answer.records) {
      if (rule.text.field == RewriteRule::Field::Ttl) {
        record.ttl = std::clamp(record.ttl, rule.text.ttl_low, rule.text.ttl_high);
        continue;
      }
      if (rule.text.field != RewriteRule::Field::Name) continue;
      const auto by = [&](const std::regex& from, const std::string& to, NameView name) -> std::optional<WireName> {
        const auto text = by_pattern(from, to, lower_text(name));
        if (!text) return std::nullopt;
        auto wire = WireName::parse(*text);
        return wire ? std::optional<WireName>(*wire) : std::nullopt;
      };
      // The name that was asked for instead is never the client's to see as an owner of what it asked for.
      if (rule.text.answer_auto && record.owner == changed.name) record.owner = question.name;
      if (!rule.text.answer_from.empty())
        if (const auto name = by(rule.answer_from, rule.text.answer_to, record.owner)) record.owner = *name;
      const auto target = record.target();
      if (!target) continue;
      if (rule.text.answer_auto && *target == changed.name) record.set_target(question.name);
      if (!rule.text.value_from.empty())
        if (const auto name = by(rule.value_from, rule.text.value_to, *target)) record.set_target(*name);
    }
  }
}

}  // namespace causeway::dns
