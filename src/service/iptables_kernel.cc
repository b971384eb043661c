#include "service/iptables_kernel.h"

#include <algorithm>

namespace causeway::service {
namespace {

// Who looks into them decides that a packet goes on to a chain: filled last, emptied first.
bool is_gate(std::string_view name) {
  name.remove_prefix(kSetPrefix.size());
  return name.starts_with("inside") || name.starts_with("outside") || name.starts_with("rules-");
}
// A guarded frontend whose sources are not there yet is closed to all.
int rank(std::string_view name) {
  return is_gate(name) ? 2 : name.substr(kSetPrefix.size()).starts_with("guarded") ? 0 : 1;
}

std::vector<ipset::Element> missing_in(const ipset::Elements& from, const ipset::Elements& in) {
  std::vector<ipset::Element> out;
  std::ranges::set_difference(in, from, std::back_inserter(out));
  return out;
}

// All tables that we ever write: one that is not desired any more is emptied of ours.
std::vector<XtTableKey> all_tables() {
  std::vector<XtTableKey> keys;
  for (const Family family : {Family::V4, Family::V6})
    for (const char* table : {"nat", "filter", "mangle"}) keys.push_back({family, table});
  return keys;
}

XtTable table_of(const XtRules& rules, const XtTableKey& key) {
  const auto it = rules.tables.find(key);
  return it == rules.tables.end() ? XtTable() : it->second;
}

}  // namespace

Result<XtKernel::Tables> XtKernel::read_tables(xtables::Xtables& xtables) {
  Tables tables;
  for (const auto& key : all_tables())
    tables[key] = TRY(xtables.save(key.family, key.table), "read table {} ({})", key.table, key.family);
  return tables;
}

Task<Result<XtKernel::Held>> XtKernel::observe() {
  Held held;
  held.sets = CO_TRY(doors_.sets.observe(kSetPrefix), "read the IP sets");
  held.tables = CO_TRY(CO_TRY(co_await doors_.workers.run([door = &doors_.xtables] { return read_tables(*door); })));
  co_return held;
}

Result<uint64_t> XtKernel::remove_elements(const XtRules& desired, const std::set<std::string>& growing) {
  uint64_t writes = 0;
  for (int turn = 2; turn >= 0; --turn)
    for (const auto& [name, row] : desired.sets) {
      auto& held = held_->sets[name];
      if (rank(name) != turn || row.set.timeout || growing.contains(name)) continue;
      auto gone = missing_in(row.elements, held.elements);
      if (gone.empty()) continue;
      writes += gone.size();
      TRY(doors_.sets.apply(ipset::DeleteElements{name, row.set, gone}));
      for (const auto& element : gone) held.elements.erase(element);
    }
  return writes;
}

Result<uint64_t> XtKernel::add_elements(const XtRules& desired) {
  uint64_t writes = 0;
  for (int turn = 0; turn <= 2; ++turn)
    for (const auto& [name, row] : desired.sets) {
      auto& held = held_->sets[name];
      if (rank(name) != turn || row.set.timeout) continue;
      auto added = missing_in(held.elements, row.elements);
      if (added.empty()) continue;
      writes += added.size();
      TRY(doors_.sets.apply(ipset::AddElements{name, row.set, added}));
      held.elements.insert(added.begin(), added.end());
    }
  return writes;
}

Task<Result<uint64_t>> XtKernel::write(const XtRules& desired, const std::set<std::string>& growing) {
  uint64_t writes = 0;
  // A set of another type under our name is in the way (another version's): it goes once no rule uses it.
  for (const auto& [name, row] : desired.sets) {
    const auto held = held_->sets.find(name);
    if (held != held_->sets.end() && held->second.set == row.set) continue;
    if (held != held_->sets.end()) {
      for (const auto& key : all_tables()) {
        const auto empty = restore_of(held_->tables[key], XtTable(), key);
        if (empty.text.empty()) continue;
        CO_TRY(doors_.xtables.restore(key.family, empty.text));
        held_->tables[key] = after(std::move(held_->tables[key]), XtTable());
      }
      CO_TRY(doors_.sets.apply(ipset::DestroySet{name}));
    }
    CO_TRY(doors_.sets.apply(ipset::CreateSet{name, row.set}));
    held_->sets[name] = {row.set, {}};
    ++writes;
  }
  // What shall not be served any more first, then the chains, at last what is new: no packet is led to a chain that is
  // not there yet.
  writes += CO_TRY(remove_elements(desired, growing));
  for (const auto& key : all_tables()) {
    const XtTable table = table_of(desired, key);
    const auto restore = restore_of(held_->tables[key], table, key);
    if (restore.text.empty()) continue;
    // On a worker: iptables takes a second for 10,000 Services.
    CO_TRY(CO_TRY(co_await doors_.workers.run(
        [door = &doors_.xtables, family = key.family, text = restore.text] { return door->restore(family, text); })));
    held_->tables[key] = after(std::move(held_->tables[key]), table);
    writes += restore.chains;
  }
  writes += CO_TRY(add_elements(desired));
  std::vector<std::string> gone;
  for (const auto& [name, held] : held_->sets)
    if (!desired.sets.contains(name)) gone.push_back(name);
  for (const auto& name : gone) {
    CO_TRY(doors_.sets.apply(ipset::DestroySet{name}));
    held_->sets.erase(name);
    ++writes;
  }
  co_return writes;
}

Task<Result<uint64_t>> XtKernel::bring(XtRules desired, std::set<std::string> growing) {
  if (std::exchange(look_, false)) held_.reset();
  if (!held_) held_ = CO_TRY(co_await observe());
  auto written = co_await write(desired, growing);
  if (!written) held_.reset();  // the kernel does not hold what we thought
  co_return std::move(written);
}

Task<Result<bool>> XtKernel::intact() {
  if (!held_ || look_) co_return true;
  for (const auto& key : all_tables()) {
    auto actual = CO_TRY(CO_TRY(
        co_await doors_.workers.run([door = &doors_.xtables, key] { return door->save(key.family, key.table); })));
    // Looked at anew meanwhile, or to be: that repairs whatever there is.
    if (!held_ || look_) co_return true;
    if (!same_ours(actual, held_->tables[key])) co_return false;
  }
  co_return true;
}

Status remove_all(ipset::IpSets& sets, xtables::Xtables& xtables) {
  for (const auto& key : all_tables()) {
    const auto restore = restore_of(TRY(xtables.save(key.family, key.table)), XtTable(), key);
    if (!restore.text.empty()) TRY(xtables.restore(key.family, restore.text));
  }
  for (const auto& [name, held] : TRY(sets.observe(kSetPrefix))) TRY(sets.apply(ipset::DestroySet{name}));
  return ok();
}

Result<std::vector<std::string>> XtKernel::differences(const XtRules& desired) {
  const Held held{.sets = TRY(doors_.sets.observe(kSetPrefix), "read the IP sets"),
                  .tables = TRY(read_tables(doors_.xtables))};
  std::vector<std::string> lines;
  for (const auto& [name, row] : desired.sets) {
    const auto there = held.sets.find(name);
    if (there == held.sets.end() || there->second.set != row.set) {
      lines.push_back(fmt::format("set {} is {}", name, there == held.sets.end() ? "missing" : "another"));
      continue;
    }
    if (row.set.timeout) continue;
    for (const auto& element : missing_in(there->second.elements, row.elements))
      lines.push_back(fmt::format("set {} lacks {}", name, element));
    for (const auto& element : missing_in(row.elements, there->second.elements))
      lines.push_back(fmt::format("set {} has {} that nobody wants", name, element));
  }
  for (const auto& [name, set] : held.sets)
    if (!desired.sets.contains(name)) lines.push_back(fmt::format("set {} is not ours any more", name));
  for (const auto& key : all_tables()) {
    auto restore = restore_of(held.tables.at(key), table_of(desired, key), key);
    lines.insert(lines.end(), restore.differences.begin(), restore.differences.end());
  }
  return lines;
}

}  // namespace causeway::service
