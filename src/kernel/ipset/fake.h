// IP sets in memory, for tests of those who use IpSets.
#pragma once

#include "kernel/ipset/encode.h"

namespace causeway::ipset {

class FakeIpSets final : public IpSets {
 public:
  std::map<std::string, Held> all;
  std::vector<std::string> log;    // every change, printed
  std::set<std::string> in_use;    // sets that a rule uses: not to be destroyed
  std::optional<Error> fail_next;  // the next change fails so

  Result<std::vector<std::string>> names(std::string_view prefix) override {
    std::vector<std::string> found;
    for (const auto& [name, held] : all)
      if (name.starts_with(prefix)) found.push_back(name);
    return found;
  }
  Result<std::map<std::string, Held>> observe(std::string_view prefix) override {
    std::map<std::string, Held> found;
    for (const auto& [name, held] : all)
      if (name.starts_with(prefix)) found.emplace(name, held);
    return found;
  }

  Status apply(const Change& change) override {
    if (fail_next) return fail(*std::exchange(fail_next, std::nullopt));
    uint32_t sequence = 0;
    TRY(encode(change, [&] { return ++sequence; }));  // what the encoder refuses is refused here too
    log.push_back(to_string(change));
    if (const auto* c = std::get_if<CreateSet>(&change)) {
      auto [it, fresh] = all.try_emplace(c->name, Held{c->set, {}});
      if (!fresh && it->second.set != c->set) return fail(Errc::Io, "{}: it is there with another type", change);
    } else if (const auto* c = std::get_if<DestroySet>(&change)) {
      if (in_use.contains(c->name)) return fail(Errc::Conflict, "{}: a rule uses it", change);
      all.erase(c->name);
    } else if (const auto* c = std::get_if<AddElements>(&change)) {
      auto it = all.find(c->name);
      if (it == all.end()) return fail(Errc::NotFound, "{}", change);
      it->second.elements.insert(c->elements.begin(), c->elements.end());
    } else {
      const auto& c2 = std::get<DeleteElements>(change);
      auto it = all.find(c2.name);
      if (it == all.end()) return fail(Errc::NotFound, "{}", change);
      for (const Element& element : c2.elements) it->second.elements.erase(element);
    }
    return ok();
  }
};

}  // namespace causeway::ipset
