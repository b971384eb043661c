// "One of k endpoints": a chain for each k that some Service has, shared by all that have it. Pure.
#pragma once

#include "service/nft_ruleset.h"

namespace causeway::service::nft {

struct Pick {
  Family family = Family::V4;
  Pool pool = Pool::Cluster;
  uint32_t slots = 1;     // k
  uint32_t affinity = 0;  // seconds a client stays with its endpoint; 0: does not
  bool masquerade = false;
  auto operator<=>(const Pick&) const = default;
};

std::string chain_of(const Pick& pick);  // services-4-cluster-3, services-6-local-2-10800s-masquerade
std::vector<nftables::Rule> rules_of(const Pick& pick);
// A chain that masquerades goes on to the one that does not.
std::optional<Pick> leans_on(const Pick& pick);

}  // namespace causeway::service::nft
