#include "policy/compile_blocks.h"

#include <endian.h>

#include <cstring>

namespace causeway::policy {

namespace {

bool is_wide(const Cidr& cidr) { return cidr.prefix() < (cidr.family() == Family::V4 ? 16 : 32); }

}  // namespace

std::vector<BlockList> lists_of(const std::vector<cluster::PolicyBlock>& blocks, size_t many) {
  std::vector<BlockList> out;
  BlockList together;
  for (const cluster::PolicyBlock& block : blocks)
    if (blocks.size() <= many || is_wide(block.cidr))
      out.push_back({block});
    else
      together.push_back(block);
  if (together.empty()) return out;
  std::ranges::sort(together);
  together.erase(std::ranges::unique(together).begin(), together.end());
  out.push_back(std::move(together));
  return out;
}

std::string to_string(const BlockList& list) {
  if (list.size() == 1) return to_string(list[0]);
  // What is in it is known by its rule.
  size_t hash = 0;
  for (const cluster::PolicyBlock& block : list) {
    hash = (hash ^ std::hash<Ip>()(block.cidr.address()) ^ static_cast<size_t>(block.cidr.prefix())) *
           0x9e3779b97f4a7c15ull;
    for (const Cidr& except : block.except)
      hash += std::hash<Ip>()(except.address()) + static_cast<size_t>(except.prefix());
  }
  return fmt::format("{} blocks from {} to {} (#{:08x})", list.size(), list.front().cidr, list.back().cidr, hash >> 32);
}

const BlockIndex::Prefix& BlockIndex::use(const Cidr& prefix) {
  const auto [at, fresh] = prefixes_.insert(Prefix{.cidr = prefix});
  if (fresh) ++lengths_of(prefix)[prefix.prefix()];
  ++at->uses;
  return *at;
}

void BlockIndex::let_go(const Cidr& prefix) {
  const auto at = prefixes_.find(prefix);
  if (--at->uses > 0) return;
  auto& lengths = lengths_of(prefix);
  if (--lengths[prefix.prefix()] == 0) lengths.erase(prefix.prefix());
  prefixes_.erase(at);
}

AtomId BlockIndex::acquire(BlockList list, bool& fresh) {
  auto [known, added] = ids_.try_emplace(std::move(list));
  fresh = added;
  if (!added) {
    ++by_id_.at(known->second).uses;
    return known->second;
  }
  do known->second = atom_id(AtomKind::Block, next_++);
  while (by_id_.contains(known->second));
  by_id_.emplace(known->second, Entry{.list = &known->first, .uses = 1});
  uint32_t number = 0;
  for (const cluster::PolicyBlock& block : known->first) {
    coming_.push_back({block.cidr, Begin{known->second, number++, !block.except.empty()}});
    for (const Cidr& except : block.except) coming_.push_back({except, std::nullopt});
  }
  return known->second;
}

void BlockIndex::settle() {
  if (coming_.size() > 1000 && coming_.size() > prefixes_.size() / 8) settle_many();
  for (const Coming& one : coming_) {
    const Prefix& prefix = use(one.cidr);
    if (one.begin) prefix.begin_here.push_back(*one.begin);
  }
  coming_.clear();
  if (coming_.capacity() > 1000) coming_.shrink_to_fit();
}

// Sorted once and merged with what there is.
void BlockIndex::settle_many() {
  struct Key {
    uint64_t high, low;  // of the address
    uint32_t at;         // of coming_
    uint8_t family, length;
  };
  std::vector<Key> keys;
  keys.reserve(coming_.size());
  for (uint32_t at = 0; at < coming_.size(); ++at) {
    const Cidr& cidr = coming_[at].cidr;
    uint64_t words[2] = {};
    const auto bytes = cidr.address().bytes();
    std::memcpy(words, bytes.data(), bytes.size());
    keys.push_back({.high = be64toh(words[0]),
                    .low = be64toh(words[1]),
                    .at = at,
                    .family = static_cast<uint8_t>(cidr.family()),
                    .length = static_cast<uint8_t>(cidr.prefix())});
  }
  std::ranges::sort(keys, [](const Key& a, const Key& b) {
    if (a.family != b.family) return a.family < b.family;
    if (a.high != b.high) return a.high < b.high;
    return a.low != b.low ? a.low < b.low : a.length < b.length;
  });
  SortedChunks<Prefix, Less> merged;
  auto old = prefixes_.begin();
  const auto take_old = [&] {
    merged.append({.cidr = old->cidr, .uses = old->uses, .begin_here = std::move(old->begin_here)});
    ++old;
  };
  for (const Key& key : keys) {
    const Coming& one = coming_[key.at];
    while (old != prefixes_.end() && old->cidr <= one.cidr) take_old();
    if (merged.empty() || merged.back().cidr != one.cidr) {
      merged.append({.cidr = one.cidr, .begin_here = {}});
      ++lengths_of(one.cidr)[one.cidr.prefix()];
    }
    ++merged.back().uses;
    if (one.begin) merged.back().begin_here.push_back(*one.begin);
  }
  while (old != prefixes_.end()) take_old();
  prefixes_ = std::move(merged);
  coming_.clear();
}

std::optional<BlockList> BlockIndex::release(AtomId id) {
  auto at = by_id_.find(id);
  if (--at->second.uses > 0) return std::nullopt;
  settle();
  auto known = ids_.extract(*at->second.list);
  by_id_.erase(at);
  for (const cluster::PolicyBlock& block : known.key()) {
    auto& begins = prefixes_.find(block.cidr)->begin_here;
    begins.erase(std::ranges::find(begins, id, &Begin::list));
    let_go(block.cidr);
    for (const Cidr& except : block.except) let_go(except);
  }
  return std::move(known.key());
}

bool BlockIndex::holds(const Begin& begin, const Cidr& part) const {
  if (!begin.excepts) return true;
  const auto& except = list(begin.list)[begin.block].except;
  return std::ranges::none_of(except, [&](const Cidr& one) { return one.contains(part); });
}

Atoms BlockIndex::containing(const Cidr& prefix) const {
  Atoms out;
  for (const auto& [length, count] : prefix.family() == Family::V4 ? lengths_v4_ : lengths_v6_) {
    if (length > prefix.prefix()) break;
    const auto at = prefixes_.find(Cidr(prefix.address(), length));
    if (at == prefixes_.end()) continue;
    for (const Begin& begin : at->begin_here)
      if (holds(begin, prefix)) out.push_back(begin.list);
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

void BlockIndex::each(const std::function<void(const Cidr&, std::span<const AtomId>)>& act) const {
  std::vector<const Prefix*> around;  // each inside the one before it
  std::vector<AtomId> members;
  for (const Prefix& prefix : prefixes_) {
    while (!around.empty() && !around.back()->cidr.contains(prefix.cidr)) around.pop_back();
    around.push_back(&prefix);
    members.clear();
    for (const Prefix* outer : around)
      for (const Begin& begin : outer->begin_here)
        if (holds(begin, prefix.cidr)) members.push_back(begin.list);
    std::ranges::sort(members);
    members.erase(std::ranges::unique(members).begin(), members.end());
    act(prefix.cidr, members);
  }
}

void BlockIndex::inside(const Cidr& outer, std::vector<Cidr>& out) const {
  for (auto at = prefixes_.lower_bound(outer); at != prefixes_.end() && outer.contains(at->cidr); ++at)
    out.push_back(at->cidr);
}

}  // namespace causeway::policy
