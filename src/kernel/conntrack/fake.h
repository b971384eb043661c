// Tracked connections in memory, for tests of those who use Conntrack.
#pragma once

#include <set>

#include "kernel/conntrack/conntrack.h"

namespace causeway::conntrack {

class FakeConntrack final : public Conntrack {
 public:
  std::set<Flow> all;
  size_t listings = 0;

  Result<std::vector<Flow>> flows(Filter filter) override {
    ++listings;
    std::vector<Flow> found;
    for (const Flow& flow : all)
      if ((!filter.protocol || flow.protocol == filter.protocol) &&
          (!filter.port || flow.original.destination.port == filter.port) &&
          flow.original.destination.ip.family() == filter.family)
        found.push_back(flow);
    return found;
  }
  Status remove(const Flow& flow) override {
    all.erase(flow);
    return ok();
  }
  Status create(const Flow& flow) override {
    for (const Flow& other : all)
      for (const Tuple& tuple : {other.original, other.reply})
        if (other.protocol == flow.protocol && (tuple == flow.original || tuple == flow.reply))
          return fail(Errc::AlreadyExists, "{}", flow);
    all.insert(flow);
    return ok();
  }
};

}  // namespace causeway::conntrack
