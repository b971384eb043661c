#include "policy/explain.h"

#include <algorithm>

namespace causeway::policy {

namespace {

const cluster::Pod* pod_at(const cluster::Model& model, const Tables& tables, const Ip& ip) {
  auto at = tables.addresses.find(ip);
  if (at == tables.addresses.end()) return nullptr;
  auto pod = model.pods().find(at->second.pod);
  return pod == model.pods().end() ? nullptr : &pod->second;
}

std::string labels_text(const cluster::Labels& labels) {
  std::string text;
  for (const auto& [key, value] : labels) text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  return text;
}

// The least name of those that have it; "": none.
std::string node_at(const cluster::Model& model, const Ip& ip) {
  for (const auto& [name, node] : model.nodes())
    if (cluster::has_address(node, ip)) return name;
  return "";
}

std::string peers_of(const cluster::PolicyRule& rule) {
  if (rule.anybody) return "everybody";
  std::string text;
  for (const auto& peer : rule.pods) text += (text.empty() ? "" : "; ") + to_string(peer);
  for (const auto& nodes : rule.nodes) text += (text.empty() ? "" : "; ") + cluster::describe_nodes(nodes);
  for (const auto& block : rule.blocks) text += (text.empty() ? "" : "; ") + to_string(block);
  return text.empty() ? "nobody" : text;
}

std::string ports_of(const cluster::PolicyRule& rule) {
  if (rule.any_port) return "every port";
  std::string text;
  for (const auto& port : rule.ports) text += (text.empty() ? "" : ", ") + to_string(port);
  return text.empty() ? "none" : text;
}

std::string names_of(const std::vector<const cluster::Policy*>& policies, Tier tier) {
  constexpr size_t kMost = 5;
  std::string text;
  size_t count = 0;
  for (const cluster::Policy* policy : policies)
    if (policy->tier == tier && ++count <= kMost) text += (text.empty() ? "" : ", ") + to_string(policy->key);
  return count > kMost ? fmt::format("{} and {} more", text, count - kMost) : text;
}

std::string side(const Walk& walk, Direction direction) {
  std::string text;
  for (const RuleFit& fit : walk.passed) text += fmt::format("{} passes it on; ", fit.named());
  if (!walk.tier)
    return "allowed: " + text +
           (walk.selecting.empty() ? fmt::format("no policy selects it for {}", direction)
                                   : "no rule decides, and no NetworkPolicy isolates it");
  if (walk.decided) return fmt::format("{}: {}{}", walk.allowed ? "allowed" : "DENIED", text, walk.decided->named());
  return fmt::format("DENIED: {}isolated by NetworkPolicy {}, and no rule admits it", text,
                     names_of(walk.selecting, Tier::Namespaced));
}

std::string near_misses(const Walk& walk) {
  constexpr size_t kMost = 8;
  std::string text;
  for (size_t i = 0; i < walk.near.size() && i < kMost; ++i) {
    const RuleFit& fit = walk.near[i];
    text += fmt::format("    near: {}: {}\n", fit.named(),
                        fit.peer ? "the peer fits, the port does not: it admits " + ports_of(fit.rule())
                                 : "the port fits, the peer does not: it admits " + peers_of(fit.rule()));
  }
  if (walk.near.size() > kMost) text += fmt::format("    and {} more\n", walk.near.size() - kMost);
  for (const cluster::Policy* policy : walk.selecting)
    if (!policy->problem.empty()) text += fmt::format("    {}: {}\n", policy->key, policy->problem);
  return text;
}

// One family's answer.
Result<Explanation> one(const cluster::Model& model, const Tables& tables, const Party& from, const Party& to,
                        Family family, const Port& port) {
  const FlowVerdict verdict = judge_flow(model, tables, from, to, family, port);
  Explanation out{.allowed = verdict.allowed()};
  if (verdict.exempt == Exempt::Itself) out.text = "  no policy is asked: a Pod always reaches itself\n";
  if (verdict.exempt == Exempt::OwnNode)
    out.text = fmt::format("  no policy is asked: a node always reaches its own Pods, and {} is of node {}\n",
                           from.name, to.pod->node);
  if (verdict.exempt != Exempt::No) return out;
  const auto judge_side = [&](const Party& own, const Party& other, Direction direction,
                              const std::optional<Decision>& decision) -> Status {
    out.text += fmt::format("  {} of {}: ", direction, own.name);
    if (!decision) {
      out.text += own.pod ? "no policy judges it: it is in the host's network\n" : "not a Pod: no policy judges it\n";
      return ok();
    }
    const Ip& ip = *other.address(family);
    Packet packet{ip, port.protocol, port.port};
    const cluster::Pod* peer = pod_at(model, tables, ip);
    if (const DnsPeer* dns = dns_peer(tables, direction, packet)) {
      out.text += fmt::format("cluster DNS, taken for a Pod of {} labelled {} at {}: ", tables.dns_pod.key.ns,
                              labels_text(tables.dns_pod.labels), dns->as);
      packet.peer = dns->as;
      peer = &tables.dns_pod;
    }
    const Walk by_rules = walk(model, *own.pod, direction, packet, peer);
    out.text += side(by_rules, direction) + "\n";
    if (!by_rules.allowed) out.text += near_misses(by_rules);
    const auto rule = tables.rules.find(decision->rule);
    const bool same = by_rules.allowed == decision->allowed && by_rules.tier == decision->tier &&
                      (by_rules.decided ? rule != tables.rules.end() && rule->second == by_rules.decided->named()
                                        : decision->rule == RuleId::None);
    if (!same)
      return fail(Errc::Internal, "{} of {}: the tables and the rules disagree; please report this with the policies",
                  direction, own.name);
    return ok();
  };
  if (from.pod) TRY(judge_side(from, to, Direction::Egress, verdict.egress));
  if (to.pod) TRY(judge_side(to, from, Direction::Ingress, verdict.ingress));
  for (const Party* party : {&from, &to})
    if (!party->pod)
      if (const std::string node = node_at(model, *party->address(family)); !node.empty())
        out.text += fmt::format("  {} is of Node {}: no policy judges it\n", party->name, node);
  if (!from.pod && !to.pod) out.text = "  neither end is a Pod: no policy judges it\n";
  return out;
}

}  // namespace

Result<Explanation> explain(const cluster::Model& model, const Tables& tables, const Party& from, const Party& to,
                            const Port& port) {
  const auto families = shared_families(from, to);
  if (families.empty()) return fail(Errc::Invalid, "{} and {} have no addresses of one family", from.name, to.name);
  std::vector<Explanation> answers;
  for (Family family : families) answers.push_back(TRY(one(model, tables, from, to, family, port)));
  const bool alike = std::ranges::all_of(answers, [&](const Explanation& each) {
    return each.allowed == answers[0].allowed && each.text == answers[0].text;
  });
  Explanation out;
  for (size_t i = 0; i < (alike ? 1 : answers.size()); ++i) {
    out.allowed &= answers[i].allowed;
    out.text +=
        fmt::format("{} -> {} {}{}: {}\n{}", from.name, to.name, port, alike ? "" : fmt::format(" ({})", families[i]),
                    answers[i].allowed ? "allowed" : "DENIED", answers[i].text);
  }
  return out;
}

std::string denied_by(const Tables& tables, const FlowVerdict& verdict) {
  if (verdict.allowed()) return "";
  const auto say = [&](const Decision& decision, Direction direction) {
    if (auto rule = tables.rules.find(decision.rule); rule != tables.rules.end()) return to_string(rule->second);
    std::string text;
    if (auto set = tables.sets.find(decision.set); set != tables.sets.end())
      for (const PolicyKey& policy : set->second.policies) text += (text.empty() ? "" : ", ") + to_string(policy);
    return fmt::format("{} isolated by {}", direction, text);
  };
  if (verdict.egress && !verdict.egress->allowed) return say(*verdict.egress, Direction::Egress);
  return say(*verdict.ingress, Direction::Ingress);
}

}  // namespace causeway::policy
