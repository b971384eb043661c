#include "policy/apply_bpf.h"

#include "base/log.h"
#include "datapath/rows.h"
#include "policy/bpf_rows.h"

namespace causeway::policy {

using cluster::Failure;
using datapath::PodSubject;

struct BpfApplier::Writes {
  std::vector<datapath::PolicyPorts::Row> ports;
  std::vector<datapath::PolicyVerdicts::Row> verdicts;
  std::vector<datapath::PolicySets::Row> sets;
  std::vector<datapath::PolicyAddresses::Row> addresses;
  std::vector<datapath::PolicyBlocks::Row> blocks;
  std::vector<datapath::PodSubjects::Row> subjects;

  std::vector<abi::pod_key> no_subjects;
  std::vector<abi::policy_address_key> no_addresses;
  std::vector<abi::policy_block_key> no_blocks;
  std::vector<abi::policy_set_key> no_sets;
  std::vector<abi::policy_verdict_key> no_verdicts;
  std::vector<abi::policy_port_key> no_ports;

  size_t count() const {
    return ports.size() + verdicts.size() + sets.size() + addresses.size() + blocks.size() + subjects.size() +
           no_subjects.size() + no_addresses.size() + no_blocks.size() + no_sets.size() + no_verdicts.size() +
           no_ports.size();
  }
};

uint32_t BpfApplier::number_of(SetId id) const {
  const auto at = sets_.find(id);
  return at == sets_.end() ? 0 : at->second.number;
}

PodSubject BpfApplier::subject_of(const LocalPod& pod) const {
  return {.ifindex = static_cast<uint32_t>(pod.ifindex),
          .bank = bank_,
          .ingress_set = number_of(pod.subject.ingress),
          .egress_set = number_of(pod.subject.egress)};
}

// All of it under a number of its own.
void BpfApplier::put_set(SetId id, Writes& out) {
  const Set& set = *desired_.rules.sets.find(id);
  KernelSet now{.number = next_set_++, .ports = set.ports, .rows = {}};
  const SetRows rows = set_rows(desired_.rules.verdicts, id);
  for (const auto& [key, value] : rows.rows) {
    out.verdicts.push_back(
        {{.bank = bank_, .set = now.number, .peer = static_cast<uint32_t>(key.first), .atom = key.second}, value});
    now.rows.insert(key);
  }
  out.sets.push_back(
      {{.bank = bank_, .set = now.number},
       {.ports = static_cast<uint32_t>(set.ports), .action = rows.otherwise.action, .rule = rows.otherwise.rule}});
  verdicts_ += now.rows.size();
  sets_.insert_or_assign(id, std::move(now));
}

void BpfApplier::forget_set(const KernelSet& set, Writes& out) {
  for (const auto& [peer, atom] : set.rows)
    out.no_verdicts.push_back({.bank = bank_, .set = set.number, .peer = static_cast<uint32_t>(peer), .atom = atom});
  out.no_sets.push_back({.bank = bank_, .set = set.number});
  verdicts_ -= set.rows.size();
}

datapath::PolicyRows BpfApplier::room() const {
  // What a change adds before it removes.
  const auto with_spare = [](size_t rows) { return static_cast<uint32_t>(rows + rows / 4 + 64); };
  return {.addresses = with_spare(desired_.rules.addresses.rows().size() + desired_.rules.dns.rows().size()),
          .sets = with_spare(2 * sets_.size()),
          .verdicts = with_spare(2 * verdicts_)};
}

Status BpfApplier::flush(const Writes& w) {
  const datapath::PolicyTables& maps = doors_.maps;
  TRY(maps.ports.put(w.ports), "policy ports");
  TRY(maps.verdicts.put(w.verdicts), "policy verdicts");
  TRY(maps.sets.put(w.sets), "policy sets");
  TRY(maps.addresses.put(w.addresses), "policy addresses");
  TRY(maps.blocks.put(w.blocks), "policy blocks");
  TRY(maps.subjects.put(w.subjects), "policies of Pods");
  TRY(maps.subjects.remove(w.no_subjects), "policies of Pods");
  TRY(maps.addresses.remove(w.no_addresses), "policy addresses");
  TRY(maps.blocks.remove(w.no_blocks), "policy blocks");
  TRY(maps.sets.remove(w.no_sets), "policy sets");
  TRY(maps.verdicts.remove(w.no_verdicts), "policy verdicts");
  TRY(maps.ports.remove(w.no_ports), "policy ports");
  writes_ += w.count();
  return ok();
}

Status BpfApplier::next_epoch() {
  const auto before = TRY(doors_.maps.epoch.get(0));
  return doors_.maps.epoch.put(0, before.value_or(0) + 1);
}

// Those that a Pod's row names.
Result<std::set<uint32_t>> BpfApplier::used_banks() const {
  std::set<uint32_t> used;
  for (const auto& [key, subject] : TRY(doors_.maps.subjects.dump())) used.insert(subject.bank);
  return used;
}

namespace {

template <class K, class V>
Status remove_others(bpf::Table<K, V>& table, const std::set<uint32_t>& banks) {
  std::vector<K> gone;
  TRY(table.each([&](const K& key, const V&) {
    if (!banks.contains(key.bank)) gone.push_back(key);
  }));
  return table.remove(gone);
}

template <class K, class V>
Result<size_t> rows_in(const bpf::Table<K, V>& table) {
  size_t rows = 0;
  TRY(table.each([&](const K&, const V&) { ++rows; }));
  return rows;
}

}  // namespace

Status BpfApplier::keep_banks(const std::set<uint32_t>& banks) {
  const datapath::PolicyTables& maps = doors_.maps;
  TRY(remove_others(maps.addresses, banks));
  TRY(remove_others(maps.blocks, banks));
  TRY(remove_others(maps.sets, banks));
  TRY(remove_others(maps.verdicts, banks));
  return remove_others(maps.ports, banks);
}

Status BpfApplier::write_all() {
  const datapath::PolicyTables& maps = doors_.maps;
  const std::set<uint32_t> used = TRY(used_banks(), "read the Pods' rows");
  TRY(keep_banks(used), "remove what a former agent left half written");
  for (bank_ = 1; used.contains(bank_);) ++bank_;
  sets_.clear();
  verdicts_ = 0;
  next_set_ = 1;
  const Compiler& rules = desired_.rules;
  Writes writes;
  for (const auto& [id, ranges] : rules.ports.rows())
    for (auto& row : port_rows(bank_, id, ranges)) writes.ports.push_back(row);
  for (const auto& [id, set] : rules.sets.rows()) put_set(id, writes);
  for (const auto& [ip, address] : rules.addresses.rows())
    writes.addresses.push_back({address_key(bank_, ip), static_cast<uint32_t>(address.peer)});
  for (const auto& [ip, dns] : rules.dns.rows())
    writes.addresses.push_back({dns_key(bank_, ip), static_cast<uint32_t>(dns.peer)});
  for (const auto& [prefix, peer] : rules.blocks.rows())
    writes.blocks.push_back({block_key(bank_, prefix), static_cast<uint32_t>(peer)});
  for (const auto& [ip, pod] : desired_.locals.rows())
    writes.subjects.push_back({datapath::pod_key(ip), subject_of(pod)});
  for (const auto& [key, subject] : TRY(maps.subjects.dump()))
    if (!desired_.locals.find(datapath::from_abi(key.addr))) writes.no_subjects.push_back(key);
  datapath::PolicyRows wanted = room();
  wanted.addresses += static_cast<uint32_t>(TRY(rows_in(maps.addresses)));
  wanted.sets += static_cast<uint32_t>(TRY(rows_in(maps.sets)));
  wanted.verdicts += static_cast<uint32_t>(TRY(rows_in(maps.verdicts)));
  TRY(doors_.make_room(wanted));
  TRY(flush(writes));
  if (!used.empty()) TRY(keep_banks({bank_}));  // else there are no others any more
  TRY(next_epoch());
  TRY(doors_.enforce());
  enforced_ = true;
  return ok();
}

Status BpfApplier::write() {
  const Compiler& rules = desired_.rules;
  Writes writes;
  std::vector<KernelSet> replaced;
  for (PortsId id : rules.ports.dirty())
    if (const PortRanges* ranges = rules.ports.find(id))
      for (auto& row : port_rows(bank_, id, *ranges)) writes.ports.push_back(row);

  std::set<SetId> fresh;
  const auto renew = [&](SetId id) {
    if (!fresh.insert(id).second) return;
    if (auto known = sets_.find(id); known != sets_.end()) replaced.push_back(std::move(known->second));
    put_set(id, writes);
  };
  for (SetId id : rules.sets.dirty()) {
    const Set* set = rules.sets.find(id);
    const auto known = sets_.find(id);
    if (set && (known == sets_.end() || known->second.ports != set->ports)) renew(id);
    if (set || known == sets_.end()) continue;
    replaced.push_back(std::move(known->second));
    sets_.erase(known);
  }
  std::set<SetId> asked;
  for (const VerdictKey& key : rules.verdicts.dirty())
    if (asked.insert(key.set).second && rules.sets.find(key.set) && !fresh.contains(key.set) &&
        has_tiers(rules.verdicts, key.set))
      renew(key.set);
  for (const VerdictKey& key : rules.verdicts.dirty()) {
    auto known = sets_.find(key.set);
    if (known == sets_.end() || fresh.contains(key.set)) continue;
    KernelSet& set = known->second;
    const Verdict* verdict = rules.verdicts.find(key);
    const std::pair shape{key.peer, key.port};
    const abi::policy_verdict_key row{
        .bank = bank_, .set = set.number, .peer = static_cast<uint32_t>(key.peer), .atom = key.port};
    if (key.peer == ClassId::None && key.port == 0) {
      const abi::policy_set_key of{.bank = bank_, .set = set.number};
      const auto before = TRY(doors_.maps.sets.get(of));
      abi::policy_set_value value = before.value_or(abi::policy_set_value{.ports = static_cast<uint32_t>(set.ports)});
      const auto now = verdict ? encode(*verdict, key.set) : abi::policy_verdict_value{.action = abi::POLICY_ALLOW};
      value.action = now.action;
      value.rule = now.rule;
      writes.sets.push_back({of, value});
    } else if (verdict) {
      writes.verdicts.push_back({row, encode(*verdict, key.set)});
      verdicts_ += set.rows.insert(shape).second;
    } else if (set.rows.erase(shape)) {
      writes.no_verdicts.push_back(row);
      --verdicts_;
    }
  }
  for (const KernelSet& old : replaced) forget_set(old, writes);

  for (const Ip& ip : rules.addresses.dirty()) {
    if (const Address* address = rules.addresses.find(ip))
      writes.addresses.push_back({address_key(bank_, ip), static_cast<uint32_t>(address->peer)});
    else
      writes.no_addresses.push_back(address_key(bank_, ip));
  }
  for (const Ip& ip : rules.dns.dirty()) {
    if (const DnsPeer* dns = rules.dns.find(ip))
      writes.addresses.push_back({dns_key(bank_, ip), static_cast<uint32_t>(dns->peer)});
    else
      writes.no_addresses.push_back(dns_key(bank_, ip));
  }
  for (const Cidr& prefix : rules.blocks.dirty()) {
    if (const ClassId* peer = rules.blocks.find(prefix))
      writes.blocks.push_back({block_key(bank_, prefix), static_cast<uint32_t>(*peer)});
    else
      writes.no_blocks.push_back(block_key(bank_, prefix));
  }
  const auto put_local = [&](const Ip& ip) {
    if (const LocalPod* pod = desired_.locals.find(ip))
      writes.subjects.push_back({datapath::pod_key(ip), subject_of(*pod)});
    else
      writes.no_subjects.push_back(datapath::pod_key(ip));
  };
  for (const Ip& ip : desired_.locals.dirty()) put_local(ip);
  if (!fresh.empty())
    for (const auto& [ip, pod] : desired_.locals.rows())
      if (!desired_.locals.dirty().contains(ip) &&
          (fresh.contains(pod.subject.ingress) || fresh.contains(pod.subject.egress)))
        put_local(ip);
  for (PortsId id : rules.ports.dirty())
    if (!rules.ports.find(id)) {
      std::vector<abi::policy_port_key> gone;
      TRY(doors_.maps.ports.each([&](const abi::policy_port_key& key, const uint32_t&) {
        if (key.bank == bank_ && key.ports == static_cast<uint32_t>(id)) gone.push_back(key);
      }));
      writes.no_ports.insert(writes.no_ports.end(), gone.begin(), gone.end());
    }
  if (writes.count() == 0) return ok();
  TRY(doors_.make_room(room()));
  TRY(flush(writes));
  return next_epoch();
}

Task<Result<std::vector<Failure>>> BpfApplier::apply() {
  CO_TRY(may_acknowledge(desired_));
  if (!desired_.complete()) co_return std::vector<Failure>();
  if (std::exchange(audit_, false) && !whole_) {
    CO_TRY(co_await doors_.loop.sleep(Duration(0)));
    if (!CO_TRY(differences(), "compare the maps of policies").empty()) {
      log::warning("policy: somebody else changed the maps of policies; they are brought back");
      whole_ = true;
    }
  }
  auto written = whole_ ? write_all() : write();
  whole_ = !written;
  CO_TRY(std::move(written), "write policies");
  desired_.clean();
  co_return failures_of(desired_);
}

}  // namespace causeway::policy
