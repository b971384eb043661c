#include "pod/address_block.h"

#include <algorithm>

#include "cluster/model/own_ranges.h"

namespace causeway::pod {
namespace {

// The distance of `ip` from the start of its block, or more than any block has.
uint64_t distance(const Ip& start, const Ip& ip) {
  const auto low = [](const Ip& address) {
    uint64_t value = 0;
    const auto bytes = address.bytes();
    for (size_t i = bytes.size() - std::min<size_t>(8, bytes.size()); i < bytes.size(); ++i)
      value = value << 8 | bytes[i];
    return value;
  };
  return low(ip) - low(start);
}

Ip last_of(const Cidr& cidr) {
  std::array<uint8_t, 16> bytes{};
  std::ranges::copy(cidr.address().bytes(), bytes.begin());
  for (int bit = cidr.prefix(); bit < cidr.address().bits(); ++bit) bytes[size_t(bit / 8)] |= uint8_t(0x80 >> bit % 8);
  if (cidr.family() == Family::V6) return Ip::v6(bytes);
  return Ip::v4(std::span(bytes).first<4>());
}

uint64_t used_size(const Cidr& cidr) { return std::min(cidr.size(), AddressBlock::kMaxSize); }

}  // namespace

AddressBlock::AddressBlock(Cidr cidr, Duration cooldown, uint64_t start)
    : cidr_(std::move(cidr)),
      cooldown_(cooldown),
      states_(used_size(cidr_), State::Fresh),
      cursor_(uint32_t(start % states_.size())) {
  // Only the ends can be kept from Pods: a block of 65,536 asks thrice.
  capacity_ = states_.size();
  for (const uint64_t offset : {uint64_t(0), uint64_t(1), uint64_t(states_.size() - 1)}) {
    if (offset >= states_.size() || states_[offset] == State::Excluded || !excluded(offset)) continue;
    states_[offset] = State::Excluded;
    --capacity_;
  }
  fresh_ = capacity_;
}

bool AddressBlock::excluded(uint64_t offset) const {
  return !cluster::kept_from_pods(cidr_, cidr_.address().plus(offset)).empty();
}

std::optional<uint32_t> AddressBlock::offset_of(const Ip& ip) const {
  if (!cidr_.contains(ip)) return std::nullopt;
  const uint64_t offset = distance(cidr_.address(), ip);
  if (offset >= states_.size()) return std::nullopt;
  return uint32_t(offset);
}

Result<Ip> AddressBlock::take(TimePoint now) {
  if (fresh_ > 0) {
    // Everything behind the cursor was given out before, so the search moves on and never starts over.
    while (states_[cursor_] != State::Fresh) cursor_ = uint32_t((cursor_ + 1) % states_.size());
    const uint32_t offset = cursor_;
    cursor_ = uint32_t((cursor_ + 1) % states_.size());
    states_[offset] = State::Held;
    --fresh_;
    ++held_;
    return cidr_.address().plus(offset);
  }
  TRY(available(now));
  const uint32_t offset = released_.front().offset;
  released_.pop_front();
  states_[offset] = State::Held;
  ++held_;
  return cidr_.address().plus(offset);
}

Status AddressBlock::available(TimePoint now) const {
  if (fresh_ > 0) return ok();
  if (!released_.empty() && now - released_.front().when >= cooldown_) return ok();
  return fail(Errc::Exhausted,
              "Pod CIDR {} has no free address: {} of {} are held by Pods, {} were released less than {} s ago{}",
              cidr_, held_, capacity_, cooling(now),
              std::chrono::duration_cast<std::chrono::seconds>(cooldown_).count(),
              reserved_waiting_ ? fmt::format(", {} are reserved", reserved_waiting_) : "");
}

void AddressBlock::take_out(uint32_t offset) {
  if (states_[offset] == State::Fresh) --fresh_;
  if (states_[offset] == State::Reserved) --reserved_waiting_;
  if (states_[offset] == State::Released)
    std::erase_if(released_, [&](const Release& release) { return release.offset == offset; });
}

AddressBlock::Use AddressBlock::use_of_excluded(uint64_t offset) const {
  return offset == 0 ? Use::Network : offset == 1 ? Use::Gateway : Use::Broadcast;
}

Status AddressBlock::take(const Ip& ip) {
  const auto offset = offset_of(ip);
  if (!offset)
    return fail(Errc::Invalid, "{} is not of the addresses that Pods get out of {}: {} to {}", ip, cidr_,
                cidr_.address(), cidr_.address().plus(states_.size() - 1));
  switch (states_[*offset]) {
    case State::Held: return fail(Errc::AlreadyExists, "{} is held", ip);
    case State::Excluded:
      return fail(Errc::Invalid, "{} is the {} of {}", ip, cluster::kept_from_pods(cidr_, ip), cidr_);
    case State::Fresh:
    case State::Released:
    case State::Reserved: break;
  }
  take_out(*offset);
  states_[*offset] = State::Held;
  ++held_;
  return ok();
}

void AddressBlock::set_reserved(const std::set<Ip>& ips, TimePoint now) {
  std::set<uint32_t> next;
  for (const auto& ip : ips)
    if (const auto offset = offset_of(ip)) next.insert(*offset);
  for (const uint32_t offset : reserved_) {
    if (next.contains(offset) || states_[offset] != State::Reserved) continue;
    --reserved_waiting_;
    states_[offset] = State::Released;
    released_.push_back({offset, now});
  }
  reserved_ = std::move(next);
  for (const uint32_t offset : reserved_) {
    if (states_[offset] != State::Fresh && states_[offset] != State::Released) continue;
    take_out(offset);
    states_[offset] = State::Reserved;
    ++reserved_waiting_;
  }
}

std::vector<AddressBlock::Span> AddressBlock::explain(TimePoint now) const {
  std::vector<Duration> left(states_.size());
  for (const auto& release : released_) left[release.offset] = std::max(Duration(), cooldown_ - (now - release.when));
  std::vector<Span> spans;
  for (uint32_t offset = 0; offset < states_.size(); ++offset) {
    Span span{.first = cidr_.address().plus(offset), .last = {}, .use = Use::Free};
    switch (states_[offset]) {
      case State::Fresh: break;
      case State::Held: span.use = Use::Held; break;
      case State::Reserved: span.use = Use::Reserved; break;
      case State::Excluded: span.use = use_of_excluded(offset); break;
      case State::Released:
        span.left = left[offset];
        if (span.left > Duration()) span.use = Use::Cooling;
        break;
    }
    span.last = span.first;
    if (span.use == Use::Free && !spans.empty() && spans.back().use == Use::Free)
      spans.back().last = span.last;
    else
      spans.push_back(span);
  }
  if (cidr_.size() > states_.size())
    spans.push_back({cidr_.address().plus(states_.size()), last_of(cidr_), Use::Unused});
  return spans;
}

bool AddressBlock::hold(const Ip& ip) {
  const auto offset = offset_of(ip);
  if (!offset || states_[*offset] == State::Held) return false;
  take_out(*offset);
  if (states_[*offset] == State::Excluded) ++capacity_;  // an older layout gave it out: it counts while it lives
  states_[*offset] = State::Held;
  ++held_;
  return true;
}

void AddressBlock::release(const Ip& ip, TimePoint when) {
  if (const auto offset = let_go(ip, State::Released)) released_.push_back({*offset, when});
}

void AddressBlock::give_back(const Ip& ip) {
  if (let_go(ip, State::Fresh)) ++fresh_;
}

std::optional<uint32_t> AddressBlock::let_go(const Ip& ip, State next) {
  const auto offset = offset_of(ip);
  if (!offset || states_[*offset] != State::Held) return std::nullopt;
  --held_;
  if (!excluded(*offset) && reserved_.contains(*offset)) {
    states_[*offset] = State::Reserved;
    ++reserved_waiting_;
    return std::nullopt;
  }
  if (!excluded(*offset)) {
    states_[*offset] = next;
    return offset;
  }
  states_[*offset] = State::Excluded;
  --capacity_;
  return std::nullopt;
}

uint64_t AddressBlock::cooling(TimePoint now) const { return cooling_since(now).size(); }

std::vector<AddressBlock::Cooling> AddressBlock::cooling_since(TimePoint now) const {
  std::vector<Cooling> all;
  for (const auto& release : released_)
    if (now - release.when < cooldown_) all.push_back({cidr_.address().plus(release.offset), release.when});
  return all;
}

}  // namespace causeway::pod
