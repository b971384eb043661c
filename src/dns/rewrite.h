// The rules of `rewrite` lines: what a question becomes, and how the answer to it is turned back.
#pragma once

#include <regex>

#include "dns/corefile.h"
#include "dns/message.h"

namespace causeway::dns {

class Rewriter {
 public:
  // Patterns were checked when the Corefile was read.
  explicit Rewriter(const std::vector<RewriteRule>& rules);

  struct Changed {
    WireName name;
    Type type = Type::A;
    Class cls = Class::In;
    std::vector<size_t> rules;  // those that fitted, in their order
  };
  // nullopt: no rule fits.
  std::optional<Changed> change(const Question& question) const;
  // Turns the answer to the changed question into one to `question`.
  void turn_back(const Changed& changed, const Question& question, Message& answer) const;
  bool empty() const { return rules_.empty(); }

 private:
  struct Rule {
    RewriteRule text;
    std::regex from, answer_from, value_from;
  };
  std::vector<Rule> rules_;
};

}  // namespace causeway::dns
