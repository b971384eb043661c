// Answers of upstreams, in wire form, bounded in octets. Shared by all threads: each part has a lock of its own.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "async/loop.h"
#include "dns/corefile.h"
#include "dns/message.h"

namespace causeway::dns {

// What makes two questions one. The name is in lower case.
struct Asked {
  WireName name;
  Type type = Type::A;
  Class cls = Class::In;
  bool dnssec_ok = false, checking_disabled = false, recursion_desired = true;

  static Asked of(const Query& query);
  friend bool operator==(const Asked&, const Asked&) = default;
};
uint64_t hash(const Asked& asked, uint64_t seed = 0);

enum class CacheKind : uint8_t {
  Success,
  Denial,
  Failure
};  // of an answer: has what was asked; NXDOMAIN or NODATA; SERVFAIL

// How an answer may be kept (RFC 2181, RFC 2308). `ttl`: the lowest of its records, of a denial that of its SOA.
struct Worth {
  CacheKind kind = CacheKind::Success;
  uint32_t ttl = 0;  // seconds
};
// nullopt: it must not be kept (truncated, a denial without SOA, another rcode).
std::optional<Worth> worth_of(std::span<const uint8_t> response);

class Cache {
 public:
  // The directive's entries count for 512 octets each: the bound is in octets, whatever their number.
  explicit Cache(CacheDirective options);
  ~Cache();

  enum class State : uint8_t { Miss, Fresh, Stale };
  struct Found {
    State state = State::Miss;
    bool prefetch = false;  // ask the upstream anew beside this answer; said once for each entry
    size_t size = 0;        // of the answer in `room`
    CacheKind kind = CacheKind::Success;
  };
  // Writes the answer to `query`, whose question is `asked`. Stale: only where `stale` is allowed; its TTLs are 30 s at
  // most (RFC 8767 section 5.2).
  Found find(const Asked& asked, const Query& query, TimePoint now, bool stale, std::span<uint8_t> room, size_t limit);
  // `response`: without OPT. What may not be kept, or is disabled for its zone, is not. A failure never takes the place
  // of an answer that may still be served stale. Its question is the one of `asked`, as the forwarder checked.
  void put(const Asked& asked, std::span<const uint8_t> response, TimePoint now);

  const CacheDirective& options() const { return options_; }
  struct Counts {
    uint64_t success_hits = 0, denial_hits = 0, misses = 0, stale = 0, prefetches = 0, evictions = 0;
    uint64_t success_entries = 0, denial_entries = 0, octets = 0;
  };
  Counts counts() const;

 private:
  struct Entry;
  struct Part;
  Part& part_of(uint64_t hash) const;
  bool disabled(CacheKind kind, NameView name) const;

  const CacheDirective options_;
  std::vector<WireName> zones_, no_success_, no_denial_;
  const uint64_t seed_;
  const size_t most_octets_;  // of one part
  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace causeway::dns
