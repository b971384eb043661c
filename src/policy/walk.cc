#include "policy/walk.h"

#include <algorithm>

#include "policy/compile.h"

namespace causeway::policy {

namespace {

bool has_peer(const cluster::Model& model, const cluster::PolicyRule& rule, const Ip& ip, const cluster::Pod* peer) {
  if (rule.anybody) return true;
  for (const cluster::PolicyBlock& block : rule.blocks)
    if (block.contains(ip)) return true;
  for (const cluster::NodePeer& nodes : rule.nodes)
    for (const auto& [name, node] : model.nodes())
      if (nodes.matches(node.labels) && cluster::has_address(node, ip)) return true;
  return peer && std::ranges::any_of(rule.pods, [&](const cluster::PodPeer& one) {
           return one.covers(peer->key.ns, labels_of(model, peer->key.ns)) && one.pods.matches(peer->labels);
         });
}

bool has_port(const cluster::PolicyRule& rule, const Packet& packet, const cluster::Pod* destination) {
  if (rule.any_port) return true;
  return packet.protocol && std::ranges::any_of(rule.ports, [&](const cluster::PolicyPort& port) {
           if (port.protocol && *port.protocol != *packet.protocol) return false;
           if (port.name.empty()) return port.first <= packet.port && packet.port <= port.last;
           return destination && std::ranges::any_of(destination->ports, [&](const NamedPort& named) {
                    return port.name == named.name && named.protocol == *packet.protocol && named.port == packet.port;
                  });
         });
}

}  // namespace

Rule RuleFit::named() const {
  return {.policy = policy->key,
          .tier = policy->tier,
          .direction = direction,
          .action = rule().action,
          .index = index,
          .name = rule().name};
}

Walk walk(const cluster::Model& model, const cluster::Pod& subject, Direction direction, const Packet& packet,
          const cluster::Pod* peer) {
  Walk out;
  const auto look = [&](const std::string& ns) {
    for (auto at = model.policies().lower_bound({ns, {}}); at != model.policies().end() && at->first.ns == ns; ++at) {
      const cluster::Policy& policy = *at->second;
      if (policy.concerns(direction) && policy.subject.pods.matches(subject.labels) &&
          policy.subject.covers(subject.key.ns, labels_of(model, subject.key.ns)))
        out.selecting.push_back(&policy);
    }
  };
  look("");
  look(subject.key.ns);
  std::ranges::sort(out.selecting, [](const auto* a, const auto* b) { return cluster::precedes(*a, *b); });
  const cluster::Pod* destination = direction == Direction::Ingress ? &subject : peer;
  std::optional<Tier> skipped;  // by Pass
  for (const cluster::Policy* policy : out.selecting) {
    const auto& rules = policy->rules(direction);
    for (uint32_t i = 0; i < rules.size(); ++i) {
      RuleFit fit{.policy = policy,
                  .direction = direction,
                  .index = i,
                  .peer = has_peer(model, rules[i], packet.peer, peer),
                  .port = has_port(rules[i], packet, destination)};
      if (fit.peer != fit.port && rules[i].action == Action::Accept) out.near.push_back(fit);
      if (!fit.peer || !fit.port || out.tier || skipped == policy->tier) continue;
      if (rules[i].action == Action::Pass) {
        skipped = policy->tier;
        out.passed.push_back(fit);
        continue;
      }
      out.tier = policy->tier;
      out.decided = fit;
      out.allowed = rules[i].action == Action::Accept;
    }
  }
  // Isolated, and nothing before the Baseline tier decided: that is final, whatever a Baseline rule says.
  const bool isolated = std::ranges::any_of(out.selecting, [](const auto* p) { return p->tier == Tier::Namespaced; });
  if (isolated && (!out.tier || *out.tier == Tier::Baseline)) {
    out.tier = Tier::Namespaced;
    out.decided.reset();
    out.allowed = false;
  }
  return out;
}

}  // namespace causeway::policy
