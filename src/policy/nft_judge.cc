#include "policy/nft_judge.h"

namespace causeway::policy::nft {

using namespace nftables;

namespace {

const Value* find(const Observed& section, const std::string& set, const Tuple& key) {
  const auto known = section.sets.find(set);
  if (known == section.sets.end()) return nullptr;
  const auto at = known->second.elements.find(key);
  return at == known->second.elements.end() ? nullptr : &at->second;
}

// The range of an interval set that holds the key: bytes compare as numbers do, as they are in network order.
const Value* find_range(const Observed& section, const std::string& set, const Tuple& key) {
  const auto known = section.sets.find(set);
  if (known == section.sets.end()) return nullptr;
  for (const auto& [first, value] : known->second.elements)
    if (first <= key && key <= value.last.value_or(first)) return &value;
  return nullptr;
}

const Tuple* data_of(const Value* value) { return value ? std::get_if<Tuple>(&value->data) : nullptr; }
const nftables::Verdict* verdict_of(const Value* value) {
  return value ? std::get_if<nftables::Verdict>(&value->data) : nullptr;
}

Tuple with(const Tuple& first, const Tuple& second) { return Tuple::from_bytes(first.bytes() + second.bytes()); }

}  // namespace

std::optional<bool> judge(const Observed& section, Direction direction, const Ip& own, const Packet& packet) {
  const Family family = own.family();
  const auto* asked = verdict_of(find(section, subject_map(family, direction), Tuple().ip(own)));
  if (!asked) return std::nullopt;
  if (*asked == returns()) return true;
  if (own == packet.peer) return true;  // "a Pod reaches itself"
  const Tuple* peer = nullptr;
  if (direction == Direction::Egress && packet.protocol)
    peer = data_of(find(section, dns_map(family),
                        Tuple().ip(packet.peer).protocol(static_cast<uint8_t>(*packet.protocol)).port(packet.port)));
  if (!peer) peer = data_of(find(section, address_map(family), Tuple().ip(packet.peer)));
  if (!peer) peer = data_of(find_range(section, block_map(family), Tuple().ip(packet.peer)));
  const Tuple none = Tuple().number(0), self = Tuple().ip(own);
  const std::string classes = class_map(family, direction);
  const Tuple* outcome = peer ? data_of(find(section, classes, with(*peer, self))) : nullptr;
  if (!outcome) outcome = data_of(find(section, classes, with(none, self)));
  if (!outcome) return false;
  const auto* verdict = verdict_of(find(section, kOutcomes, *outcome));
  if (!verdict) return false;
  if (*verdict == returns()) return true;
  if (*verdict == go(kDrop)) return false;
  const bool otherwise = *verdict == go(kElseAllow);
  if (!packet.protocol) return otherwise;
  const Tuple key = with(*outcome, Tuple().protocol(static_cast<uint8_t>(*packet.protocol)).port(packet.port));
  const auto* by_port = verdict_of(find(section, kPorts, key));
  if (!by_port) by_port = verdict_of(find_range(section, kRanges, key));
  return by_port ? *by_port == returns() : otherwise;
}

}  // namespace causeway::policy::nft
