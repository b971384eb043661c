// What a controller did and its cache does not show yet. Decisions wait for it, else the same Pod is made twice.
#pragma once

#include <set>
#include <string>

#include "async/loop.h"

namespace causeway::control {

struct Expected {
  static constexpr Duration kPatience = 30s;  // an event that never came: decide on what the cache shows

  std::set<std::string> created;  // names of Pods
  std::set<std::string> deleted;
  TimePoint since{};
  bool empty() const { return created.empty() && deleted.empty(); }
  bool holds(TimePoint now) const { return !empty() && now - since < kPatience; }
};

}  // namespace causeway::control
