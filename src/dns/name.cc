#include "dns/name.h"

namespace causeway::dns {

namespace {

constexpr uint64_t kOnes = 0x0101010101010101u, kHigh = 0x8080808080808080u;

// Eight octets at a time: the ASCII capitals among them get bit 5.
uint64_t lower8(uint64_t octets) {
  const uint64_t seven = octets & ~kHigh;
  const uint64_t from_a = seven + kOnes * (0x80 - 'A'), past_z = seven + kOnes * (0x80 - 'Z' - 1);
  return octets | ((from_a & ~past_z & ~octets & kHigh) >> 2);
}

uint64_t load(const uint8_t* at, size_t octets) {
  uint64_t out = 0;
  std::memcpy(&out, at, octets);
  return out;
}

uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

bool same_letters(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  if (a.size() != b.size()) return false;
  size_t at = 0;
  for (; at + 8 <= a.size(); at += 8)
    if (lower8(load(&a[at], 8)) != lower8(load(&b[at], 8))) return false;
  for (; at < a.size(); ++at)
    if (lower(a[at]) != lower(b[at])) return false;
  return true;
}

uint64_t hash_letters(std::span<const uint8_t> octets, uint64_t seed) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15u, kOther = 0xd6e8feb86659fd93u;
  uint64_t out = seed ^ (octets.size() * kOdd);
  size_t at = 0;
  for (; at + 8 <= octets.size(); at += 8) out = mix(out ^ lower8(load(&octets[at], 8)), kOdd);
  if (at < octets.size()) out = mix(out ^ lower8(load(&octets[at], octets.size() - at)), kOdd);
  return mix(out ^ kOther, kOdd);
}

NameView NameView::trusted(const uint8_t* wire) {
  size_t size = 0;
  while (wire[size] != 0) size += 1u + wire[size];
  return {wire, static_cast<uint8_t>(size + 1)};
}

std::optional<NameView> NameView::parse(std::span<const uint8_t> wire) {
  size_t size = 0;
  while (size < wire.size() && size < kMostName) {
    if (wire[size] == 0) return NameView(wire.data(), static_cast<uint8_t>(size + 1));
    if (wire[size] > kMostLabel) return std::nullopt;
    size += 1u + wire[size];
  }
  return std::nullopt;
}

size_t NameView::labels() const {
  size_t count = 0;
  for (const uint8_t* at = wire_; *at != 0; at += 1 + *at) ++count;
  return count;
}

bool NameView::within(NameView zone) const {
  if (size_ < zone.size_) return false;
  const uint8_t* const tail = wire_ + (size_ - zone.size_);
  const uint8_t* at = wire_;
  while (at < tail) at += 1 + *at;  // the tail may begin inside a label
  return at == tail && same_letters({tail, zone.size_}, zone.bytes());
}

std::string to_string(NameView name) {
  if (name.is_root()) return ".";
  std::string out;
  for (; !name.is_root(); name = name.parent()) {
    for (const char c : name.first()) {
      const auto octet = static_cast<uint8_t>(c);
      if (c == '.' || c == '\\')
        (out += '\\') += c;
      else if (octet <= ' ' || octet >= 0x7f)
        out += fmt::format("\\{:03}", octet);
      else
        out += c;
    }
    out += '.';
  }
  return out;
}

bool WireName::append(std::string_view label) {
  if (label.empty() || label.size() > kMostLabel || size_ + label.size() + 1 > kMostName) return false;
  wire_[size_ - 1u] = static_cast<uint8_t>(label.size());
  std::memcpy(&wire_[size_], label.data(), label.size());
  size_ = static_cast<uint8_t>(size_ + label.size() + 1);
  wire_[size_ - 1u] = 0;
  return true;
}

bool WireName::append(NameView name) {
  if (size_ - 1u + name.size() > kMostName) return false;
  std::memmove(&wire_[size_ - 1u], name.data(), name.size());
  size_ = static_cast<uint8_t>(size_ - 1u + name.size());
  return true;
}

Result<WireName> WireName::parse(std::string_view text) {
  WireName out;
  if (text == ".") return out;
  std::string label;
  const auto end_label = [&]() -> Status {
    if (label.empty()) return fail(Errc::Invalid, "\"{}\" is no domain name: it has an empty label", text);
    if (label.size() > kMostLabel)
      return fail(Errc::Invalid, "\"{}\" is no domain name: a label has {} octets, not 1-{}", text, label.size(),
                  kMostLabel);
    if (!out.append(label)) return fail(Errc::Invalid, "\"{}\" is no domain name: above {} octets", text, kMostName);
    label.clear();
    return ok();
  };
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '.') {
      TRY(end_label());
      continue;
    }
    if (text[at] != '\\') {
      label += text[at];
      continue;
    }
    const auto digit = [&](size_t of) { return of < text.size() && text[of] >= '0' && text[of] <= '9'; };
    if (!digit(at + 1) && at + 1 < text.size()) {
      label += text[++at];
      continue;
    }
    const int number = digit(at + 1) && digit(at + 2) && digit(at + 3)
                           ? (text[at + 1] - '0') * 100 + (text[at + 2] - '0') * 10 + (text[at + 3] - '0')
                           : 256;
    if (number > 255) return fail(Errc::Invalid, "\"{}\" is no domain name: \"\\\" wants three digits to 255", text);
    label += static_cast<char>(number);
    at += 3;
  }
  if (text.empty() || !label.empty()) TRY(end_label());
  return out;
}

size_t read_name(std::span<const uint8_t> message, size_t at, WireName* out, size_t first) {
  std::array<uint8_t, kMostName> wire;
  size_t size = 0, taken = 0;
  const size_t begin = at;
  size_t before = at;           // where a pointer may lead: below this
  size_t end = message.size();  // where what it leads to must have ended: a name stands whole before who points to it
  for (;;) {
    if (at >= end) return 0;
    const uint8_t length = message[at];
    if (length >= 0xC0) {
      if (at + 1 >= end) return 0;
      const size_t to = static_cast<size_t>(length & 0x3F) << 8 | message[at + 1];
      if (to >= before || to < first) return 0;
      if (!taken) taken = at + 2;
      end = before;
      before = at = to;
      continue;
    }
    if (length > kMostLabel || at + length >= end || size + length + 1 > kMostName) return 0;
    std::memcpy(&wire[size], &message[at], 1u + length);
    size += 1u + length;
    at += 1u + length;
    if (length == 0) break;
  }
  if (out) *out = NameView::trusted(wire.data());
  return (taken ? taken : at) - begin;
}

}  // namespace causeway::dns
