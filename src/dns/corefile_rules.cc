// The directives that change, refuse or tell of questions: rewrite, acl, log.
#include <algorithm>
#include <regex>

#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

Status check_pattern(const Word& word) {
  try {
    const std::regex compiled(word.text, std::regex::ECMAScript | std::regex::icase);
  } catch (const std::regex_error& error) {
    return refuse(word.place, "\"{}\" is no regular expression: {}", word.text, error.what());
  }
  return ok();
}

std::optional<RewriteRule::Match> match_of(const std::string& word) {
  if (word == "exact") return RewriteRule::Match::Exact;
  if (word == "prefix") return RewriteRule::Match::Prefix;
  if (word == "suffix") return RewriteRule::Match::Suffix;
  if (word == "substring") return RewriteRule::Match::Substring;
  if (word == "regex") return RewriteRule::Match::Regex;
  return std::nullopt;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// What follows FROM and TO of a name rule: "answer auto", "answer name FROM TO", "answer value FROM TO".
Status parse_answers(RewriteRule& rule, const std::vector<Word>& words, size_t i) {
  while (i < words.size()) {
    if (words[i].text != "answer" || i + 1 >= words.size())
      return refuse(words[i].place,
                    "rewrite: \"{}\": here come answer auto, answer name FROM TO or answer value FROM TO",
                    words[i].text);
    const std::string& what = words[i + 1].text;
    if (what == "auto") {
      rule.answer_auto = true;
      i += 2;
    } else if ((what == "name" || what == "value") && i + 3 < words.size()) {
      TRY(check_pattern(words[i + 2]));
      (what == "name" ? rule.answer_from : rule.value_from) = words[i + 2].text;
      (what == "name" ? rule.answer_to : rule.value_to) = lower(words[i + 3].text);
      i += 4;
    } else {
      return refuse(words[i + 1].place, "rewrite: answer \"{}\": write auto, name FROM TO or value FROM TO", what);
    }
  }
  return ok();
}

Status parse_name_rule(RewriteRule& rule, const std::vector<Word>& words, size_t i) {
  if (i < words.size())
    if (const auto match = match_of(words[i].text); match && i + 2 < words.size()) {
      rule.match = *match;
      ++i;
    }
  if (i + 1 >= words.size()) return refuse(rule.place, "rewrite: a rule needs what it looks for and what that becomes");
  rule.from = words[i].text;
  rule.to = lower(words[i + 1].text);
  if (rule.match == RewriteRule::Match::Regex) {
    TRY(check_pattern(words[i]));
  } else if (rule.match == RewriteRule::Match::Exact) {
    rule.from = TRY(parse_zone(words[i]));
    if (rule.field == RewriteRule::Field::Name) rule.to = TRY(parse_zone(words[i + 1]));
  } else {
    rule.from = lower(rule.from);
    if (rule.match == RewriteRule::Match::Suffix && !rule.from.ends_with('.')) rule.from += '.';
    if (rule.match == RewriteRule::Match::Suffix && rule.field == RewriteRule::Field::Name && !rule.to.ends_with('.'))
      rule.to += '.';
  }
  if (rule.field == RewriteRule::Field::Name) return parse_answers(rule, words, i + 2);
  // ttl [MATCH] NAME [LOW-]HIGH
  const Word& range = words[i + 1];
  const size_t dash = range.text.find('-');
  const auto number = [&](std::string text, uint32_t otherwise) -> Result<uint32_t> {
    if (text.empty()) return otherwise;
    return static_cast<uint32_t>(TRY(parse_number({.text = std::move(text), .place = range.place}, 0, 2147483647)));
  };
  if (dash == std::string::npos) {
    rule.ttl_low = rule.ttl_high = TRY(number(range.text, 0));
  } else {
    rule.ttl_low = TRY(number(range.text.substr(0, dash), 0));
    rule.ttl_high = TRY(number(range.text.substr(dash + 1), UINT32_MAX));
    if (rule.ttl_low > rule.ttl_high)
      return refuse(range.place, "rewrite: ttl {}: the lower end comes first", range.text);
  }
  if (i + 2 < words.size()) return refuse(words[i + 2].place, "rewrite: remove \"{}\"", words[i + 2].text);
  return ok();
}

}  // namespace

Result<RewriteRule> parse_rewrite(const Directive& directive) {
  RewriteRule rule{.place = directive.name.place};
  std::vector<Word> words = directive.arguments;
  // The lines of a body are the rule's further words: "rewrite stop { name regex A B / answer name C D }".
  for (const Directive& line : directive.body) {
    words.push_back(line.name);
    words.insert(words.end(), line.arguments.begin(), line.arguments.end());
    if (!line.body.empty()) return refuse(line.name.place, "rewrite: no braces in braces");
  }
  size_t i = 0;
  if (i < words.size() && (words[i].text == "stop" || words[i].text == "continue"))
    rule.stop = words[i++].text == "stop";
  if (i >= words.size()) return refuse(rule.place, "rewrite needs name, type, class or ttl, and what becomes what");
  const Word& field = words[i];
  if (field.text == "name" || field.text == "ttl") {
    rule.field = field.text == "name" ? RewriteRule::Field::Name : RewriteRule::Field::Ttl;
    TRY(parse_name_rule(rule, words, i + 1));
  } else if (field.text == "type" || field.text == "class") {
    if (words.size() - i != 3) return refuse(field.place, "rewrite {} needs two: \"rewrite type ANY A\"", field.text);
    rule.field = field.text == "type" ? RewriteRule::Field::Type : RewriteRule::Field::Class;
    rule.from = words[i + 1].text;
    rule.to = words[i + 2].text;
    for (size_t k = i + 1; k < words.size(); ++k) {
      if (field.text == "type")
        TRY(parse_type(words[k]));
      else if (words[k].text != "IN" && words[k].text != "CH")
        return refuse(words[k].place, "rewrite class \"{}\": write IN or CH", words[k].text);
    }
  } else if (match_of(field.text)) {
    TRY(parse_name_rule(rule, words, i));
  } else if (field.text == "edns0" || field.text == "rcode" || field.text == "cname") {
    return refuse(field.place, "rewrite {} is not taken here: name, type, class and ttl are", field.text);
  } else {
    if (words.size() - i != 2)
      return refuse(field.place, "rewrite: \"{}\": write name, type, class or ttl, then what becomes what", field.text);
    TRY(parse_name_rule(rule, words, i));
  }
  return rule;
}

Result<std::vector<AclRule>> parse_acl(const Directive& directive, const std::vector<ZoneText>& block_zones) {
  auto zones = TRY(parse_zones(directive.arguments, 0));
  if (zones.empty()) zones = block_zones;
  if (directive.body.empty())
    return refuse(directive.name.place, "acl needs rules in braces: \"block type A net 10.0.0.0/8\"");
  std::vector<AclRule> rules;
  for (const Directive& line : directive.body) {
    TRY(check_shape(line, 0, 1000));
    static const std::map<std::string, AclRule::Action, std::less<>> kActions = {{"allow", AclRule::Action::Allow},
                                                                                 {"block", AclRule::Action::Block},
                                                                                 {"filter", AclRule::Action::Filter},
                                                                                 {"drop", AclRule::Action::Drop}};
    const auto action = kActions.find(line.name.text);
    if (action == kActions.end())
      return refuse(line.name.place, "acl: there is no action \"{}\": write allow, block, filter or drop",
                    line.name.text);
    AclRule rule{.place = line.name.place, .zones = zones, .action = action->second};
    bool any_type = false, any_source = false;
    for (size_t i = 0; i < line.arguments.size();) {
      const std::string section = line.arguments[i].text;
      if (section != "type" && section != "net")
        return refuse(line.arguments[i].place, "acl: \"{}\": here comes type or net", section);
      const size_t first = ++i;
      for (; i < line.arguments.size() && line.arguments[i].text != "type" && line.arguments[i].text != "net"; ++i) {
        const Word& word = line.arguments[i];
        if (word.text == "*") {
          (section == "type" ? any_type : any_source) = true;
        } else if (section == "type") {
          rule.types.insert(TRY(parse_type(word)));
        } else if (auto ip = Ip::parse(word.text)) {
          rule.sources.push_back(host_cidr(*ip));
        } else if (auto cidr = Cidr::parse(word.text)) {
          rule.sources.push_back(*cidr);
        } else {
          return refuse(word.place, "acl: \"{}\" is no address or CIDR: {}", word.text, cidr.error().message());
        }
      }
      if (i == first) return refuse(line.name.place, "acl: {} names nothing: write * for all", section);
    }
    if (any_type) rule.types.clear();
    if (any_source) rule.sources.clear();
    rules.push_back(std::move(rule));
  }
  return rules;
}

Result<LogRule> parse_log(const Directive& directive, const std::vector<ZoneText>& block_zones) {
  LogRule rule{.place = directive.name.place};
  // log [NAMES…] [FORMAT]: with more than one word the last may be the format, which has a brace or is quoted.
  std::vector<Word> names = directive.arguments;
  if (!names.empty() && (names.back().quoted || names.back().text.find('{') != std::string::npos)) {
    rule.format = names.back().text;
    names.pop_back();
    if (rule.format == "{common}") rule.format.clear();
  }
  rule.zones = TRY(parse_zones(names, 0));
  if (rule.zones.empty()) rule.zones = block_zones;
  for (const Directive& line : directive.body) {
    if (line.name.text != "class")
      return refuse(line.name.place, "log: there is no option \"{}\": it has class", line.name.text);
    TRY(check_shape(line, 1, 4));
    rule.all = false;
    for (const Word& word : line.arguments) {
      if (word.text == "all")
        rule.all = true;
      else if (word.text == "success")
        rule.success = true;
      else if (word.text == "denial")
        rule.denial = true;
      else if (word.text == "error")
        rule.failure = true;
      else
        return refuse(word.place, "log: class \"{}\": write success, denial, error or all", word.text);
    }
  }
  return rule;
}

}  // namespace causeway::dns
