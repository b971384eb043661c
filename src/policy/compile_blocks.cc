#include "policy/compile_blocks.h"

namespace causeway::policy {

void BlockIndex::use(const Cidr& prefix, bool add) {
  auto& lengths = prefix.family() == Family::V4 ? lengths_v4_ : lengths_v6_;
  if (add) {
    if (prefixes_[prefix].uses++ == 0) ++lengths[prefix.prefix()];
    return;
  }
  auto at = prefixes_.find(prefix);
  if (--at->second.uses > 0) return;
  prefixes_.erase(at);
  if (--lengths[prefix.prefix()] == 0) lengths.erase(prefix.prefix());
}

AtomId BlockIndex::acquire(const cluster::PolicyBlock& block, bool& fresh) {
  auto [known, added] = ids_.try_emplace(block);
  fresh = added;
  if (!added) {
    ++by_id_.at(known->second).uses;
    return known->second;
  }
  do known->second = atom_id(AtomKind::Block, next_++);
  while (by_id_.contains(known->second));
  by_id_.emplace(known->second, Entry{.block = &known->first, .uses = 1});
  use(block.cidr, true);
  for (const Cidr& except : block.except) use(except, true);
  prefixes_.at(block.cidr).begin_here.push_back(known->second);
  return known->second;
}

bool BlockIndex::release(AtomId id) {
  auto at = by_id_.find(id);
  if (--at->second.uses > 0) return false;
  auto known = ids_.find(*at->second.block);
  std::erase(prefixes_.at(known->first.cidr).begin_here, id);
  use(known->first.cidr, false);
  for (const Cidr& except : known->first.except) use(except, false);
  by_id_.erase(at);
  ids_.erase(known);
  return true;
}

Atoms BlockIndex::containing(const Cidr& prefix) const {
  Atoms out;
  for (const auto& [length, count] : prefix.family() == Family::V4 ? lengths_v4_ : lengths_v6_) {
    if (length > prefix.prefix()) break;
    auto at = prefixes_.find(Cidr(prefix.address(), length));
    if (at == prefixes_.end()) continue;
    for (AtomId id : at->second.begin_here) {
      const auto& except = block(id).except;
      if (std::ranges::none_of(except, [&](const Cidr& part) { return part.contains(prefix); })) out.push_back(id);
    }
  }
  std::ranges::sort(out);
  return out;
}

std::vector<Cidr> BlockIndex::inside(const Cidr& outer) const {
  std::vector<Cidr> out;
  for (auto at = prefixes_.lower_bound(outer); at != prefixes_.end() && outer.contains(at->first); ++at)
    out.push_back(at->first);
  return out;
}

}  // namespace causeway::policy
