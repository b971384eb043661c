// The Writer of wire.h.
#include "dns/wire.h"

namespace causeway::dns {

Writer::Writer(std::span<uint8_t> room, size_t limit)
    : room_(room), limit_(std::min({limit, room.size(), kMostMessage})) {}

void Writer::u8(uint8_t value) {
  if (at_ + 1 > limit_) {
    overflow_ = true;
    return;
  }
  room_[at_++] = value;
}
void Writer::u16(uint16_t value) {
  if (at_ + 2 > limit_) {
    overflow_ = true;
    return;
  }
  write16(room_, at_, value);
  at_ += 2;
}
void Writer::u32(uint32_t value) {
  u16(static_cast<uint16_t>(value >> 16));
  u16(static_cast<uint16_t>(value));
}
void Writer::octets(std::span<const uint8_t> bytes) {
  if (at_ + bytes.size() > limit_) {
    overflow_ = true;
    return;
  }
  if (!bytes.empty()) std::memcpy(&room_[at_], bytes.data(), bytes.size());
  at_ += bytes.size();
}

uint16_t Writer::find(NameView suffix) const {
  const std::span<const uint8_t> written = room_.first(at_);
  for (size_t i = 0; i < suffix_count_; ++i) {
    size_t at = suffixes_[i];
    NameView rest = suffix;
    // Label by label: what was written may itself end in a pointer, which leads to before it.
    for (;;) {
      if (written[at] >= 0xC0) {
        at = static_cast<size_t>(written[at] & 0x3F) << 8 | written[at + 1];
        continue;
      }
      const size_t size = 1u + written[at];
      if (!same_letters(written.subspan(at, size), rest.bytes().first(1u + rest.first().size()))) break;
      if (size == 1) return suffixes_[i];
      at += size;
      rest = rest.parent();
    }
  }
  return 0;
}

void Writer::put(NameView name, bool compress) {
  // Known only once the whole name stands: nothing may be found that is half written.
  std::array<uint16_t, std::tuple_size_v<decltype(suffixes_)>> fresh;
  size_t count = 0;
  uint16_t pointer = 0;
  for (; !name.is_root(); name = name.parent()) {
    pointer = compress ? find(name) : 0;
    if (pointer) break;
    if (at_ < 0x4000 && suffix_count_ + count < fresh.size()) fresh[count++] = static_cast<uint16_t>(at_);
    octets(name.bytes().first(1u + name.first().size()));
  }
  if (pointer)
    u16(static_cast<uint16_t>(0xC000 | pointer));
  else
    u8(0);
  if (overflow_) return;
  std::copy_n(fresh.begin(), count, suffixes_.begin() + suffix_count_);
  suffix_count_ = static_cast<uint8_t>(suffix_count_ + count);
}

void Writer::reply(const Query& query, Rcode rcode, bool authoritative) {
  flags_.bits = static_cast<uint16_t>(Flags::kResponse | (query.flags.bits & 0x7800) |
                                      (query.flags.bits & (Flags::kRecursionDesired | Flags::kCheckingDisabled)));
  if (authoritative) flags_.bits |= Flags::kAuthoritative;
  rcode_ = static_cast<uint16_t>(rcode);
  opt_ = query.edns.has_value();
  if (opt_) {
    payload_ = kUdpMost;
    dnssec_ok_ = query.edns->dnssec_ok;
    limit_ -= kOptSize;
  }
  at_ = 0;
  u16(query.id);
  for (int i = 0; i < 5; ++i) u16(0);  // finish() knows
  octets(query.question_octets);
  asked_ = !query.question_octets.empty();
  if (!asked_) return;
  size_t at = kHeaderSize;
  for (NameView name = query.question.name; !name.is_root() && suffix_count_ < suffixes_.size(); name = name.parent()) {
    suffixes_[suffix_count_++] = static_cast<uint16_t>(at);
    at += 1 + name.first().size();
  }
}

void Writer::ask(uint16_t id, NameView name, Type type, uint16_t payload, bool checking_disabled) {
  flags_.bits = Flags::kRecursionDesired;
  if (checking_disabled) flags_.bits |= Flags::kCheckingDisabled;
  opt_ = payload > 0;
  payload_ = payload;
  if (opt_) limit_ -= kOptSize;
  u16(id);
  for (int i = 0; i < 5; ++i) u16(0);
  put(name, false);
  u16(static_cast<uint16_t>(type));
  u16(static_cast<uint16_t>(Class::In));
  asked_ = true;
}

bool Writer::begin(NameView owner, Type type, uint32_t ttl) {
  if (truncated_) return false;
  mark_ = {at_, suffix_count_};
  overflow_ = false;
  put(owner, true);
  u16(static_cast<uint16_t>(type));
  u16(static_cast<uint16_t>(Class::In));
  u32(ttl);
  data_size_at_ = at_;
  u16(0);
  return true;
}

bool Writer::end() {
  if (overflow_) {
    at_ = mark_.at;
    suffix_count_ = mark_.suffixes;
    truncated_ |= section_ != Section::Additional;
    return false;
  }
  write16(room_, data_size_at_, static_cast<uint16_t>(at_ - data_size_at_ - 2));
  ++counts_[static_cast<size_t>(section_)];
  return true;
}

bool Writer::address(NameView owner, uint32_t ttl, const Ip& ip) {
  return raw(owner, ip.is_v4() ? Type::A : Type::AAAA, ttl, ip.bytes());
}
bool Writer::name(NameView owner, Type type, uint32_t ttl, NameView target) {
  if (!begin(owner, type, ttl)) return false;
  put(target, true);
  return end();
}
bool Writer::srv(NameView owner, uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port, NameView target) {
  if (!begin(owner, Type::SRV, ttl)) return false;
  u16(priority);
  u16(weight);
  u16(port);
  put(target, false);
  return end();
}
bool Writer::txt(NameView owner, uint32_t ttl, std::string_view text) {
  if (!begin(owner, Type::TXT, ttl)) return false;
  u8(static_cast<uint8_t>(text.size()));
  octets({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  return end();
}
bool Writer::soa(NameView owner, uint32_t ttl, const Soa& soa) {
  if (!begin(owner, Type::SOA, ttl)) return false;
  put(soa.primary, true);
  put(soa.mailbox, true);
  for (const uint32_t number : {soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum}) u32(number);
  return end();
}
bool Writer::soa_of_question(size_t zone_at, uint32_t ttl, uint32_t serial) {
  std::array<uint8_t, 56> out{0,   0,   0,   6, 0, 1,  0,   0,   0,   0,   0,   43,  2,   'n', 's', 3,
                              'd', 'n', 's', 0, 0, 10, 'h', 'o', 's', 't', 'm', 'a', 's', 't', 'e', 'r'};
  const auto zone = static_cast<uint16_t>(0xC000 | zone_at);
  const Soa soa{.serial = serial, .minimum = ttl};
  for (const size_t at : {0, 19, 32}) write16(out, at, zone);
  write32(out, 6, ttl);
  size_t at = 34;
  for (const uint32_t number : {soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum}) {
    write32(out, at, number);
    at += 4;
  }
  write16(out, 10, static_cast<uint16_t>(at - 12));
  if (truncated_ || at > left()) {
    truncated_ |= section_ != Section::Additional;
    return false;
  }
  octets(std::span(out).first(at));
  ++counts_[static_cast<size_t>(section_)];
  return true;
}
bool Writer::raw(NameView owner, Type type, uint32_t ttl, std::span<const uint8_t> data) {
  if (!begin(owner, type, ttl)) return false;
  octets(data);
  return end();
}

bool Writer::addresses_of_question(std::span<const uint8_t> addresses, size_t each, uint32_t ttl, size_t first) {
  const size_t count = addresses.size() / each, record = 12 + each;
  const size_t fits = std::min(count, truncated_ || at_ > limit_ ? 0 : (limit_ - at_) / record);
  std::array<uint8_t, 12> head;
  write16(head, 0, kOwnerIsQuestion);
  write16(head, 2, static_cast<uint16_t>(each == 4 ? Type::A : Type::AAAA));
  write16(head, 4, static_cast<uint16_t>(Class::In));
  write32(head, 6, ttl);
  write16(head, 10, static_cast<uint16_t>(each));
  size_t next = count ? first % count : 0;
  uint8_t* to = room_.data() + at_;
  for (size_t i = 0; i < fits; ++i, to += record) {
    std::memcpy(to, head.data(), head.size());
    std::memcpy(to + head.size(), &addresses[next * each], each);
    if (++next == count) next = 0;
  }
  at_ += fits * record;
  counts_[static_cast<size_t>(section_)] = static_cast<uint16_t>(counts_[static_cast<size_t>(section_)] + fits);
  if (fits < count && section_ != Section::Additional) truncated_ = true;
  return fits == count;
}

std::span<const uint8_t> Writer::finish() {
  if (opt_) {
    limit_ += kOptSize;
    overflow_ = false;
    opt_ = false;
    u8(0);
    u16(static_cast<uint16_t>(Type::OPT));
    u16(payload_);
    u8(static_cast<uint8_t>(rcode_ >> 4));
    u8(0);
    u16(dnssec_ok_ ? 0x8000 : 0);
    u16(0);
    ++counts_[static_cast<size_t>(Section::Additional)];
  }
  if (truncated_) flags_.bits |= Flags::kTruncated;
  write16(room_, 2, static_cast<uint16_t>(flags_.bits | (rcode_ & 0xF)));
  write16(room_, 4, asked_ ? 1 : 0);
  for (size_t i = 0; i < 3; ++i) write16(room_, 6 + 2 * i, counts_[i]);
  return room_.first(at_);
}

}  // namespace causeway::dns
