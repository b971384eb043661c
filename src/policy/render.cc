#include <fmt/ranges.h>

#include <algorithm>

#include "policy/tables.h"

namespace causeway::policy {

namespace {

std::string class_name(const Tables& tables, ClassId id) {
  if (id == ClassId::None) return "everybody";
  auto found = tables.classes.find(id);
  if (found == tables.classes.end()) return fmt::format("unknown class {}", id);
  return fmt::format("{{{}}}", fmt::join(found->second.members, "; "));
}

std::string set_name(const Tables& tables, SetId id) {
  if (id == SetId::Open) return "open";
  auto found = tables.sets.find(id);
  if (found == tables.sets.end()) return fmt::format("unknown set {}", id);
  std::string text = fmt::format("{}(", found->second.direction);
  for (size_t i = 0; i < found->second.policies.size(); ++i)
    text += (i ? " " : "") + to_string(found->second.policies[i]);
  for (const NamedPort& port : found->second.named)
    text += fmt::format(" {}={}/{}", port.name, port.port, port.protocol);
  return text + ")";
}

// "80/tcp,90-91/tcp": an atom by its ports.
std::string port_name(const Tables& tables, SetId set, PortAtom atom) {
  if (atom == 0) return "all ports";
  std::string text;
  if (auto found = tables.sets.find(set); found != tables.sets.end())
    if (auto ranges = tables.ports.find(found->second.ports); ranges != tables.ports.end())
      for (const PortRange& range : ranges->second)
        if (range.atom == atom)
          text += (text.empty() ? "" : ",") + (range.first == range.last
                                                   ? fmt::format("{}/{}", range.first, range.protocol)
                                                   : fmt::format("{}-{}/{}", range.first, range.last, range.protocol));
  return text.empty() ? fmt::format("unknown atom {}", atom) : text;
}

std::string choice_name(const Tables& tables, const Choice& choice) {
  if (choice.rule == RuleId::None) return fmt::format("{} (isolated)", choice.action);
  auto found = tables.rules.find(choice.rule);
  return fmt::format("{} by {}", choice.action,
                     found == tables.rules.end() ? "unknown rule " + to_string(choice.rule) : to_string(found->second));
}

}  // namespace

std::string render(const Tables& tables) {
  std::vector<std::string> lines;
  for (const auto& [pod, subject] : tables.subjects)
    lines.push_back(fmt::format("pod {} ingress {} egress {}", pod, set_name(tables, subject.ingress),
                                set_name(tables, subject.egress)));
  for (const auto& [ip, address] : tables.addresses)
    lines.push_back(fmt::format("address {} pod {} class {}", ip, address.pod, class_name(tables, address.peer)));
  for (const auto& [ip, dns] : tables.dns)
    lines.push_back(fmt::format("dns {} as a Pod of {} with address {} class {}", ip, tables.dns_pod.key.ns, dns.as,
                                class_name(tables, dns.peer)));
  for (const auto& [cidr, peer] : tables.blocks)
    lines.push_back(fmt::format("block {} class {}", cidr, class_name(tables, peer)));
  for (const auto& [key, verdict] : tables.verdicts) {
    std::string text = fmt::format("verdict {} {} {}:", set_name(tables, key.set), class_name(tables, key.peer),
                                   port_name(tables, key.set, key.port));
    for (const Choice& choice : verdict.tiers)
      if (choice.there()) text += " " + choice_name(tables, choice);
    lines.push_back(std::move(text));
  }
  for (const auto& [key, set] : tables.sets) lines.push_back("set " + set_name(tables, key));
  for (const auto& [id, rule] : tables.rules)
    lines.push_back(fmt::format("rule {} {} {}", rule, rule.tier, rule.action));
  for (const auto& [id, peer] : tables.classes) lines.push_back("class " + class_name(tables, id));
  for (const auto& [policy, problem] : tables.problems) lines.push_back(fmt::format("problem {}: {}", policy, problem));
  std::ranges::sort(lines);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace causeway::policy
