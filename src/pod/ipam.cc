#include "pod/ipam.h"

#include <algorithm>
#include <functional>

#include "base/log.h"
#include "cluster/model/own_ranges.h"

namespace causeway::pod {
namespace {

// Those that a block of ours must know of.
std::vector<Ip> own_addresses(const Record& record) {
  return record.role == Role::Chained ? std::vector<Ip>{} : record.addresses;
}

}  // namespace

Lease::Lease(Lease&& other) noexcept
    : ipam_(std::exchange(other.ipam_, nullptr)), key_(std::move(other.key_)), used_(other.used_) {}

Lease::~Lease() {
  if (ipam_) ipam_->abandon(key_, used_);
}

const Record& Lease::record() const { return *ipam_->find(key_); }

Status Lease::commit(uint64_t netns_cookie) {
  Record& record = ipam_->state_.records.at(key_);
  TRY(ipam_->journal_.append(Committed{key_, record.generation, netns_cookie}));
  record.state = State::Committed;
  record.netns_cookie = netns_cookie;
  ipam_ = nullptr;
  return ok();
}

Result<std::unique_ptr<Ipam>> Ipam::open(Storage& storage, IpamOptions options,
                                         const std::function<Result<std::vector<Record>>()>& observe) {
  const auto text = storage.read();
  if (!text && text.error().code() != Errc::NotFound)
    return fail(Error(text.error()).with("read the journal of addresses"));
  Result<Replay> replayed = fail(Errc::NotFound, "there is no journal");
  if (text) replayed = replay(*text, options.boot_id);
  if (replayed) {
    if (replayed->torn) {
      log::warning(
          "journal of addresses: the last line is not whole (the agent was killed while it wrote it); it is cut off");
      TRY(storage.truncate(replayed->valid_bytes));
    }
    return std::unique_ptr<Ipam>(
        new Ipam(storage, std::move(options), std::move(replayed->state), replayed->valid_bytes));
  }

  JournalState state;
  if (replayed.error().code() == Errc::Invalid) {
    log::error("journal of addresses: {}; it is set aside as *.corrupt and rebuilt from the links' aliases",
               replayed.error().message());
    TRY(storage.set_aside());
  }
  // Of another boot: every namespace it speaks of is gone, and so are their links. What the kernel shows is true.
  for (auto& record : TRY(observe(), "rebuild the journal of addresses from the links' aliases")) {
    state.generation = std::max(state.generation, record.generation);
    auto& slot = state.records[record.key];
    if (slot.generation <= record.generation) slot = std::move(record);
  }
  if (!state.records.empty())
    log::warning("journal of addresses: rebuilt with {} attachments from the kernel", state.records.size());
  std::unique_ptr<Ipam> ipam(new Ipam(storage, std::move(options), state, 0));
  TRY(ipam->journal_.compact(state));
  return ipam;
}

Ipam::Ipam(Storage& storage, IpamOptions options, JournalState state, uint64_t size)
    : options_(std::move(options)), state_(std::move(state)), journal_(storage, options_.boot_id, size) {
  for (const auto& [key, record] : state_.records)
    for (const auto& ip : own_addresses(record)) by_address_.emplace(ip, key);
}

AddressBlock* Ipam::block_of(const Ip& ip) {
  for (auto& block : blocks_)
    if (block.cidr().contains(ip)) return &block;
  return nullptr;
}

void Ipam::set_blocks(const std::vector<Cidr>& cidrs, TimePoint now) {
  if (cidrs == blocks()) return;
  auto cooling = snapshot(now).cooling;
  blocks_.clear();
  for (const auto& cidr : cidrs) blocks_.emplace_back(cidr, options_.cooldown, options_.seed);
  state_.cooling.clear();
  for (auto& [ip, since] : cooling) {
    if (auto* block = block_of(ip); block && block->hold(ip))
      block->release(ip, since);
    else
      state_.cooling.push_back({ip, since});
  }
  for (const auto& [key, record] : state_.records)
    for (const auto& ip : own_addresses(record))
      if (auto* block = block_of(ip)) block->hold(ip);
  set_reservations(std::move(reservations_), now);
}

void Ipam::set_reservations(std::map<Ip, cluster::PodKey> reservations, TimePoint now) {
  reservations_ = std::move(reservations);
  std::set<Ip> addresses;
  for (const auto& [ip, pod] : reservations_) addresses.insert(ip);
  for (auto& block : blocks_) block.set_reserved(addresses, now);
}

std::vector<Cidr> Ipam::blocks() const {
  std::vector<Cidr> all;
  for (const auto& block : blocks_) all.push_back(block.cidr());
  return all;
}

Status Ipam::take_by_name(const Ip& ip, const cluster::PodKey& pod) {
  for (const auto& block : blocks_)
    if (const auto use = cluster::kept_from_pods(block.cidr(), ip); !use.empty())
      return fail(Errc::Denied, "{} is the {} of {}", ip, use, block.cidr());
  // What the node's own ranges give out anyway a Pod may have again by name, whatever became of the cluster since.
  const bool ours = std::ranges::any_of(blocks_, [&](const auto& block) { return block.cidr().contains(ip); });
  if (const std::string why = options_.why_not && !ours ? options_.why_not(ip) : ""; !why.empty())
    return fail(Errc::Denied, "address {} cannot be a Pod's: {}", ip, why);
  if (const auto* other = holder(ip)) {
    if (other->pod == pod && !pod.name.empty())
      return fail(Errc::Unavailable, "address {} is still held by an earlier life of Pod {} ({})", ip, pod, other->key);
    return fail(Errc::Denied, "address {} is taken by {}", ip,
                other->pod.name.empty() ? "container " + to_string(other->key)
                                        : fmt::format("Pod {} ({})", other->pod, other->key));
  }
  const auto reserved = reservations_.find(ip);
  if (reserved != reservations_.end() && reserved->second != pod)
    return fail(Errc::Denied, "address {} is reserved for Pod {}", ip, reserved->second);
  auto* block = block_of(ip);
  // Outside of the node's own ranges only what was promised, and is hence announced to the other nodes.
  if (!block && reserved == reservations_.end()) {
    std::string ranges;
    for (const auto& mine : blocks_)
      if (mine.cidr().family() == ip.family()) ranges += (ranges.empty() ? "" : ", ") + to_string(mine.cidr());
    if (ranges.empty())
      return fail(Errc::Denied, "address {} is of a family that Pods of this node have no addresses of", ip);
    return fail(Errc::Denied, "address {} is outside of this node's ranges ({}){}", ip, ranges,
                pod.name.empty() ? "" : fmt::format(", and no AddressReservation promises it to Pod {}", pod));
  }
  if (!block) return ok();
  auto taken = block->take(ip);
  // Reserved, and beyond what the block gives out by itself: nobody else has it.
  if (!taken && reserved != reservations_.end() && taken.error().code() == Errc::Invalid && !block->gives_out(ip))
    return ok();
  if (!taken) return fail(Errc::Denied, "{}", taken.error().message());
  return ok();
}

void Ipam::give_back(const Ip& ip) {
  if (auto* block = block_of(ip)) block->give_back(ip);
}

std::string Ipam::holders() const {
  std::map<std::string, size_t> by_namespace;
  for (const auto& [key, record] : state_.records) ++by_namespace[record.pod.name.empty() ? "" : record.pod.ns];
  std::vector<std::pair<size_t, std::string>> most;
  for (const auto& [ns, count] : by_namespace) most.push_back({count, ns});
  std::ranges::sort(most, std::greater());
  std::string text;
  size_t others = 0;
  for (size_t i = 0; i < most.size(); ++i) {
    if (i >= 5) {
      others += most[i].first;
      continue;
    }
    text += fmt::format("{}{} by {}", text.empty() ? "" : ", ", most[i].first,
                        most[i].second.empty() ? "containers without a Pod" : "namespace " + most[i].second);
  }
  if (others) text += fmt::format(", {} by others", others);
  return text.empty() ? "none holds any" : text;
}

Result<Lease> Ipam::reserve(Record wish, TimePoint now, const std::vector<Ip>& wanted) {
  if (find(wish.key)) return fail(Errc::AlreadyExists, "{} has addresses already", wish.key);
  if (blocks_.empty()) return fail(Errc::Unavailable, "this node has no Pod CIDR yet");
  maybe_compact(now);
  wish.state = State::Reserved;
  wish.begun = now;
  wish.addresses.clear();
  const auto take_all = [&]() -> Status {
    for (const auto& ip : wanted) {
      TRY(take_by_name(ip, wish.pod));
      wish.addresses.push_back(ip);
    }
    for (auto& block : blocks_) {
      const auto is_wanted = [&](const Ip& ip) { return ip.family() == block.cidr().family(); };
      if (std::ranges::any_of(wanted, is_wanted)) continue;
      auto ip = block.take(now);
      if (!ip && ip.error().code() == Errc::Exhausted)
        return fail(Errc::Exhausted, "{}; of this node's attachments {}", ip.error().message(), holders());
      if (!ip) return fail(std::move(ip.error()));
      wish.addresses.push_back(*ip);
    }
    // As the blocks stand: the first is the primary one.
    std::ranges::sort(wish.addresses, {}, [&](const Ip& ip) {
      return std::ranges::find(blocks_, ip.family(), [](const auto& block) { return block.cidr().family(); }) -
             blocks_.begin();
    });
    return ok();
  };
  auto taken = take_all();
  auto lease = taken ? keep(wish) : Result<Lease>(fail(std::move(taken.error())));
  if (!lease)
    for (const auto& ip : wish.addresses) give_back(ip);
  return lease;
}

Result<Lease> Ipam::adopt(Record wish, TimePoint now) {
  if (find(wish.key)) return fail(Errc::AlreadyExists, "{} is known already", wish.key);
  maybe_compact(now);
  wish.state = State::Reserved;
  wish.begun = now;
  return keep(std::move(wish));
}

Result<Lease> Ipam::keep(Record wish) {
  wish.generation = ++state_.generation;
  TRY(journal_.append(Reserved{wish}));
  Key key = wish.key;
  for (const auto& ip : own_addresses(wish)) by_address_.emplace(ip, key);
  state_.records.emplace(key, std::move(wish));
  return Lease(*this, std::move(key));
}

void Ipam::forget(const Key& key, std::optional<TimePoint> released) {
  const auto found = state_.records.find(key);
  for (const auto& ip : own_addresses(found->second)) {
    if (const auto mine = by_address_.find(ip); mine != by_address_.end() && mine->second == key)
      by_address_.erase(mine);
    auto* block = block_of(ip);
    if (block && released)
      block->release(ip, *released);
    else if (block)
      block->give_back(ip);
    else if (released && !reservations_.contains(ip))
      state_.cooling.push_back({ip, *released});
  }
  state_.records.erase(found);
}

void Ipam::abandon(const Key& key, std::optional<TimePoint> used) {
  const auto found = state_.records.find(key);
  if (found == state_.records.end()) return;
  const uint64_t generation = found->second.generation;
  const auto written =
      used ? journal_.append(Released{key, generation, *used}) : journal_.append(Abandoned{key, generation});
  // The reservation stays in the journal: the next start finds it unfinished and removes it.
  if (!written) log::warning("give back the addresses of {}: {}", key, written.error().message());
  forget(key, used);
}

Status Ipam::release(const Key& key, TimePoint now) {
  const auto found = state_.records.find(key);
  if (found == state_.records.end()) return ok();
  auto written = journal_.append(Released{key, found->second.generation, now});
  forget(key, now);
  maybe_compact(now);
  return written;
}

Status Ipam::set_cookie(const Key& key, uint64_t netns_cookie) {
  const auto found = state_.records.find(key);
  if (found == state_.records.end() || found->second.netns_cookie == netns_cookie) return ok();
  found->second.netns_cookie = netns_cookie;
  return journal_.append(Committed{key, found->second.generation, netns_cookie});
}

const Record* Ipam::find(const Key& key) const {
  const auto found = state_.records.find(key);
  return found == state_.records.end() ? nullptr : &found->second;
}

const Record* Ipam::holder(const Ip& ip) const {
  const auto found = by_address_.find(ip);
  return found == by_address_.end() ? nullptr : find(found->second);
}

std::vector<Ipam::Explained> Ipam::explain(TimePoint now) const {
  std::vector<Explained> all;
  for (const auto& block : blocks_)
    all.push_back(
        {block.cidr(), block.capacity(), block.held(), block.cooling(now), block.reserved(), block.explain(now)});
  return all;
}

Status Ipam::available(TimePoint now) const {
  if (blocks_.empty()) return fail(Errc::Unavailable, "this node has no Pod CIDR yet");
  for (const auto& block : blocks_)
    if (auto free = block.available(now); !free)
      return fail(Errc::Exhausted, "{}; of this node's attachments {}", free.error().message(), holders());
  return ok();
}

JournalState Ipam::snapshot(TimePoint now) const {
  JournalState state{.records = state_.records, .cooling = {}, .generation = state_.generation};
  for (const auto& cooling : state_.cooling)
    if (now - cooling.since < options_.cooldown) state.cooling.push_back(cooling);
  for (const auto& block : blocks_)
    for (auto& [ip, since] : block.cooling_since(now)) state.cooling.push_back({ip, since});
  std::ranges::sort(state.cooling, {}, &Cooling::since);
  return state;
}

void Ipam::maybe_compact(TimePoint now) {
  if (!journal_.wants_compaction(state_.records.size())) return;
  std::erase_if(state_.cooling, [&](const Cooling& cooling) { return now - cooling.since >= options_.cooldown; });
  if (auto done = journal_.compact(snapshot(now)); !done)
    log::warning("{}; the long journal is kept", done.error().message());
}

std::string Ipam::render(TimePoint now) const {
  std::string text;
  for (const auto& block : blocks_)
    text += fmt::format("block {} held {} cooling {} of {}\n", block.cidr(), block.held(), block.cooling(now),
                        block.capacity());
  for (const auto& [key, record] : state_.records) {
    text += fmt::format("{} {} generation {}", key, record.state == State::Committed ? "committed" : "reserved",
                        record.generation);
    for (const auto& ip : record.addresses) text += " " + to_string(ip);
    if (!record.pod.name.empty()) text += fmt::format(" pod {}", record.pod);
    text += "\n";
  }
  return text;
}

}  // namespace causeway::pod
