#include "kube/api/selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "kube/api/names.h"

namespace causeway::kube {

namespace {

std::optional<int64_t> integer(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A requirement whose key and values are legal, values sorted.
Result<Requirement> checked(Requirement requirement) {
  if (auto wrong = check_qualified_name(requirement.key); !wrong.empty())
    return fail(Errc::Invalid, "label key \"{}\": {}", requirement.key, wrong);
  size_t count = requirement.values.size();
  switch (requirement.op) {
    case SelectorOp::In:
    case SelectorOp::NotIn:
      if (count == 0)
        return fail(Errc::Invalid, "label key \"{}\": In and NotIn need at least one value", requirement.key);
      break;
    case SelectorOp::Exists:
    case SelectorOp::DoesNotExist:
      if (count != 0)
        return fail(Errc::Invalid, "label key \"{}\": Exists and DoesNotExist take no values", requirement.key);
      break;
    case SelectorOp::GreaterThan:
    case SelectorOp::LessThan:
      if (count != 1 || !integer(requirement.values[0]))
        return fail(Errc::Invalid, "label key \"{}\": Gt and Lt need exactly one integer", requirement.key);
      break;
  }
  for (const auto& value : requirement.values)
    if (auto wrong = check_label_value(value); !wrong.empty())
      return fail(Errc::Invalid, "value \"{}\" of label key \"{}\": {}", value, requirement.key, wrong);
  std::sort(requirement.values.begin(), requirement.values.end());
  requirement.values.erase(std::unique(requirement.values.begin(), requirement.values.end()), requirement.values.end());
  return requirement;
}

// The words of a selector's text: names, and the operators = == != < > ( ) , !.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) { next(); }
  const std::string& word() const { return word_; }
  bool is_name() const { return name_; }
  bool at_end() const { return word_.empty(); }
  bool take(std::string_view wanted) {
    if (word_ != wanted || name_) return false;
    next();
    return true;
  }
  std::string take_name() {
    std::string name = std::move(word_);
    next();
    return name;
  }
  // What stands here, for an error message.
  std::string shown() const { return at_end() ? "end of string" : "'" + word_ + "'"; }

 private:
  static bool special(char c) { return std::string_view("=!(),<> \t\r\n").contains(c); }
  void next() {
    while (!text_.empty() && std::string_view(" \t\r\n").contains(text_[0])) text_.remove_prefix(1);
    name_ = !text_.empty() && !special(text_[0]);
    size_t length = 0;
    if (name_) {
      while (length < text_.size() && !special(text_[length])) ++length;
    } else if (text_.starts_with("==") || text_.starts_with("!=")) {
      length = 2;
    } else if (!text_.empty()) {
      length = 1;
    }
    word_ = text_.substr(0, length);
    text_.remove_prefix(length);
  }
  std::string_view text_;
  std::string word_;
  bool name_ = false;
};

// "(a, b,)" after in and notin; an empty place is the value "".
Result<std::vector<std::string>> parse_values(Words& words) {
  if (!words.take("(")) return fail(Errc::Invalid, "found {}, expected: '('", words.shown());
  std::vector<std::string> values;
  while (true) {
    values.push_back(words.is_name() ? words.take_name() : std::string());
    if (words.take(")")) return values;
    if (!words.take(",")) return fail(Errc::Invalid, "found {}, expected: ',' or ')'", words.shown());
  }
}

Result<Requirement> parse_requirement(Words& words) {
  Requirement requirement;
  bool absent = words.take("!");
  if (!words.is_name()) return fail(Errc::Invalid, "found {}, expected: identifier", words.shown());
  requirement.key = words.take_name();
  if (absent) {
    requirement.op = SelectorOp::DoesNotExist;
    return requirement;
  }
  if (words.at_end() || (!words.is_name() && words.word() == ",")) {
    requirement.op = SelectorOp::Exists;
    return requirement;
  }
  if (words.is_name() && (words.word() == "in" || words.word() == "notin")) {
    requirement.op = words.take_name() == "in" ? SelectorOp::In : SelectorOp::NotIn;
    requirement.values = TRY(parse_values(words));
    return requirement;
  }
  if (words.take("=") || words.take("=="))
    requirement.op = SelectorOp::In;
  else if (words.take("!="))
    requirement.op = SelectorOp::NotIn;
  else if (words.take(">"))
    requirement.op = SelectorOp::GreaterThan;
  else if (words.take("<"))
    requirement.op = SelectorOp::LessThan;
  else
    return fail(Errc::Invalid, "found {}, expected: in, notin, =, ==, !=, >, <", words.shown());
  requirement.values.push_back(words.is_name() ? words.take_name() : std::string());
  return requirement;
}

}  // namespace

bool Requirement::matches(const StringMap& labels) const {
  auto found = labels.find(key);
  bool present = found != labels.end();
  auto among = [&] { return std::binary_search(values.begin(), values.end(), found->second); };
  switch (op) {
    case SelectorOp::In: return present && among();
    case SelectorOp::NotIn: return !present || !among();  // an object without the key is selected
    case SelectorOp::Exists: return present;
    case SelectorOp::DoesNotExist: return !present;
    case SelectorOp::GreaterThan:
    case SelectorOp::LessThan: {
      if (!present) return false;
      auto have = integer(found->second), bound = integer(values.empty() ? "" : values[0]);
      if (!have || !bound) return false;
      return op == SelectorOp::GreaterThan ? *have > *bound : *have < *bound;
    }
  }
  return false;
}

Selector Selector::nothing() {
  Selector selector;
  selector.nothing_ = true;
  return selector;
}

Result<Selector> Selector::parse(std::string_view text) {
  Selector selector;
  Words words(text);
  while (!words.at_end()) {
    auto requirement = TRY(parse_requirement(words), "label selector \"{}\"", text);
    selector.requirements_.push_back(TRY(checked(std::move(requirement)), "label selector \"{}\"", text));
    if (words.at_end()) break;
    if (!words.take(","))
      return fail(Errc::Invalid, "label selector \"{}\": found {}, expected: ','", text, words.shown());
    if (words.at_end())
      return fail(Errc::Invalid, "label selector \"{}\": found end of string, expected: identifier after ','", text);
  }
  std::sort(selector.requirements_.begin(), selector.requirements_.end());
  return selector;
}

Result<Selector> Selector::from(const LabelSelector& source) {
  Selector selector = from(source.match_labels);
  for (const auto& expression : source.match_expressions) {
    Requirement requirement{.key = expression.key, .values = expression.values};
    if (expression.op == "In")
      requirement.op = SelectorOp::In;
    else if (expression.op == "NotIn")
      requirement.op = SelectorOp::NotIn;
    else if (expression.op == "Exists")
      requirement.op = SelectorOp::Exists;
    else if (expression.op == "DoesNotExist")
      requirement.op = SelectorOp::DoesNotExist;
    else
      return fail(Errc::Invalid, "\"{}\" is not a valid label selector operator", expression.op);
    selector.requirements_.push_back(TRY(checked(std::move(requirement))));
  }
  for (const auto& requirement : selector.requirements_) TRY(checked(requirement));
  std::sort(selector.requirements_.begin(), selector.requirements_.end());
  return selector;
}

Selector Selector::from(const StringMap& labels) {
  Selector selector;
  for (const auto& [key, value] : labels) selector.requirements_.push_back({key, SelectorOp::In, {value}});
  return selector;
}

bool Selector::matches(const StringMap& labels) const {
  return !nothing_ && std::all_of(requirements_.begin(), requirements_.end(),
                                  [&](const Requirement& requirement) { return requirement.matches(labels); });
}

std::string to_string(const Selector& selector) {
  std::string text;
  for (const auto& requirement : selector.requirements()) {
    if (!text.empty()) text += ',';
    std::string values = fmt::format("{}", fmt::join(requirement.values, ","));
    bool one = requirement.values.size() == 1;
    switch (requirement.op) {
      case SelectorOp::In:
        text += one ? requirement.key + "=" + values : requirement.key + " in (" + values + ")";
        break;
      case SelectorOp::NotIn:
        text += one ? requirement.key + "!=" + values : requirement.key + " notin (" + values + ")";
        break;
      case SelectorOp::Exists: text += requirement.key; break;
      case SelectorOp::DoesNotExist: text += "!" + requirement.key; break;
      case SelectorOp::GreaterThan: text += requirement.key + ">" + values; break;
      case SelectorOp::LessThan: text += requirement.key + "<" + values; break;
    }
  }
  return text;
}

}  // namespace causeway::kube
