// Virtual services in memory, for tests of those who use Ipvs.
#pragma once

#include <set>

#include "kernel/ipvs/encode.h"

namespace causeway::ipvs {

class FakeIpvs final : public Ipvs {
 public:
  std::map<ServiceKey, Held> all;
  std::vector<std::string> log;  // every change, printed
  std::set<std::string> schedulers = {"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh"};

  Result<std::map<ServiceKey, Held>> observe() override { return all; }
  Result<std::map<Endpoint, Destination>> destinations(const ServiceKey& key) override {
    const auto it = all.find(key);
    return it == all.end() ? std::map<Endpoint, Destination>() : it->second.destinations;
  }
  std::vector<Status> apply(std::span<const Change> changes) override {
    std::vector<Status> results;
    for (const Change& change : changes) {
      log.push_back(to_string(change));
      results.push_back(one(change));
    }
    return results;
  }

 private:
  // As the kernel answers.
  Status one(const Change& change) {
    TRY(encode(change, 1, 1));  // what the encoder refuses is refused here too
    const ServiceKey& key = std::visit([](const auto& c) -> const ServiceKey& { return c.key; }, change);
    const auto it = all.find(key);
    const bool there = it != all.end();
    if (const auto* c = std::get_if<CreateService>(&change)) {
      if (there) return fail(Errc::AlreadyExists, "{}", change);
      if (!schedulers.contains(c->service.scheduler)) return fail(Errc::Unsupported, "{}", change);
      all[key].service = c->service;
      return ok();
    }
    if (std::holds_alternative<DeleteService>(change)) {
      all.erase(key);
      return ok();
    }
    if (!there) return fail(Errc::NotFound, "{}", change);
    auto& destinations = it->second.destinations;
    if (const auto* c = std::get_if<UpdateService>(&change)) {
      if (!schedulers.contains(c->service.scheduler)) return fail(Errc::Unsupported, "{}", change);
      it->second.service = c->service;
    } else if (const auto* d = std::get_if<CreateDestination>(&change)) {
      if (!destinations.try_emplace(d->to, Destination{d->weight}).second)
        return fail(Errc::AlreadyExists, "{}", change);
    } else if (const auto* u = std::get_if<UpdateDestination>(&change)) {
      const auto to = destinations.find(u->to);
      if (to == destinations.end()) return fail(Errc::NotFound, "{}", change);
      to->second.weight = u->weight;
    } else {
      destinations.erase(std::get<DeleteDestination>(change).to);
    }
    return ok();
  }
};

}  // namespace causeway::ipvs
