// What the kernel holds beside what it should.
#include <arpa/inet.h>

#include "datapath/rows.h"
#include "policy/apply_bpf.h"
#include "policy/bpf_rows.h"

namespace causeway::policy {

namespace {

// Lines about rows of `table` that differ from `wanted`, and those that are too many.
template <class K, class V, class Say, class Same>
Status compare(const bpf::Table<K, V>& table, const std::map<K, V>& wanted, std::string_view what, Say say, Same same,
               std::vector<std::string>& out) {
  const auto is = TRY(table.dump());
  for (const auto& [key, value] : wanted) {
    const auto at = is.find(key);
    if (at == is.end())
      out.push_back(fmt::format("{} {} is missing", what, say(key)));
    else if (!same(at->second, value))
      out.push_back(fmt::format("{} {} differs", what, say(key)));
  }
  for (const auto& [key, value] : is)
    if (!wanted.contains(key)) out.push_back(fmt::format("{} {} is too many", what, say(key)));
  return ok();
}

bool equal(const auto& a, const auto& b) { return a == b; }

}  // namespace

Result<std::vector<std::string>> BpfApplier::differences() {
  std::vector<std::string> out;
  if (!desired_.complete() || !bank_) return out;
  const datapath::PolicyTables& maps = doors_.maps;
  const Compiler& rules = desired_.rules;
  const auto same = [](const auto& a, const auto& b) { return equal(a, b); };

  std::map<abi::policy_address_key, uint32_t> addresses;
  for (const auto& [ip, address] : rules.addresses.rows())
    addresses.emplace(address_key(bank_, ip), static_cast<uint32_t>(address.peer));
  for (const auto& [ip, dns] : rules.dns.rows()) addresses.emplace(dns_key(bank_, ip), static_cast<uint32_t>(dns.peer));
  TRY(compare(
      maps.addresses, addresses, "address", [](const auto& key) { return to_string(datapath::from_abi(key.addr)); },
      same, out));

  std::map<abi::policy_block_key, uint32_t> blocks;
  for (const auto& [prefix, peer] : rules.blocks.rows())
    blocks.emplace(block_key(bank_, prefix), static_cast<uint32_t>(peer));
  TRY(compare(
      maps.blocks, blocks, "block",
      [](const auto& key) { return fmt::format("{} of {} bits", datapath::from_abi(key.addr), key.prefixlen); }, same,
      out));

  std::map<abi::policy_port_key, uint32_t> ports;
  for (const auto& [id, ranges] : rules.ports.rows())
    for (const auto& [key, atom] : port_rows(bank_, id, ranges)) ports.emplace(key, atom);
  TRY(compare(maps.ports, ports, "ports", [](const auto& key) { return std::to_string(key.ports); }, same, out));

  std::map<abi::policy_set_key, abi::policy_set_value> sets;
  std::map<abi::policy_verdict_key, abi::policy_verdict_value> verdicts;
  for (const auto& [id, set] : rules.sets.rows()) {
    const uint32_t number = number_of(id);
    const SetRows rows = set_rows(rules.verdicts, id);
    sets.emplace(
        abi::policy_set_key{.bank = bank_, .set = number},
        abi::policy_set_value{
            .ports = static_cast<uint32_t>(set.ports), .action = rows.otherwise.action, .rule = rows.otherwise.rule});
    for (const auto& [shape, value] : rows.rows)
      verdicts.emplace(
          abi::policy_verdict_key{
              .bank = bank_, .set = number, .peer = static_cast<uint32_t>(shape.first), .atom = shape.second},
          value);
  }
  TRY(compare(
      maps.sets, sets, "set", [](const auto& key) { return std::to_string(key.set); },
      [](const auto& a, const auto& b) { return a.ports == b.ports && a.action == b.action && a.rule == b.rule; },
      out));
  TRY(compare(
      maps.verdicts, verdicts, "verdict",
      [](const auto& key) { return fmt::format("of set {} class {} ports {}", key.set, key.peer, key.atom); }, same,
      out));

  // The fabric may not have the Pod's row yet, or no more.
  std::map<abi::pod_key, datapath::PodSubject> subjects = TRY(maps.subjects.dump());
  for (const auto& [key, subject] : subjects) {
    const LocalPod* pod = desired_.locals.find(datapath::from_abi(key.addr));
    if (!pod || subject_of(*pod) != subject)
      out.push_back(fmt::format("Pod's row {} differs", datapath::from_abi(key.addr)));
  }
  return out;
}

// The steps of bpf/lib/policy_judge.h, from the same maps.
Result<std::optional<Applier::Held>> BpfApplier::held(Direction direction, const Ip& own, const Packet& packet) {
  const datapath::PolicyTables& maps = doors_.maps;
  const auto subject = TRY(maps.subjects.get(datapath::pod_key(own)));
  if (!subject) return std::optional<Held>();
  const uint32_t bank = subject->bank,
                 set = direction == Direction::Ingress ? subject->ingress_set : subject->egress_set;
  if (!set) return std::optional(Held{.allowed = true, .rule = RuleId::None});
  const auto row = TRY(maps.sets.get({.bank = bank, .set = set}));
  if (!row) return std::optional(Held{.allowed = false, .rule = RuleId::None});
  std::optional<uint32_t> peer;
  if (may_be_dns(direction, packet.protocol, packet.port)) peer = TRY(maps.addresses.get(dns_key(bank, packet.peer)));
  if (!peer) peer = TRY(maps.addresses.get(address_key(bank, packet.peer)));
  if (!peer) peer = TRY(maps.blocks.get(block_key(bank, Cidr(packet.peer, packet.peer.bits()))));
  std::optional<uint32_t> atom;
  if (row->ports && packet.protocol)
    atom = TRY(maps.ports.get({.prefixlen = abi::POLICY_PORT_BITS + 16,
                               .bank = bank,
                               .ports = row->ports,
                               .proto = static_cast<uint8_t>(*packet.protocol),
                               .port = htons(packet.port)}));
  const uint32_t of = peer.value_or(0), port = atom.value_or(0);
  std::optional<abi::policy_verdict_value> verdict;
  const auto ask = [&](uint32_t one, uint32_t shape) -> Status {
    if (!verdict && (one || shape))
      verdict = TRY(maps.verdicts.get({.bank = bank, .set = set, .peer = one, .atom = shape}));
    return ok();
  };
  if (of && port) TRY(ask(of, port));
  TRY(ask(of, 0));
  TRY(ask(0, port));
  const uint32_t action = verdict ? verdict->action : row->action, rule = verdict ? verdict->rule : row->rule;
  return std::optional(Held{.allowed = action == abi::POLICY_ALLOW, .rule = static_cast<RuleId>(rule)});
}

Result<std::vector<BpfApplier::Denied>> BpfApplier::denied() const {
  std::vector<Denied> out;
  for (const auto& [id, set] : sets_) {
    const auto row = TRY(doors_.maps.sets.get({.bank = bank_, .set = set.number}));
    if (row && row->denied_packets) out.push_back({id, row->denied_packets, row->denied_bytes});
  }
  return out;
}

}  // namespace causeway::policy
