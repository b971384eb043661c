// What the checks of the demo count.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "base/format.h"

namespace causeway::cli {

// A group of questions of one kind: counts, and the first thing that went wrong.
struct Tally {
  int asked = 0, wrong = 0;
  std::string first;
  void count(const std::string& problem) {
    ++asked;
    if (problem.empty()) return;
    if (wrong++ == 0) first = problem;
  }
  std::string problem() const {
    return wrong == 0 ? "" : fmt::format("{} of {} failed, first: {}", wrong, asked, first);
  }
};

// A string member of an answer; "" when there is none.
inline std::string text_of(const boost::json::value& value, std::string_view key) {
  auto* found = value.is_object() ? value.as_object().if_contains(key) : nullptr;
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

}  // namespace causeway::cli
