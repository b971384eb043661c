#include "pod/ipam.h"

#include <algorithm>

#include "base/log.h"

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
    : options_(std::move(options)), state_(std::move(state)), journal_(storage, options_.boot_id, size) {}

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
}

std::vector<Cidr> Ipam::blocks() const {
  std::vector<Cidr> all;
  for (const auto& block : blocks_) all.push_back(block.cidr());
  return all;
}

Result<Lease> Ipam::reserve(Record wish, TimePoint now) {
  if (find(wish.key)) return fail(Errc::AlreadyExists, "{} has addresses already", wish.key);
  if (blocks_.empty()) return fail(Errc::Unavailable, "this node has no Pod CIDR yet");
  maybe_compact(now);
  wish.state = State::Reserved;
  wish.begun = now;
  wish.addresses.clear();
  const auto give_back = [&] {
    for (const auto& ip : wish.addresses) block_of(ip)->give_back(ip);
  };
  for (auto& block : blocks_) {
    auto ip = block.take(now);
    if (!ip) {
      give_back();
      return fail(std::move(ip.error()));
    }
    wish.addresses.push_back(*ip);
  }
  auto lease = keep(wish);
  if (!lease) give_back();
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
  state_.records.emplace(key, std::move(wish));
  return Lease(*this, std::move(key));
}

void Ipam::forget(const Key& key, std::optional<TimePoint> released) {
  const auto found = state_.records.find(key);
  for (const auto& ip : own_addresses(found->second)) {
    auto* block = block_of(ip);
    if (block && released)
      block->release(ip, *released);
    else if (block)
      block->give_back(ip);
    else if (released)
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

Status Ipam::available(TimePoint now) const {
  if (blocks_.empty()) return fail(Errc::Unavailable, "this node has no Pod CIDR yet");
  for (const auto& block : blocks_) TRY(block.available(now));
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
