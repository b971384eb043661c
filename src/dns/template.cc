#include "dns/template.h"

#include <algorithm>
#include <sstream>

#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

void put16(Bytes& to, uint64_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}
void put32(Bytes& to, uint64_t value) {
  put16(to, value >> 16 & 0xFFFF);
  put16(to, value & 0xFFFF);
}
void put(Bytes& to, std::span<const uint8_t> octets) { to.insert(to.end(), octets.begin(), octets.end()); }

bool is_number(const std::string& word) {
  return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

// Words by blanks; what stands in quotes is one word.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == ' ' || text[i] == '\t' || text[i] == '\n') {
      ++i;
      continue;
    }
    std::string word;
    const bool quoted = text[i] == '"';
    for (i += quoted ? 1 : 0;
         i < text.size() && (quoted ? text[i] != '"' : text[i] != ' ' && text[i] != '\t' && text[i] != '\n'); ++i) {
      if (quoted && text[i] == '\\' && i + 1 < text.size()) ++i;
      word += text[i];
    }
    i += quoted ? 1 : 0;
    words.push_back(std::move(word));
  }
  return words;
}

// What may stand between {{ and }}.
struct Facts {
  std::string name, type, zone;
  std::vector<std::string> match;
  std::map<std::string, std::string> group;
};

Result<std::string> value_of(const std::string& expression, const Facts& facts, const Place& place) {
  const auto words = words_of(expression);
  if (words.size() == 1) {
    const std::string& word = words[0];
    if (word == ".Name") return facts.name;
    if (word == ".Type") return facts.type;
    if (word == ".Class") return std::string("IN");
    if (word == ".Zone") return facts.zone;
    if (word.starts_with(".Group.")) {
      const auto found = facts.group.find(word.substr(7));
      if (found != facts.group.end()) return found->second;
      return refuse(place, "template: {{{{ {} }}}}: no pattern has (?P<{}>…)", word, word.substr(7));
    }
  }
  if (words.size() == 3 && words[0] == "index" && words[1] == ".Match" && is_number(words[2])) {
    const size_t i = std::stoul(words[2].substr(0, 6));
    if (i < facts.match.size()) return facts.match[i];
    return refuse(place, "template: {{{{ {} }}}}: no pattern has so many parentheses", expression);
  }
  return refuse(place,
                "template: {{{{ {} }}}} is not known here: there are .Name, .Type, .Class, .Zone, .Group.NAME and "
                "index .Match N",
                expression);
}

Result<std::string> expanded(const std::string& text, const Facts& facts, const Place& place) {
  std::string out;
  for (size_t at = 0;;) {
    const size_t open = text.find("{{", at);
    out += text.substr(at, open - at);
    if (open == std::string::npos) return out;
    const size_t close = text.find("}}", open);
    if (close == std::string::npos) return refuse(place, "template: \"{{{{\" without \"}}}}\" in \"{}\"", text);
    out += TRY(value_of(text.substr(open + 2, close - open - 2), facts, place));
    at = close + 2;
  }
}

}  // namespace

Result<Resource> parse_record(const std::string& text) {
  const auto words = words_of(text);
  const auto bad = [&](std::string_view why) { return fail(Errc::Invalid, "\"{}\" is no record: {}", text, why); };
  const Place nowhere{"record", 1};
  if (words.size() < 3) return bad("write NAME TTL CLASS TYPE DATA");
  Resource record{.ttl = 3600};
  record.owner = TRY(WireName::parse(words[0]));
  size_t at = 1;
  if (is_number(words[at]))
    record.ttl = static_cast<uint32_t>(TRY(parse_number({words[at++], nowhere}, 0, 2147483647)));
  if (at < words.size() && (words[at] == "IN" || words[at] == "in")) ++at;
  if (at >= words.size()) return bad("it has no type");
  record.type = static_cast<Type>(TRY(parse_type({words[at++], nowhere})));
  const size_t left = words.size() - at;
  const auto number = [&](uint64_t most) { return parse_number({words[at++], nowhere}, 0, most); };
  switch (static_cast<uint16_t>(record.type)) {
    case 1:
    case 28: {
      if (left != 1) return bad("its data is one address");
      const Ip ip = TRY(Ip::parse(words[at]));
      if (ip.is_v4() != (record.type == Type::A)) return bad("the address is of the other family");
      put(record.data, ip.bytes());
      break;
    }
    case 2:
    case 5:
    case 12:
      if (left != 1) return bad("its data is one name");
      put(record.data, TRY(WireName::parse(words[at])).bytes());
      break;
    case 16:
      if (left == 0) return bad("it has no text");
      for (; at < words.size(); ++at) {
        if (words[at].size() > 255) return bad("a text has 255 octets at most");
        record.data.push_back(static_cast<uint8_t>(words[at].size()));
        record.data.insert(record.data.end(), words[at].begin(), words[at].end());
      }
      break;
    case 15:
      if (left != 2) return bad("its data is a preference and a name");
      put16(record.data, TRY(number(65535)));
      put(record.data, TRY(WireName::parse(words[at])).bytes());
      break;
    case 33:
      if (left != 4) return bad("its data is priority, weight, port and a name");
      for (int i = 0; i < 3; ++i) put16(record.data, TRY(number(65535)));
      put(record.data, TRY(WireName::parse(words[at])).bytes());
      break;
    case 6: {
      std::vector<std::string> parts;
      for (; at < words.size(); ++at)
        if (words[at] != "(" && words[at] != ")") parts.push_back(words[at]);
      if (parts.size() != 7) return bad("its data is two names and five numbers");
      put(record.data, TRY(WireName::parse(parts[0])).bytes());
      put(record.data, TRY(WireName::parse(parts[1])).bytes());
      for (size_t i = 2; i < 7; ++i) put32(record.data, TRY(parse_number({parts[i], nowhere}, 0, UINT32_MAX)));
      break;
    }
    default: return bad("of its type none can be written: A, AAAA, CNAME, NS, PTR, TXT, MX, SRV and SOA can");
  }
  return record;
}

Result<Template> Template::make(const TemplateDirective& directive) {
  Template out;
  out.text_ = directive;
  for (const ZoneText& zone : directive.zones) out.zones_.push_back(TRY(WireName::parse(zone)));
  for (const ZoneText& zone : directive.fallthrough.zones) out.fall_zones_.push_back(TRY(WireName::parse(zone)));
  Facts facts{.name = "x.", .type = "A", .zone = "."};
  for (std::string text : directive.match) {
    Pattern pattern;
    // Go names parentheses (?P<name>…); here they only have numbers.
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) {
        plain += text[i++];
        plain += text[i];
      } else if (text[i] == '(' && text.compare(i, 4, "(?P<") == 0 && text.find('>', i) != std::string::npos) {
        const size_t end = text.find('>', i);
        pattern.groups.push_back(text.substr(i + 4, end - i - 4));
        plain += '(';
        i = end;
      } else {
        if (text[i] == '(' && (i + 1 >= text.size() || text[i + 1] != '?')) pattern.groups.emplace_back();
        plain += text[i];
      }
    }
    if (plain.starts_with("(?i)")) plain.erase(0, 4);
    try {
      pattern.regex = std::regex(plain, std::regex::ECMAScript | std::regex::icase | std::regex::optimize);
    } catch (const std::regex_error& error) {
      return refuse(directive.place, "template: \"{}\" is no regular expression: {}", text, error.what());
    }
    for (const std::string& group : pattern.groups) facts.group[group];
    facts.match.resize(std::max(facts.match.size(), pattern.groups.size() + 1));
    out.patterns_.push_back(std::move(pattern));
  }
  for (const auto* list : {&directive.answer, &directive.additional, &directive.authority})
    for (const std::string& text : *list) TRY(expanded(text, facts, directive.place));
  return out;
}

Template::Fit Template::answer(const Question& question, Message& answer, std::string& trouble) const {
  if ((text_.cls != 255 && text_.cls != static_cast<uint16_t>(question.cls)) ||
      (text_.type != 255 && text_.type != static_cast<uint16_t>(question.type)))
    return Fit::NotOurs;
  const auto zone = std::ranges::find_if(zones_, [&](const WireName& zone) { return question.name.within(zone); });
  if (zone == zones_.end()) return Fit::NotOurs;
  Facts facts{.name = to_string(question.name), .type = to_string(question.type), .zone = to_string(*zone)};
  std::string lowered = facts.name;
  for (char& c : lowered) c = static_cast<char>(lower(static_cast<uint8_t>(c)));
  bool fits = patterns_.empty();
  for (const Pattern& pattern : patterns_) {
    std::smatch match;
    if (!std::regex_search(lowered, match, pattern.regex)) continue;
    fits = true;
    for (size_t i = 0; i < match.size(); ++i) {
      facts.match.push_back(match[i].str());
      if (i > 0 && i <= pattern.groups.size()) facts.group[pattern.groups[i - 1]] = match[i].str();
    }
    break;
  }
  if (!fits) {
    const bool falls =
        text_.fallthrough.on && (fall_zones_.empty() || std::ranges::any_of(fall_zones_, [&](const WireName& zone) {
                                   return question.name.within(zone);
                                 }));
    return falls ? Fit::Falls : Fit::NoSuch;
  }
  answer.rcode = static_cast<Rcode>(text_.rcode);
  answer.authoritative = true;
  for (const auto& [section, list] : {std::pair(Section::Answer, &text_.answer),
                                      {Section::Authority, &text_.authority},
                                      {Section::Additional, &text_.additional}})
    for (const std::string& text : *list) {
      auto line = expanded(text, facts, text_.place);
      auto record = line ? parse_record(*line) : Result<Resource>(fail(std::move(line.error())));
      if (!record) {
        trouble = fmt::format("{}: template: {}", to_string(text_.place), record.error().message());
        return Fit::Failed;
      }
      record->section = section;
      answer.records.push_back(std::move(*record));
    }
  return Fit::Answered;
}

}  // namespace causeway::dns
