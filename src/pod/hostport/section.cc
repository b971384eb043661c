#include "pod/hostport/section.h"

namespace causeway::pod::hostport {
namespace {

using namespace nftables;

// Behind kube-proxy's chains of the same hooks: where both know a port, the Service has it (CVE-2019-9946 was a host
// port that hid a NodePort).
constexpr int32_t kBehindServices = kDstnat + 5;

std::string digit(Family family) { return family == Family::V4 ? "4" : "6"; }
std::string any_map(Family family) { return "hostport-any" + digit(family); }
std::string address_map(Family family) { return "hostport-address" + digit(family); }
std::string hairpin_set(Family family) { return "hostport-hairpin" + digit(family); }

std::string map_of(const cluster::HostPortClaim& claim) {
  return claim.ip.is_unspecified() ? any_map(claim.ip.family()) : address_map(claim.ip.family());
}

Tuple key_of(const cluster::HostPortClaim& claim) {
  Tuple key;
  key.protocol(uint8_t(claim.protocol));
  if (!claim.ip.is_unspecified()) key.ip(claim.ip);
  return key.port(claim.port);
}

void add_family(Section& section, Family family) {
  const Type ip = type_of(family);
  section.sets[any_map(family)] = {.key = {Type::Protocol, Type::Port}, .data = {ip, Type::Port}};
  section.sets[address_map(family)] = {.key = {Type::Protocol, ip, Type::Port}, .data = {ip, Type::Port}};
  section.sets[hairpin_set(family)] = {.key = {ip, ip}};
  const auto to_pod = [&](FromMap map) { return Nat{.family = family, .to = std::move(map), .with_port = true}; };
  auto& rows = section.chains["hostport-rows"].rules;
  rows.push_back({{to_pod({{Field::L4Proto, daddr_of(family), Field::ThDport}, address_map(family)})}});
  rows.push_back({{to_pod({{Field::L4Proto, Field::ThDport}, any_map(family)})}});
}

void add_source(std::vector<Rule>& rules, const Ip& source) {
  const Family family = source.family();
  const Nat to_source{.kind = Nat::Kind::Source, .family = family, .to = Endpoint{source, 0}};
  // The kernel carries 127.0.0.1 over a veth where route_localnet is set; it never does so with ::1.
  if (family == Family::V4)
    rules.push_back(
        {{any_of(Field::CtStatus, kStatusDnat), match(Field::IpSaddr, Cidr::parse("127.0.0.0/8").value()), to_source}});
  rules.push_back({{any_of(Field::CtStatus, kStatusDnat),
                    Lookup{{saddr_of(family), daddr_of(family)}, hairpin_set(family)}, to_source}});
}

}  // namespace

Section section_of(const Tables& tables) {
  Section section{.name = kSection};
  const Rule to_rows{{match(Field::FibDaddrType, kLocal), jump("hostport-rows")}};
  const Cidr loopback = Cidr::parse("127.0.0.0/8").value();
  const Ip loopback6 = Ip::parse("::1").value();
  for (const Family family : {Family::V4, Family::V6}) add_family(section, family);
  section.chains["hostport-prerouting"] = {Base{ChainType::Nat, Hook::Prerouting, kBehindServices}, {to_rows}};
  // From ::1 nothing can leave the node, so it is answered at once: by who listens there, or by a reset.
  section.chains["hostport-output"] = {Base{ChainType::Nat, Hook::Output, kBehindServices},
                                       {{{match(Field::Ip6Saddr, Tuple().ip(loopback6)), returns()}}, to_rows}};
  auto& postrouting = section.chains["hostport-postrouting"];
  postrouting.base = Base{ChainType::Nat, Hook::Postrouting, kSrcnat};
  for (const auto& [family, source] : tables.sources) add_source(postrouting.rules, source);
  // route_localnet lets a Pod's packets to 127.0.0.1 in (CVE-2020-8558): none of them has that address on the wire.
  const Match from_outside = differs(Field::IifName, Tuple().name("lo"));
  section.chains["hostport-guard"] = {Base{ChainType::Filter, Hook::Prerouting, kRaw},
                                      {{{from_outside, match(Field::IpDaddr, loopback), drop()}},
                                       {{from_outside, match(Field::IpSaddr, loopback), drop()}}}};
  for (const auto& [claim, row] : tables.rows)
    section.elements[map_of(claim)].emplace(key_of(claim), Value{.data = Tuple().ip(row.to.ip).port(row.to.port),
                                                                 .comment = to_string(row.pod).substr(0, 120)});
  for (const Ip& pod : tables.pods)
    section.elements[hairpin_set(pod.family())].emplace(Tuple().ip(pod).ip(pod), Value{});
  return section;
}

namespace {

// The bytes of a field, at an offset.
uint16_t port_at(const std::string& bytes, size_t at) {
  return uint16_t(uint8_t(bytes[at]) << 8 | uint8_t(bytes[at + 1]));
}
Ip ip_at(const std::string& bytes, size_t at, Family family) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data() + at);
  return family == Family::V4 ? Ip::v4(std::span<const uint8_t, 4>(data, 4))
                              : Ip::v6(std::span<const uint8_t, 16>(data, 16));
}

void read_rows(const std::string& map, const Elements& elements, bool removed, std::vector<ChangedRow>& out) {
  for (const Family family : {Family::V4, Family::V6}) {
    const bool any = map == any_map(family);
    if (!any && map != address_map(family)) continue;
    const size_t ip_bytes = family == Family::V4 ? 4 : 16;
    for (const auto& [key, value] : elements) {
      const auto* data = std::get_if<Tuple>(&value.data);
      if (!data || data->bytes().size() != ip_bytes + 4 || key.bytes().size() != (any ? 8 : ip_bytes + 8)) continue;
      const Ip every = family == Family::V4 ? Ip() : Ip::v6(std::array<uint8_t, 16>{});
      out.push_back({{cluster::Protocol(uint8_t(key.bytes()[0])), any ? every : ip_at(key.bytes(), 4, family),
                      port_at(key.bytes(), any ? 4 : 4 + ip_bytes)},
                     {ip_at(data->bytes(), 0, family), port_at(data->bytes(), ip_bytes)},
                     removed});
    }
  }
}

}  // namespace

std::vector<ChangedRow> changed_rows(const Transaction& transaction) {
  std::vector<ChangedRow> out;
  for (const auto& change : transaction) {
    if (const auto* add = std::get_if<AddElements>(&change)) read_rows(add->name, add->elements, false, out);
    if (const auto* gone = std::get_if<DeleteElements>(&change)) read_rows(gone->name, gone->elements, true, out);
  }
  return out;
}

}  // namespace causeway::pod::hostport
