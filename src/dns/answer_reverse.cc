// Addresses to names: in-addr.arpa (RFC 1035 section 3.5), ip6.arpa (RFC 3596 section 2.5).
#include <charconv>

#include "dns/answer_parts.h"

namespace causeway::dns {

namespace {

struct Reversed {
  std::array<uint8_t, 16> octets{};
  size_t size = 0;     // 4 or 16; 0: no name of an address
  bool whole = false;  // false: it is above names of addresses
};

int nibble(std::string_view label) {
  if (label.size() != 1) return -1;
  if (label[0] >= '0' && label[0] <= '9') return label[0] - '0';
  return label[0] >= 'a' && label[0] <= 'f' ? label[0] - 'a' + 10 : -1;
}

Reversed parse_reverse(NameView name) {
  static const WireName kFour = WireName::parse("in-addr.arpa").value(), kSix = WireName::parse("ip6.arpa").value();
  Reversed out;
  const bool four = name.within(kFour);
  if (!four && !name.within(kSix)) return out;
  const size_t parts = four ? 4 : 32, labels = name.labels() - 2;
  if (labels > parts) return out;
  // The leftmost label is the last part that is given.
  for (size_t part = labels; part-- > 0; name = name.parent()) {
    const std::string_view label = name.first();
    if (four) {
      unsigned value = 256;
      const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), value);
      if (error != std::errc() || end != label.data() + label.size() || value > 255 ||
          (label[0] == '0' && label.size() > 1))
        return out;
      out.octets[part] = static_cast<uint8_t>(value);
    } else {
      const int value = nibble(label);
      if (value < 0) return out;
      out.octets[part / 2] = static_cast<uint8_t>(out.octets[part / 2] | value << (part % 2 ? 0 : 4));
    }
  }
  out.size = four ? 4 : 16;
  out.whole = labels == parts;
  return out;
}

}  // namespace

// Cluster IPs are called as their Service, ready endpoints as they are called below it: one name for each Service.
bool Answering::add_pointer(const Entry& entry, std::span<const uint8_t> ip) {
  const NameView zone = view_.zones.front();
  const auto begin_once = [&] {
    if (out_.what != What::Reverse) begin(What::Reverse);
  };
  const WireName service = service_name(entry, zone);
  const auto own = entry.ips(ip.size() == 4 ? Family::V4 : Family::V6);
  bool any = false;
  for (size_t at = 0; at < own.size(); at += ip.size()) any = any || std::memcmp(&own[at], ip.data(), ip.size()) == 0;
  if (any) {
    if (type() == Type::PTR) {
      begin_once();
      writer_.name(query_.question.name, Type::PTR, view_.ttl, service);
    }
    return true;
  }
  if (view_.no_endpoints) return false;
  std::optional<EndName> last;
  for (auto range = entry.find(ip); !range.empty(); ++range.first) {
    any = true;
    if (type() != Type::PTR) break;
    EndName name(view_, entry, range.first);
    if (last && std::ranges::equal(last->wire(), name.wire())) continue;
    if (const auto target = below(name.wire(), service)) {
      begin_once();
      writer_.name(query_.question.name, Type::PTR, view_.ttl, *target);
    }
    last = name;
  }
  return any;
}

Answering::Is Answering::reverse() {
  const Reversed at = parse_reverse(name_);
  if (at.size == 0 || view_.zones.empty()) return Is::Missing;
  if (!at.whole) return view_.fall_through ? Is::Missing : Is::NoData;
  bool any = false;
  const std::span<const uint8_t> ip(at.octets.data(), at.size);
  tables_.at(ip, [&](const Tables::Found& found) {
    if (found.entry.kind() == Kind::Service && shown(found)) any = add_pointer(found.entry, ip) || any;
    return true;
  });
  if (!any) return Is::Missing;
  return out_.what == What::Reverse ? Is::Written : (out_.what = What::Reverse, Is::NoData);
}

}  // namespace causeway::dns
