// The section in the kernel: whole at first, row by row later.
#include <algorithm>

#include "fabric/ruleset.h"
#include "fabric/ruleset_rows.h"

namespace causeway::fabric {

using namespace nftables;

namespace {

// Whether the range has an address in common with one of the elements, which are in order.
bool overlaps(const Elements& elements, const Elements::value_type& range) {
  auto end_of = [](const Elements::value_type& element) { return element.second.last.value_or(element.first); };
  auto next = elements.lower_bound(range.first);
  if (next != elements.end() && next->first <= end_of(range)) return true;
  return next != elements.begin() && end_of(*std::prev(next)) >= range.first;
}

}  // namespace

Status probe_nat(Nftables& door) {
  // Made and removed in one transaction.
  const std::string chain = "probe-postrouting";
  auto done = door.apply({AddChain{chain, Base{ChainType::Nat, Hook::Postrouting, kSrcnat}},
                          AddRule{chain, Rule{{Masquerade{}}, {}}}, FlushChain{chain}, DeleteChain{chain}});
  if (done) return done;
  return fail(
      Errc::Unsupported,
      "this kernel refuses address translation in nf_tables ({}): load the modules nf_conntrack, nft_chain_nat and "
      "nft_masq (CONFIG_NF_CONNTRACK, CONFIG_NFT_NAT, CONFIG_NFT_MASQ), or use --plane bpf",
      done.error().message());
}

Result<uint64_t> Ruleset::observe_and_apply(Desired& desired, Synced synced) {
  const Observed actual = TRY(door_.observe("fabric"), "read table inet causeway");
  const Tables tables = desired.tables();
  Section section = section_of(tables, options_);
  // What may belong to a row that its source has not told yet stays; unless a row stands in its place.
  for (auto& [name, elements] : section.elements) {
    const bool complete = name.starts_with("fabric-sources") ? synced.attachments : synced.nodes;
    auto there = actual.sets.find(name);
    if (complete || there == actual.sets.end()) continue;
    for (const auto& element : there->second.elements)
      if (!overlaps(elements, element)) elements.insert(element);
  }
  const Transaction transaction = diff(actual, section);
  if (!transaction.empty()) TRY(door_.apply(transaction), "table inet causeway");
  held_ = std::move(section.elements);
  sets_ = std::move(section.sets);
  sources_.clear();
  for (const auto& [ip, row] : tables.pods) sources_[ip] = element_of(ip, row).first;
  desired.pods.clean();
  desired.peers.clean();
  desired.masquerade_from.clean();
  desired.masquerade_except_to.clean();
  return rows_of(transaction);
}

Result<uint64_t> Ruleset::apply(Desired& desired) {
  std::map<std::string, Elements> put, remove;
  // `was`: the element of the row's last life, if it had one.
  auto change = [&](const std::string& set, const std::optional<Tuple>& was,
                    const std::optional<Elements::value_type>& now) {
    auto held = held_.find(set);
    if (held == held_.end()) return;
    if (was)
      if (auto old = held->second.find(*was); old != held->second.end()) {
        if (now && *old == Elements::value_type(*now)) return;
        remove[set].insert(*old);
      }
    if (now) put[set].insert(*now);
  };
  auto by_key = [&](std::string_view what, const auto& rows) {
    for (const auto& key : rows.dirty()) {
      const auto element = element_of(key);
      change(set_name(what, key.family()), element.first, rows.find(key) ? std::optional(element) : std::nullopt);
    }
  };
  by_key("peers", desired.peers);
  by_key("pods", desired.masquerade_from);
  by_key("inside", desired.masquerade_except_to);
  for (const Ip& ip : desired.pods.dirty()) {
    const auto* row = desired.pods.find(ip);
    auto was = sources_.find(ip);
    change(set_name("sources", ip.family()), was == sources_.end() ? std::nullopt : std::optional(was->second),
           row ? std::optional(element_of(ip, row->value)) : std::nullopt);
  }

  Transaction transaction;  // removals first: a range may grow over another that goes
  for (auto& [set, elements] : remove) transaction.push_back(DeleteElements{set, sets_.at(set), elements});
  for (auto& [set, elements] : put) transaction.push_back(AddElements{set, sets_.at(set), elements});
  if (!transaction.empty()) TRY(door_.apply(transaction), "table inet causeway");
  for (auto& [set, elements] : remove)
    for (const auto& element : elements) held_[set].erase(element.first);
  for (auto& [set, elements] : put)
    for (const auto& element : elements) held_[set].insert_or_assign(element.first, element.second);
  for (const Ip& ip : desired.pods.dirty())
    if (const auto* row = desired.pods.find(ip))
      sources_[ip] = element_of(ip, row->value).first;
    else
      sources_.erase(ip);
  desired.pods.clean();
  desired.peers.clean();
  desired.masquerade_from.clean();
  desired.masquerade_except_to.clean();
  return rows_of(transaction);
}

}  // namespace causeway::fabric
