#include "dns/cache.h"

#include <algorithm>
#include <random>

namespace causeway::dns {

namespace {

constexpr size_t kParts = 16;
constexpr size_t kOctetsOfEntry = 512;  // what the Corefile's number of entries counts for
constexpr uint32_t kStaleTtl = 30;      // RFC 8767 section 5.2

std::vector<WireName> names_of(const std::vector<ZoneText>& zones) {
  std::vector<WireName> names;
  for (const ZoneText& zone : zones)
    if (auto name = WireName::parse(zone)) names.push_back(*name);
  return names;
}
bool within(NameView name, const std::vector<WireName>& zones) {
  return std::ranges::any_of(zones, [&](const WireName& zone) { return name.within(zone); });
}

}  // namespace

Asked Asked::of(const Query& query) {
  Asked asked{.name = query.question.name,
              .type = query.question.type,
              .cls = query.question.cls,
              .dnssec_ok = query.edns && query.edns->dnssec_ok,
              .checking_disabled = query.flags.has(Flags::kCheckingDisabled),
              .recursion_desired = query.flags.has(Flags::kRecursionDesired)};
  asked.name.to_lower();
  return asked;
}

uint64_t hash(const Asked& asked, uint64_t seed) {
  const uint64_t rest = static_cast<uint64_t>(asked.type) << 32 | static_cast<uint64_t>(asked.cls) << 8 |
                        (asked.dnssec_ok ? 1 : 0) | (asked.checking_disabled ? 2 : 0) |
                        (asked.recursion_desired ? 4 : 0);
  return hash_letters(asked.name.bytes(), seed ^ rest * 0x9E3779B97F4A7C15ull);
}

std::optional<Worth> worth_of(std::span<const uint8_t> packet) {
  const auto response = parse_response(packet);
  if (!response || response->flags.has(Flags::kTruncated)) return std::nullopt;
  const Rcode rcode = response->rcode();
  if (rcode == Rcode::ServFail) return Worth{.kind = CacheKind::Failure};
  if (rcode != Rcode::NoError && rcode != Rcode::NxDomain) return std::nullopt;
  Worth worth{.ttl = UINT32_MAX};
  bool asked_type = false, soa = false;
  uint32_t denial = 0;
  Records records(packet);
  for (Record record; records.next(record);) {
    if (record.type == Type::OPT) continue;
    worth.ttl = std::min(worth.ttl, record.ttl);
    if (record.section == Section::Answer && (record.type == response->type || response->type == Type::ANY))
      asked_type = true;
    if (record.section == Section::Authority && record.type == Type::SOA && record.data_size >= 22) {
      soa = true;
      denial = std::min(record.ttl, read32(packet, record.end() - 4));  // RFC 2308 section 5
    }
  }
  if (rcode == Rcode::NoError && asked_type) return worth;
  if (!soa) return std::nullopt;  // RFC 2308 section 5: such a denial has no end
  worth.kind = CacheKind::Denial;
  worth.ttl = std::min(worth.ttl, denial);
  return worth;
}

struct Cache::Entry {
  uint64_t hash = 0;  // of what was asked: the key. Seeded, so nobody finds two questions of one hash
  std::unique_ptr<uint8_t[]> response;
  uint16_t size = 0;
  bool dnssec_ok = false, checking_disabled = false, recursion_desired = true;
  CacheKind kind = CacheKind::Success;
  bool prefetched = false;
  uint32_t hits = 0;    // since `hits_from`
  uint32_t ttl = 0;     // seconds from `stored`
  uint32_t raised = 0;  // seconds by which the lowest TTL was raised
  TimePoint stored, hits_from;

  size_t octets() const { return sizeof(Entry) + 80 + size; }  // with what map, list and allocator take
  // The rest of the question stands in the response.
  bool answers(const Asked& asked) const {
    const NameView name = NameView::trusted(response.get() + kHeaderSize);
    const std::span<const uint8_t> octets(response.get(), size);
    return name == asked.name && read16(octets, kHeaderSize + name.size()) == static_cast<uint16_t>(asked.type) &&
           read16(octets, kHeaderSize + name.size() + 2) == static_cast<uint16_t>(asked.cls) &&
           dnssec_ok == asked.dnssec_ok && checking_disabled == asked.checking_disabled &&
           recursion_desired == asked.recursion_desired;
  }
  TimePoint end() const { return stored + std::chrono::seconds(ttl); }
};

struct Cache::Part {
  std::mutex mutex;
  std::list<Entry> recent;  // the last is the next to go
  std::unordered_map<uint64_t, std::list<Entry>::iterator> entries;
  size_t octets = 0;
  Counts counts;

  void erase(std::list<Entry>::iterator entry) {
    octets -= entry->octets();
    entries.erase(entry->hash);
    recent.erase(entry);
  }
};

Cache::Cache(CacheDirective options)
    : options_(std::move(options)),
      zones_(names_of(options_.zones)),
      no_success_(names_of(options_.success.disabled)),
      no_denial_(names_of(options_.denial.disabled)),
      seed_(std::random_device()() | uint64_t{std::random_device()()} << 32),
      most_octets_((options_.success.entries + options_.denial.entries) * kOctetsOfEntry / kParts) {
  for (size_t i = 0; i < kParts; ++i) parts_.push_back(std::make_unique<Part>());
}

Cache::~Cache() = default;

Cache::Part& Cache::part_of(uint64_t hash) const { return *parts_[hash >> 60]; }

bool Cache::disabled(CacheKind kind, NameView name) const {
  if (!within(name, zones_)) return true;
  const auto& options = kind == CacheKind::Success ? options_.success : options_.denial;
  return options.all_disabled || within(name, kind == CacheKind::Success ? no_success_ : no_denial_);
}

Cache::Found Cache::find(const Asked& asked, const Query& query, TimePoint now, bool stale, std::span<uint8_t> room,
                         size_t limit) {
  const uint64_t key = hash(asked, seed_);
  Part& part = part_of(key);
  const std::lock_guard lock(part.mutex);
  const auto found = part.entries.find(key);
  if (found == part.entries.end() || !found->second->answers(asked)) {
    if (!stale) ++part.counts.misses;
    return {};
  }
  const auto entry = found->second;
  const bool fresh = now < entry->end();
  if (!fresh && now >= entry->end() + options_.serve_stale) {
    part.erase(entry);
    if (!stale) ++part.counts.misses;
    return {};
  }
  if (!fresh && (!stale || entry->kind == CacheKind::Failure)) {
    if (!stale) ++part.counts.misses;
    return {};
  }
  part.recent.splice(part.recent.begin(), part.recent, entry);
  const auto age = static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - entry->stored).count());
  Found out{.state = fresh ? State::Fresh : State::Stale, .kind = entry->kind};
  const std::span<const uint8_t> response(entry->response.get(), entry->size);
  if (!fresh) {
    ++part.counts.stale;
    out.size = answer_with(response, query, 0, kStaleTtl, room, limit);
    return out;
  }
  // A TTL that the Corefile raised or lowered counts for every record.
  out.size = answer_with(response, query, entry->raised > age ? 0 : age - entry->raised, entry->ttl - age, room, limit);
  ++(entry->kind == CacheKind::Success ? part.counts.success_hits : part.counts.denial_hits);
  if (options_.prefetch > 0 && !entry->prefetched) {
    if (now - entry->hits_from > options_.prefetch_window) entry->hits = 0, entry->hits_from = now;
    ++entry->hits;
    const auto left = entry->ttl - age;
    if (entry->hits >= options_.prefetch &&
        left * 100 <= entry->ttl * static_cast<uint32_t>(options_.prefetch_percent)) {
      entry->prefetched = out.prefetch = true;
      ++part.counts.prefetches;
    }
  }
  return out;
}

void Cache::put(const Asked& asked, std::span<const uint8_t> response, TimePoint now) {
  const auto worth = worth_of(response);
  if (!worth || disabled(worth->kind, asked.name)) return;
  uint32_t ttl = worth->ttl;
  if (worth->kind == CacheKind::Failure) {
    ttl = static_cast<uint32_t>(options_.servfail.count());
  } else {
    const auto& limits = worth->kind == CacheKind::Success ? options_.success : options_.denial;
    ttl = std::clamp(ttl, static_cast<uint32_t>(limits.min_ttl.count()), static_cast<uint32_t>(limits.ttl.count()));
  }
  if (ttl == 0) return;
  const uint64_t key = hash(asked, seed_);
  Entry entry{.hash = key,
              .response = std::make_unique<uint8_t[]>(response.size()),
              .size = static_cast<uint16_t>(response.size()),
              .dnssec_ok = asked.dnssec_ok,
              .checking_disabled = asked.checking_disabled,
              .recursion_desired = asked.recursion_desired,
              .kind = worth->kind,
              .ttl = ttl,
              .raised = worth->kind != CacheKind::Failure && ttl > worth->ttl ? ttl - worth->ttl : 0,
              .stored = now,
              .hits_from = now};
  std::memcpy(entry.response.get(), response.data(), response.size());
  if (entry.octets() > most_octets_) return;
  Part& part = part_of(key);
  const std::lock_guard lock(part.mutex);
  if (const auto found = part.entries.find(key); found != part.entries.end()) {
    const Entry& old = *found->second;
    if (worth->kind == CacheKind::Failure && old.kind != CacheKind::Failure && now < old.end() + options_.serve_stale)
      return;
    part.erase(found->second);
  }
  part.octets += entry.octets();
  part.recent.push_front(std::move(entry));
  part.entries.emplace(key, part.recent.begin());
  while (part.octets > most_octets_) {
    part.erase(std::prev(part.recent.end()));
    ++part.counts.evictions;
  }
}

Cache::Counts Cache::counts() const {
  Counts sum;
  for (const auto& part : parts_) {
    const std::lock_guard lock(part->mutex);
    const Counts& counts = part->counts;
    sum.success_hits += counts.success_hits, sum.denial_hits += counts.denial_hits, sum.misses += counts.misses;
    sum.stale += counts.stale, sum.prefetches += counts.prefetches, sum.evictions += counts.evictions;
    sum.octets += part->octets;
    for (const Entry& entry : part->recent)
      ++(entry.kind == CacheKind::Success ? sum.success_entries : sum.denial_entries);
  }
  return sum;
}

}  // namespace causeway::dns
