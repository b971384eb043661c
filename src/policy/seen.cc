#include "policy/seen.h"

#include <arpa/inet.h>

#include "datapath/rows.h"

namespace causeway::policy {

std::string_view to_string(Fate fate) {
  switch (fate) {
    case Fate::Allowed: return "allowed";
    case Fate::Dropped: return "dropped";
    case Fate::Cut: return "cut";
    case Fate::Closed: return "closed";
  }
  return "?";
}

namespace {

Fate fate_of(uint8_t verdict) {
  switch (verdict) {
    case abi::FLOW_DENIED: return Fate::Dropped;
    case abi::FLOW_CUT: return Fate::Cut;
    case abi::FLOW_CLOSED: return Fate::Closed;
    default: return Fate::Allowed;
  }
}

std::string isolating(const Compiler& rules, const Ip& ip, Direction direction) {
  const Address* address = rules.addresses.find(ip);
  const Subject* subject = address ? rules.subjects.find(address->pod) : nullptr;
  const Set* set =
      subject ? rules.sets.find(direction == Direction::Ingress ? subject->ingress : subject->egress) : nullptr;
  std::string names;
  if (set)
    for (const PolicyKey& policy : set->policies) names += (names.empty() ? "" : ", ") + to_string(policy);
  return names.empty() ? "a policy that is gone" : "NetworkPolicy " + names;
}

}  // namespace

Seen seen(const abi::flow_event& event, uint32_t bank, WallTime boot) {
  Seen out{.time = boot + std::chrono::nanoseconds(event.header.time),
           .fate = fate_of(event.verdict),
           .source = datapath::from_abi(event.src),
           .target = datapath::from_abi(event.dst),
           .source_port = ntohs(event.sport),
           .target_port = ntohs(event.dport),
           .protocol = event.proto,
           .from_node = event.node != 0};
  if (event.reason == abi::DROP_POLICY_EGRESS)
    out.denied = Direction::Egress;
  else if (event.reason == abi::DROP_POLICY_INGRESS)
    out.denied = Direction::Ingress;
  else if (event.reason == abi::DROP_POLICY_FULL)
    out.trouble = "no room to remember a flow that policies admit";
  else if (event.reason)
    out.trouble = "which policies judge the Pod is not known yet";
  if (event.egress_set) out.egress = static_cast<RuleId>(event.egress_rule);
  if (event.ingress_set) out.ingress = static_cast<RuleId>(event.ingress_rule);
  out.stale = event.bank && event.bank != bank;
  return out;
}

Because because(const Compiler& rules, const Seen& seen) {
  if (seen.stale) return {.policy = "as a former agent had them", .rule = ""};
  Direction direction = seen.denied.value_or(seen.ingress ? Direction::Ingress : Direction::Egress);
  // What let it through at both ends is said by the server's, unless only the client's names a rule.
  if (!seen.denied && direction == Direction::Ingress && *seen.ingress == RuleId::None && seen.egress)
    direction = Direction::Egress;
  const auto& decided = direction == Direction::Ingress ? seen.ingress : seen.egress;
  if (!decided) return {};
  if (const Rule* rule = rules.rules.find(*decided))
    return {.policy = fmt::format("{} {}", rule->tier == Tier::Namespaced ? "NetworkPolicy" : "ClusterNetworkPolicy",
                                  rule->policy),
            .rule = fmt::format("{}[{}]{}", rule->direction, rule->index,
                                rule->name.empty() ? "" : fmt::format(" \"{}\"", rule->name.view()))};
  if (*decided != RuleId::None) return {.policy = "a policy that is gone", .rule = ""};
  if (!seen.denied) return {};  // no rule had to
  return {.policy = isolating(rules, direction == Direction::Ingress ? seen.target : seen.source, direction),
          .rule = ""};
}

}  // namespace causeway::policy
