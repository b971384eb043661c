#include "dns/tables.h"

#include <algorithm>

namespace causeway::dns {

namespace {

void free_block(void* block) { delete[] static_cast<uint8_t*>(block); }

// Every address of an object: its own, and those of its ready endpoints; one may come twice.
template <class Each>
void each_address(const Entry& entry, Each each) {
  for (const Family family : {Family::V4, Family::V6})
    for (const auto& octets : {entry.ips(family), entry.ends(family)}) {
      const size_t size = family == Family::V4 ? 4 : 16;
      for (size_t at = 0; at < octets.size(); at += size) each(octets.subspan(at, size));
    }
}

}  // namespace

const Tables::Node* Tables::Index::gone() {
  static const Node kGone{};
  return &kGone;
}

bool Tables::Index::place(Table& table, uint64_t hash, const Node* node) {
  size_t at = hash & table.mask;
  const Node* there = table.slots[at].node.load(std::memory_order_relaxed);
  while (there && there != gone()) {
    at = (at + 1) & table.mask;
    there = table.slots[at].node.load(std::memory_order_relaxed);
  }
  table.slots[at].hash.store(hash, std::memory_order_relaxed);
  table.slots[at].node.store(node, std::memory_order_release);
  return !there;
}

Tables::Index::Index(Epochs& epochs) : epochs_(epochs) {
  constexpr size_t kRoom = 16;
  for (Part& part : parts_) part.table.store(new Table(kRoom));
}
Tables::Index::~Index() {
  for (Part& part : parts_) delete part.table.load();
}

void Tables::Index::insert(uint64_t hash, const Node* node) {
  Part& part = parts_[hash >> (64 - kPartBits)];
  Table* table = part.table.load(std::memory_order_relaxed);
  if (4 * (part.used + 1) > 3 * (table->mask + 1)) {
    // Full of what is gone, it is replaced by one of its size: memory stays what it was.
    const bool grows = 16 * (part.size + 1) > 11 * (table->mask + 1);
    auto* next = new Table((table->mask + 1) * (grows ? 2 : 1));
    for (size_t at = 0; at <= table->mask; ++at)
      if (const Node* each = table->slots[at].node.load(std::memory_order_relaxed); each && each != gone())
        place(*next, table->slots[at].hash.load(std::memory_order_relaxed), each);
    part.table.store(next, std::memory_order_release);
    epochs_.retire(table, [](void* old) { delete static_cast<Table*>(old); });
    table = next;
    part.used = part.size;
  }
  part.used += place(*table, hash, node);
  ++part.size;
}

void Tables::Index::erase(uint64_t hash, const Node* node) {
  Part& part = parts_[hash >> (64 - kPartBits)];
  Table& table = *part.table.load(std::memory_order_relaxed);
  for (size_t at = hash & table.mask;; at = (at + 1) & table.mask) {
    const Node* there = table.slots[at].node.load(std::memory_order_relaxed);
    if (!there) return;
    if (there != node || table.slots[at].hash.load(std::memory_order_relaxed) != hash) continue;
    table.slots[at].node.store(gone(), std::memory_order_release);
    --part.size;
    return;
  }
}

Tables::Tables() : filters_(1) {}

Tables::~Tables() {
  by_key_.all([](const Node* node) {
    delete[] node->block.load();
    delete node;
  });
}

bool Tables::has(const Entry& entry, std::span<const uint8_t> ip) {
  const auto own = entry.ips(ip.size() == 4 ? Family::V4 : Family::V6);
  for (size_t at = 0; at < own.size(); at += ip.size())
    if (std::memcmp(&own[at], ip.data(), ip.size()) == 0) return true;
  return !entry.find(ip).empty();
}

Tables::Node* Tables::node(Kind kind, std::span<const uint8_t> key) const {
  const Node* found = nullptr;
  by_key_.each(hash(kind, key), [&](const Node* node) {
    const Entry entry = look(*node).entry;
    if (entry.kind() == kind && std::ranges::equal(entry.key(), key)) found = node;
    return !found;
  });
  return const_cast<Node*>(found);
}

std::optional<Tables::Found> Tables::find(Kind kind, std::span<const uint8_t> key) const {
  const Node* found = node(kind, key);
  return found ? std::optional(look(*found)) : std::nullopt;
}

bool Tables::put(const Entry& entry) {
  Node* old = node(entry.kind(), entry.key());
  if (old) {
    old->listed = list_;
    if (std::ranges::equal(look(*old).entry.bytes(), entry.bytes())) return false;
  }
  const auto octets = entry.bytes();
  auto* const block = new uint8_t[octets.size()];
  std::ranges::copy(octets, block);
  octets_ += octets.size();
  changed_ = true;
  const Entry now = Entry::trusted(block);
  if (!old) {
    auto* const node = new Node{block, hash(now.kind(), now.key()), list_, hidden(now)};
    by_key_.insert(node->hash, node);
    std::set<std::span<const uint8_t>,
             decltype([](const auto& a, const auto& b) { return std::ranges::lexicographical_compare(a, b); })>
        once;
    each_address(now, [&](auto ip) {
      if (once.insert(ip).second) by_ip_.insert(hash_letters(ip), node);
    });
  } else {
    const Entry before = look(*old).entry;
    std::set<std::span<const uint8_t>,
             decltype([](const auto& a, const auto& b) { return std::ranges::lexicographical_compare(a, b); })>
        once;
    each_address(now, [&](auto ip) {
      if (!has(before, ip) && once.insert(ip).second) by_ip_.insert(hash_letters(ip), old);
    });
    // Readers may find it by an address that it has no more: they look into the block.
    old->block.store(block, std::memory_order_release);
    old->hidden.store(hidden(now), std::memory_order_relaxed);
    once.clear();
    each_address(before, [&](auto ip) {
      if (!has(now, ip) && once.insert(ip).second) by_ip_.erase(hash_letters(ip), old);
    });
    octets_ -= before.bytes().size();
    epochs_.retire(const_cast<uint8_t*>(before.bytes().data()), free_block);
  }
  if (now.kind() == Kind::Namespace) judge(now.ns());
  return true;
}

void Tables::remove(Node* node) {
  const Entry entry = look(*node).entry;
  by_key_.erase(node->hash, node);
  each_address(entry, [&](auto ip) { by_ip_.erase(hash_letters(ip), node); });
  octets_ -= entry.bytes().size();
  changed_ = true;
  if (entry.kind() == Kind::Namespace) judge(entry.ns());
  epochs_.retire(const_cast<uint8_t*>(entry.bytes().data()), free_block);
  epochs_.retire(node, [](void* old) { delete static_cast<Node*>(old); });
}

bool Tables::erase(Kind kind, std::span<const uint8_t> key) {
  Node* const found = node(kind, key);
  if (found) remove(found);
  return found;
}

void Tables::begin_list() { ++list_; }

void Tables::end_list() {
  std::vector<Node*> gone;
  by_key_.all([&](const Node* node) {
    if (node->listed != list_) gone.push_back(const_cast<Node*>(node));
  });
  for (Node* node : gone) remove(node);
  set_complete();
}

uint8_t Tables::hidden(const Entry& entry) const {
  uint8_t out = 0;
  for (size_t i = 0; i < filters_.size(); ++i) {
    const Filter& filter = filters_[i];
    if (filter.shows_everything()) continue;
    bool shown = filter.namespaces.empty() || filter.namespaces.contains(entry.ns());
    if (shown && !filter.namespace_labels.matches_everything()) {
      std::string key(1, static_cast<char>(entry.ns().size()));
      key += entry.ns();
      const auto ns = entry.kind() == Kind::Namespace
                          ? std::optional(entry)
                          : find(Kind::Namespace, {reinterpret_cast<const uint8_t*>(key.data()), key.size()})
                                .transform([](const Found& found) { return found.entry; });
      const auto labels = ns ? ns->labels() : std::vector<std::pair<std::string, std::string>>();
      shown = ns && filter.namespace_labels.matches({labels.begin(), labels.end()});
    }
    if (shown && entry.kind() == Kind::Service && !filter.labels.matches_everything()) {
      const auto labels = entry.labels();
      shown = filter.labels.matches({labels.begin(), labels.end()});
    }
    if (!shown) out = static_cast<uint8_t>(out | 1u << i);
  }
  return out;
}

void Tables::judge(std::string_view ns) {
  if (std::ranges::all_of(filters_, [](const Filter& each) { return each.namespace_labels.matches_everything(); }) &&
      !ns.empty())
    return;
  by_key_.all([&](const Node* node) {
    const Entry entry = look(*node).entry;
    if (ns.empty() || entry.ns() == ns) const_cast<Node*>(node)->hidden.store(hidden(entry), std::memory_order_relaxed);
  });
}

void Tables::set_filters(std::vector<Filter> filters) {
  filters.resize(std::min(filters.size(), kMostFilters));
  if (filters == filters_) return;
  filters_ = std::move(filters);
  changed_ = true;
  judge("");
}

void Tables::commit(uint32_t now) {
  if (changed_) serial_.store(std::max(serial_.load(std::memory_order_relaxed) + 1, now), std::memory_order_relaxed);
  changed_ = false;
  epochs_.reclaim();
}

}  // namespace causeway::dns
