#include "service/maglev.h"

#include <algorithm>

namespace causeway::service {

namespace {

// FNV-1a with a finisher (MurmurHash3's fmix64), so that addresses which differ in one bit are far apart.
uint64_t hash(const Endpoint& at, uint64_t seed) {
  uint64_t value = 0xcbf29ce484222325 ^ seed;
  auto add = [&](uint8_t byte) { value = (value ^ byte) * 0x100000001b3; };
  for (uint8_t byte : at.ip.bytes()) add(byte);
  add(static_cast<uint8_t>(at.port >> 8));
  add(static_cast<uint8_t>(at.port));
  value = (value ^ (value >> 33)) * 0xff51afd7ed558ccd;
  value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53;
  return value ^ (value >> 33);
}

struct Turn {
  uint32_t next;    // slot that this backend asks for next
  uint32_t skip;    // and how far it goes from there: 1 to size - 1, so that it visits every slot
  uint32_t credit;  // of weight; whoever has the heaviest one's weight together takes a slot
};

}  // namespace

uint32_t maglev_size(size_t endpoints) {
  for (uint32_t prime : {251u, 1021u, 4093u, 16381u})
    if (endpoints * 100 <= prime) return prime;
  return 65537;
}

std::vector<uint32_t> maglev(std::vector<Share> shares, uint32_t size) {
  if (shares.empty()) return {};
  std::ranges::sort(shares, {}, &Share::at);
  uint32_t heaviest = 1;
  std::vector<Turn> turns;
  turns.reserve(shares.size());
  for (const Share& share : shares) {
    heaviest = std::max<uint32_t>(heaviest, share.weight);
    turns.push_back({.next = static_cast<uint32_t>(hash(share.at, 0) % size),
                     .skip = static_cast<uint32_t>(hash(share.at, 0x9e3779b97f4a7c15) % (size - 1)) + 1,
                     .credit = 0});
  }
  std::vector<uint32_t> table(size);
  std::vector<bool> taken(size);
  for (uint32_t filled = 0; filled < size;) {
    for (size_t i = 0; i < turns.size() && filled < size; ++i) {
      Turn& turn = turns[i];
      turn.credit += shares[i].weight;
      if (turn.credit < heaviest) continue;
      turn.credit -= heaviest;
      while (taken[turn.next]) turn.next = (turn.next + turn.skip) % size;
      table[turn.next] = shares[i].backend;
      taken[turn.next] = true;
      ++filled;
    }
  }
  return table;
}

}  // namespace causeway::service
