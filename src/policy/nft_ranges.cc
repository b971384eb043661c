#include "policy/nft_ranges.h"

#include <algorithm>

namespace causeway::policy::nft {

namespace {

Ip from_bytes(Family family, const std::array<uint8_t, 16>& bytes) {
  return family == Family::V6 ? Ip::v6(bytes) : Ip::v4(std::span<const uint8_t, 4>(bytes.data(), 4));
}
std::array<uint8_t, 16> bytes_of(const Ip& ip) {
  std::array<uint8_t, 16> bytes{};
  std::ranges::copy(ip.bytes(), bytes.begin());
  return bytes;
}
// None below 0.0.0.0 and ::.
std::optional<Ip> before(const Ip& ip) {
  auto bytes = bytes_of(ip);
  for (size_t i = ip.bytes().size(); i-- > 0;)
    if (bytes[i]-- != 0) return from_bytes(ip.family(), bytes);
  return std::nullopt;
}
std::optional<Ip> behind(const Ip& ip) {
  const Ip next = ip.plus(1);
  return next.is_unspecified() ? std::nullopt : std::optional(next);
}

}  // namespace

Ip last_of(const Cidr& cidr) {
  auto bytes = bytes_of(cidr.address());
  for (int bit = cidr.prefix(); bit < cidr.address().bits(); ++bit)
    bytes[static_cast<size_t>(bit) / 8] = static_cast<uint8_t>(bytes[static_cast<size_t>(bit) / 8] | 0x80 >> bit % 8);
  return from_bytes(cidr.family(), bytes);
}

const std::pair<const Cidr, ClassId>* BlockRanges::longest(const Ip& ip) const {
  const size_t* lengths = ip.is_v4() ? lengths4_.data() : lengths6_.data();
  for (int length = ip.bits(); length >= 0; --length)
    if (lengths[length])
      if (auto block = blocks_.find(Cidr(ip, length)); block != blocks_.end()) return &*block;
  return nullptr;
}

ClassId BlockRanges::at(const Ip& ip) const {
  auto range = ranges_.upper_bound(ip);
  if (range == ranges_.begin()) return ClassId::None;
  --range;
  if (range->first.family() != ip.family() || range->second.last < ip) return ClassId::None;
  return range->second.peer;
}

void BlockRanges::set(const Cidr& block, std::optional<ClassId> peer) {
  size_t& count = (block.family() == Family::V4 ? lengths4_.data() : lengths6_.data())[block.prefix()];
  const auto known = blocks_.find(block);
  if (peer) {
    if (known == blocks_.end()) ++count;
    blocks_.insert_or_assign(block, *peer);
  } else {
    if (known == blocks_.end()) return;
    --count;
    blocks_.erase(known);
  }

  // Ranges that touch it begin and end where another block does: from there on nothing changes.
  Ip first = block.address(), last = last_of(block);
  const auto around = [&](const Ip& ip) -> const std::pair<const Ip, Range>* {
    auto range = ranges_.upper_bound(ip);
    if (range == ranges_.begin()) return nullptr;
    --range;
    return range->first.family() == ip.family() && !(range->second.last < ip) ? &*range : nullptr;
  };
  if (const auto ip = before(first))
    if (const auto* left = around(*ip)) first = left->first;
  if (const auto ip = behind(last))
    if (const auto* right = around(*ip)) last = right->second.last;

  Ranges now;
  for (std::optional<Ip> at = first; at && !(last < *at);) {
    const auto* owner = longest(*at);
    Ip end = owner ? std::min(last, last_of(owner->first)) : last;
    // A block inside begins behind this address: blocks are in the order of their addresses.
    auto next = blocks_.upper_bound(Cidr(*at, at->bits()));
    if (next != blocks_.end() && next->first.family() == at->family() && !(end < next->first.address()))
      end = *before(next->first.address());
    if (owner) now.emplace(*at, Range{end, owner->second});
    at = behind(end);
  }
  for (auto range = ranges_.lower_bound(first); range != ranges_.end() && !(last < range->first);) {
    if (const auto same = now.find(range->first); same == now.end() || same->second != range->second)
      dirty_.insert(range->first);
    range = ranges_.erase(range);
  }
  for (auto& [from, range] : now) {
    dirty_.insert(from);
    ranges_.insert_or_assign(from, range);
  }
}

}  // namespace causeway::policy::nft
