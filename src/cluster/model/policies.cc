#include "cluster/model/policies.h"

#include <algorithm>
#include <tuple>

namespace causeway::cluster {

std::string_view to_string(Tier tier) {
  switch (tier) {
    case Tier::Admin: return "Admin";
    case Tier::Namespaced: return "NetworkPolicy";
    case Tier::Baseline: return "Baseline";
  }
  return "?";
}

std::string_view to_string(Direction direction) { return direction == Direction::Ingress ? "ingress" : "egress"; }

std::string_view to_string(Action action) {
  switch (action) {
    case Action::Accept: return "accept";
    case Action::Deny: return "deny";
    case Action::Pass: return "pass";
  }
  return "?";
}

std::string to_string(const PolicyKey& key) { return key.ns.empty() ? std::string(key.name) : key.ns + "/" + key.name; }

std::string_view kind_of(const PolicyKey& key) { return key.ns.empty() ? "ClusterNetworkPolicy" : "NetworkPolicy"; }

std::string to_string(const PodPeer& peer) {
  const std::string pods = peer.pods.matches_everything() ? "all Pods" : "Pods " + to_string(peer.pods);
  if (!peer.ns.empty()) return fmt::format("{} of namespace {}", pods, peer.ns.view());
  if (peer.namespaces.matches_everything()) return pods + " of all namespaces";
  return fmt::format("{} of namespaces {}", pods, to_string(peer.namespaces));
}

bool PolicyBlock::contains(const Ip& ip) const {
  return cidr.contains(ip) && std::ranges::none_of(except, [&](const Cidr& part) { return part.contains(ip); });
}

std::string to_string(const PolicyBlock& block) {
  std::string text = to_string(block.cidr);
  for (size_t i = 0; i < block.except.size(); ++i) text += (i ? ", " : " except ") + to_string(block.except[i]);
  return text;
}

std::string to_string(const PolicyPort& port) {
  const std::string protocol = port.protocol ? std::string(to_string(*port.protocol)) : "any protocol";
  if (!port.name.empty()) return fmt::format("port \"{}\"/{}", port.name.view(), protocol);
  if (port.first == 0 && port.last == 65535) return fmt::format("every {} port", protocol);
  if (port.first == port.last) return fmt::format("{}/{}", port.first, protocol);
  return fmt::format("{}-{}/{}", port.first, port.last, protocol);
}

bool precedes(const Policy& a, const Policy& b) {
  return std::tie(a.tier, a.priority, a.key) < std::tie(b.tier, b.priority, b.key);
}

std::map<PolicyKey, std::string> priority_ties(const Policies& policies) {
  std::map<std::pair<Tier, uint16_t>, std::vector<const Policy*>> by_rank;
  for (auto at = policies.begin(); at != policies.end() && at->first.ns.empty(); ++at)
    by_rank[{at->second->tier, at->second->priority}].push_back(at->second.get());
  std::map<PolicyKey, std::string> out;
  for (const auto& [rank, tied] : by_rank)
    for (const Policy* one : tied) {
      std::string others;
      for (const Policy* other : tied) {
        const bool meet =
            (one->concerns_ingress && other->concerns_ingress) || (one->concerns_egress && other->concerns_egress);
        if (other != one && meet) others += (others.empty() ? "" : ", ") + to_string(other->key);
      }
      if (!others.empty())
        out.emplace(one->key, fmt::format("tier {} and priority {} are also those of {}: they are judged by name",
                                          rank.first, rank.second, others));
    }
  return out;
}

}  // namespace causeway::cluster
