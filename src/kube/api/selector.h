// Label and field selectors: parsed once, matched often.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/api/meta.h"

namespace causeway::kube {

enum class SelectorOp : uint8_t { In, NotIn, Exists, DoesNotExist, GreaterThan, LessThan };

struct Requirement {
  std::string key;
  SelectorOp op = SelectorOp::Exists;
  std::vector<std::string> values;  // sorted; In and NotIn: one or more; GreaterThan and LessThan: one integer
  bool matches(const StringMap& labels) const;
  auto operator<=>(const Requirement&) const = default;
};

// A conjunction, sorted by key; without requirements it selects everything. Equal selectors compare equal.
class Selector {
 public:
  Selector() = default;
  static Selector everything() { return {}; }
  static Selector nothing();

  // "app=web,tier in (a, b),!old,version>3": the form of ?labelSelector= and kubectl -l. Errors: Invalid with the
  // position's word.
  static Result<Selector> parse(std::string_view text);
  // An object's matchLabels and matchExpressions. Errors: Invalid for an operator or value that cannot be.
  static Result<Selector> from(const LabelSelector& selector);
  // Plain equality of every pair (Service.spec.selector).
  static Selector from(const StringMap& labels);

  bool matches(const StringMap& labels) const;
  bool matches_everything() const { return !nothing_ && requirements_.empty(); }
  std::span<const Requirement> requirements() const { return requirements_; }
  auto operator<=>(const Selector&) const = default;

 private:
  bool nothing_ = false;
  std::vector<Requirement> requirements_;
};
// The canonical text, which parse() reads back: "app=web,tier in (a,b)".
std::string to_string(const Selector& selector);

// "spec.nodeName=n1,status.phase!=Running": equality of whole fields.
struct FieldRequirement {
  std::string field;
  std::string value;
  bool equal = true;
  bool operator==(const FieldRequirement&) const = default;
};
class FieldSelector {
 public:
  // Values may escape "," "=" and "\" by "\". Errors: Invalid.
  static Result<FieldSelector> parse(std::string_view text);
  std::span<const FieldRequirement> requirements() const { return requirements_; }
  bool matches_everything() const { return requirements_.empty(); }
  // `fields` holds every field that this kind supports; one that is missing counts as "".
  bool matches(const StringMap& fields) const;
  bool operator==(const FieldSelector&) const = default;

 private:
  std::vector<FieldRequirement> requirements_;
};
std::string to_string(const FieldSelector& selector);

}  // namespace causeway::kube
