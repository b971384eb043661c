#include "policy/tables.h"

#include <algorithm>
#include <set>

namespace causeway::policy {

namespace {

auto rows_of(const Tables& tables, SetId set) {
  return std::pair(tables.verdicts.lower_bound({set, ClassId::None, 0}),
                   tables.verdicts.upper_bound({set, static_cast<ClassId>(UINT32_MAX), UINT32_MAX}));
}

Verdict at(const Tables& tables, SetId set, ClassId peer, PortAtom port) {
  Verdict all;
  const auto take = [&](ClassId one, PortAtom atom) {
    if (auto row = tables.verdicts.find({set, one, atom}); row != tables.verdicts.end()) all.take(row->second);
  };
  take(ClassId::None, 0);
  if (peer != ClassId::None) take(peer, 0);
  if (port != 0) take(ClassId::None, port);
  if (peer != ClassId::None && port != 0) take(peer, port);
  return all;
}

}  // namespace

std::string to_string(const Rule& rule) {
  return fmt::format("{} {} {}[{}]{}", kind_of(rule.policy), rule.policy, rule.direction, rule.index,
                     rule.name.empty() ? "" : fmt::format(" \"{}\"", rule.name.view()));
}

void Verdict::take(const Verdict& other) {
  for (size_t i = 0; i < tiers.size(); ++i)
    if (other.tiers[i].rank < tiers[i].rank) tiers[i] = other.tiers[i];
}

ClassId class_of(const Tables& tables, const Ip& ip) {
  if (auto pod = tables.addresses.find(ip); pod != tables.addresses.end()) return pod->second.peer;
  for (int length = ip.bits(); length >= 0; --length)
    if (auto block = tables.blocks.find(Cidr(ip, length)); block != tables.blocks.end()) return block->second;
  return ClassId::None;
}

const DnsPeer* dns_peer(const Tables& tables, Direction direction, const Packet& packet) {
  if (!may_be_dns(direction, packet.protocol, packet.port)) return nullptr;
  const auto at = tables.dns.find(packet.peer);
  return at == tables.dns.end() ? nullptr : &at->second;
}

PortAtom atom_of(const Tables& tables, SetId set, std::optional<Protocol> protocol, uint16_t port) {
  auto found = tables.sets.find(set);
  if (!protocol || found == tables.sets.end()) return 0;
  auto ranges = tables.ports.find(found->second.ports);
  if (ranges == tables.ports.end()) return 0;
  for (const PortRange& range : ranges->second)
    if (range.protocol == *protocol && range.first <= port && port <= range.last) return range.atom;
  return 0;
}

Decision decide(const Verdict& verdict, SetId set) {
  for (Tier tier : {Tier::Admin, Tier::Namespaced, Tier::Baseline}) {
    const Choice& choice = verdict.tiers[static_cast<size_t>(tier)];
    if (choice.there() && choice.action != Action::Pass)
      return {.allowed = choice.action == Action::Accept, .tier = tier, .rule = choice.rule, .set = set};
  }
  return {.set = set};
}

Decision judge(const Tables& tables, const PodKey& pod, Direction direction, const Packet& packet) {
  auto subject = tables.subjects.find(pod);
  if (subject == tables.subjects.end()) return {.allowed = false};
  const SetId set = direction == Direction::Ingress ? subject->second.ingress : subject->second.egress;
  if (set == SetId::Open) return {};
  const DnsPeer* dns = dns_peer(tables, direction, packet);
  const ClassId peer = dns ? dns->peer : class_of(tables, packet.peer);
  return decide(at(tables, set, peer, atom_of(tables, set, packet.protocol, packet.port)), set);
}

std::map<VerdictKey, Decision> flatten(const Tables& tables, SetId set) {
  std::set<ClassId> peers{ClassId::None};
  std::set<PortAtom> ports{0};
  const auto [first, last] = rows_of(tables, set);
  for (auto row = first; row != last; ++row) {
    peers.insert(row->first.peer);
    ports.insert(row->first.port);
  }
  std::map<VerdictKey, Decision> out;
  for (ClassId peer : peers)
    for (PortAtom port : ports) out.emplace(VerdictKey{set, peer, port}, decide(at(tables, set, peer, port), set));
  return out;
}

}  // namespace causeway::policy
