// Which addresses of one Pod CIDR are held, cooling or free. Pure: time is an argument.
//
// An address is fresh until it is given out, then held, then cooling for a while after its release, then free again.
// Fresh ones go first, from a random place on; after that the one released longest ago. So an address comes back as
// late as the block's size allows, when conntrack entries and caches of the Pod that had it are gone. O(1).
// One that is reserved for somebody is given to nobody who does not ask for it by name.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include "async/loop.h"
#include "base/ip.h"

namespace causeway::pod {

class AddressBlock {
 public:
  // Only the first 65,536 addresses of a larger prefix (an IPv6 /64) are used: more than a node can have Pods.
  static constexpr uint64_t kMaxSize = 65536;

  // `start` is where the search for a fresh address begins (taken modulo the size).
  AddressBlock(Cidr cidr, Duration cooldown, uint64_t start);

  const Cidr& cidr() const { return cidr_; }
  // Of those that are given out, or never are (network, broadcast ...); not: of the rest of a large prefix, or of
  // another.
  bool gives_out(const Ip& ip) const { return offset_of(ip).has_value(); }
  // Exhausted says how many addresses are held and how many are cooling.
  Result<Ip> take(TimePoint now);
  Status available(TimePoint now) const;  // what take() would say
  // This very address, also while it cools or is reserved: who asks for it had it before, or was promised it.
  // AlreadyExists: it is held. Invalid: no Pod may have it, with the reason.
  Status take(const Ip& ip);
  // From now on these are for those who ask for them by name, and no others are; one that is held changes when it is
  // let go of. What is no longer reserved cools: another node may have used it until now.
  void set_reserved(const std::set<Ip>& ips, TimePoint now);
  // Marks one that is known to be in use (after a restart); false: not of this block, or held already.
  bool hold(const Ip& ip);
  // Held -> cooling since `when` (nothing else is touched; a foreign address is ignored). Calls come in order of time.
  void release(const Ip& ip, TimePoint when);
  // Held -> fresh: no packet ever carried it.
  void give_back(const Ip& ip);

  uint64_t capacity() const { return capacity_; }  // addresses that Pods may have
  uint64_t held() const { return held_; }
  uint64_t cooling(TimePoint now) const;
  struct Cooling {
    Ip ip;
    TimePoint since;
  };
  // Those released less than the cooldown ago, oldest first.
  std::vector<Cooling> cooling_since(TimePoint now) const;
  uint64_t reserved() const { return reserved_waiting_; }  // and held by nobody now

  // What each address is for, in order; neighbours that are free are one span.
  enum class Use : uint8_t { Free, Held, Cooling, Reserved, Network, Gateway, Broadcast, Unused };
  struct Span {
    Ip first, last;
    Use use;
    Duration left{};  // Cooling: until it is free
    bool operator==(const Span&) const = default;
  };
  std::vector<Span> explain(TimePoint now) const;

 private:
  enum class State : uint8_t { Fresh, Excluded, Held, Released, Reserved };
  struct Release {
    uint32_t offset;
    TimePoint when;
  };

  std::optional<uint32_t> offset_of(const Ip& ip) const;
  bool excluded(uint64_t offset) const;
  // Held -> `next`, and where it is; one that is excluded goes back to that instead.
  std::optional<uint32_t> let_go(const Ip& ip, State next);
  // Fresh, Released or Reserved -> what none of the three counts.
  void take_out(uint32_t offset);
  Use use_of_excluded(uint64_t offset) const;

  Cidr cidr_;
  Duration cooldown_;
  std::vector<State> states_;
  std::deque<Release> released_;   // oldest first
  std::set<uint32_t> reserved_;    // whatever their state
  uint64_t reserved_waiting_ = 0;  // in State::Reserved
  uint64_t capacity_ = 0;
  uint64_t held_ = 0;
  uint64_t fresh_ = 0;
  uint32_t cursor_;
};

}  // namespace causeway::pod
