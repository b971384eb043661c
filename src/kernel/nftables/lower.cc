#include "kernel/nftables/lower.h"

#include <netinet/in.h>

// Before linux/netfilter.h, which brings the kernel's own form of the same.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include <cstring>

namespace causeway::nftables {
namespace {

constexpr uint32_t kRegisters = NFT_REG32_15 - NFT_REG32_00 + 1;
// Offsets in the headers (RFC 791, RFC 8200, and the ports that TCP, UDP and SCTP begin with).
constexpr uint32_t kIpSource = 12, kIpDestination = 16, kIp6Source = 8, kIp6Destination = 24, kSourcePort = 0,
                   kDestinationPort = 2;

std::string bytes_of_number(uint32_t number) { return Tuple().number(number).bytes(); }

uint8_t nfproto(Family family) { return family == Family::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

std::optional<Family> family_of(Field field) {
  switch (field) {
    case Field::IpSaddr:
    case Field::IpDaddr:
    case Field::CtOriginalIpDaddr: return Family::V4;
    case Field::Ip6Saddr:
    case Field::Ip6Daddr:
    case Field::CtOriginalIp6Daddr: return Family::V6;
    case Field::NfProto:
    case Field::L4Proto:
    case Field::Mark:
    case Field::Priority:
    case Field::IifName:
    case Field::OifName:
    case Field::IifGroup:
    case Field::OifGroup:
    case Field::ThSport:
    case Field::ThDport:
    case Field::Icmp6Type:
    case Field::CtState:
    case Field::CtStatus:
    case Field::CtDirection:
    case Field::CtMark:
    case Field::CtOriginalProtoDport:
    case Field::FibDaddrType:
    case Field::FibSaddrType: return std::nullopt;
  }
  __builtin_unreachable();
}

code::Instruction load_of(Field field, code::Register to) {
  const auto network = [&](uint32_t offset, uint32_t length) {
    return code::LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, offset, length, to};
  };
  const auto transport = [&](uint32_t offset, uint32_t length) {
    return code::LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, offset, length, to};
  };
  switch (field) {
    case Field::NfProto: return code::LoadMeta{NFT_META_NFPROTO, to};
    case Field::L4Proto: return code::LoadMeta{NFT_META_L4PROTO, to};
    case Field::Mark: return code::LoadMeta{NFT_META_MARK, to};
    case Field::Priority: return code::LoadMeta{NFT_META_PRIORITY, to};
    case Field::IifName: return code::LoadMeta{NFT_META_IIFNAME, to};
    case Field::OifName: return code::LoadMeta{NFT_META_OIFNAME, to};
    case Field::IifGroup: return code::LoadMeta{NFT_META_IIFGROUP, to};
    case Field::OifGroup: return code::LoadMeta{NFT_META_OIFGROUP, to};
    case Field::IpSaddr: return network(kIpSource, 4);
    case Field::IpDaddr: return network(kIpDestination, 4);
    case Field::Ip6Saddr: return network(kIp6Source, 16);
    case Field::Ip6Daddr: return network(kIp6Destination, 16);
    case Field::ThSport: return transport(kSourcePort, 2);
    case Field::ThDport: return transport(kDestinationPort, 2);
    case Field::Icmp6Type: return transport(0, 1);
    case Field::CtState: return code::LoadCt{NFT_CT_STATE, std::nullopt, to};
    case Field::CtStatus: return code::LoadCt{NFT_CT_STATUS, std::nullopt, to};
    case Field::CtDirection: return code::LoadCt{NFT_CT_DIRECTION, std::nullopt, to};
    case Field::CtMark: return code::LoadCt{NFT_CT_MARK, std::nullopt, to};
    case Field::CtOriginalIpDaddr: return code::LoadCt{NFT_CT_DST_IP, uint8_t{0}, to};
    case Field::CtOriginalIp6Daddr: return code::LoadCt{NFT_CT_DST_IP6, uint8_t{0}, to};
    case Field::CtOriginalProtoDport: return code::LoadCt{NFT_CT_PROTO_DST, uint8_t{0}, to};
    case Field::FibDaddrType: return code::LoadFib{NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR, to};
    case Field::FibSaddrType: return code::LoadFib{NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_SADDR, to};
  }
  __builtin_unreachable();
}

// Appends the instructions of one statement after the other. Registers carry nothing from one to the next; what is
// remembered is the packet's family and protocol, once they were checked.
class Lowering {
 public:
  Result<code::Program> run(const Rule& rule) {
    for (const auto& statement : rule.statements) TRY(std::visit(*this, statement));
    return std::move(program_);
  }

  Status operator()(const Match& match) {
    need_context(match.what);
    TRY(load(match.what, 0));
    const size_t length = bytes_of(match.what);
    const auto value = TRY(field_bytes(match.value, length));
    if (match.any_bit) {
      put(code::Bitwise{0, 0, value, std::string(length, '\0')});
      put(code::Compare{0, match.negated, std::string(length, '\0')});
      return ok();
    }
    if (match.mask) put(code::Bitwise{0, 0, TRY(field_bytes(*match.mask, length)), std::string(length, '\0')});
    put(code::Compare{0, !match.negated, value});
    if (const auto* field = std::get_if<Field>(&match.what); field && !match.negated && !match.mask) {
      if (*field == Field::NfProto) family_ = uint8_t(value[0]);
      if (*field == Field::L4Proto) protocol_ = uint8_t(value[0]);
    }
    return ok();
  }
  Status operator()(const Lookup& lookup) {
    TRY(load_all(lookup.key));
    put(code::Find{lookup.set, 0, lookup.negated, false, std::nullopt});
    return ok();
  }
  Status operator()(const VerdictMap& map) {
    TRY(load_all(map.key));
    put(code::Find{map.map, 0, false, true, std::nullopt});
    return ok();
  }
  Status operator()(const Verdict& verdict) {
    put(verdict);
    return ok();
  }
  Status operator()(const Masquerade& masquerade) {
    put(code::Masquerade{masquerade.fully_random ? uint32_t{NF_NAT_RANGE_PROTO_RANDOM_FULLY} : 0});
    return ok();
  }
  Status operator()(const Notrack&) {
    put(code::Notrack{});
    return ok();
  }
  Status operator()(const Nat& nat) {
    need_family(nat.family);
    code::Nat code{.kind = uint32_t(nat.kind == Nat::Kind::Source ? NFT_NAT_SNAT : NFT_NAT_DNAT),
                   .family = nfproto(nat.family)};
    const code::Register behind = nat.family == Family::V4 ? 1 : 4;  // the word behind the address
    if (const auto* map = std::get_if<FromMap>(&nat.to)) {
      TRY(find(*map));
      if (nat.with_port) code.port = behind;
    } else {
      const auto& endpoint = std::get<Endpoint>(nat.to);
      if (endpoint.ip.family() != nat.family)
        return fail(Errc::Invalid, "NAT to {} in a rule of the other family", endpoint.ip);
      put(code::LoadValue{0, Tuple().ip(endpoint.ip).bytes()});
      if (endpoint.port) {
        put(code::LoadValue{behind, Tuple().port(endpoint.port).bytes().substr(0, 2)});
        code.port = behind;
      }
    }
    put(std::move(code));
    return ok();
  }
  Status operator()(const SetMark& mark) {
    if (const auto* value = std::get_if<uint32_t>(&mark.to)) {
      put(code::LoadValue{0, bytes_of_number(*value)});
    } else if (const auto* map = std::get_if<FromMap>(&mark.to)) {
      TRY(find(*map));
    } else {
      const Field field = std::get<Field>(mark.to);
      if (type_of(field) != Type::Mark) return fail(Errc::Invalid, "{} is no mark", field);
      TRY(load(field, 0));
      if (mark.keep != 0xffffffff || mark.add)
        put(code::Bitwise{0, 0, bytes_of_number(mark.keep & ~mark.add), bytes_of_number(mark.add)});
    }
    switch (mark.target) {
      case SetMark::Target::Packet: put(code::StoreMeta{NFT_META_MARK, 0}); break;
      case SetMark::Target::Priority: put(code::StoreMeta{NFT_META_PRIORITY, 0}); break;
      case SetMark::Target::Connection: put(code::StoreCt{NFT_CT_MARK, 0}); break;
    }
    return ok();
  }
  Status operator()(const Counter&) {
    put(code::Counter{});
    return ok();
  }
  Status operator()(const Reject& reject) {
    switch (reject.with) {
      case Reject::With::PortUnreachable:
        put(code::Reject{NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH});
        break;
      case Reject::With::AdminProhibited:
        put(code::Reject{NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED});
        break;
      case Reject::With::TcpReset: put(code::Reject{NFT_REJECT_TCP_RST, 0}); break;
    }
    return ok();
  }
  Status operator()(const Update& update) {
    TRY(load_all(update.key));
    code::Update code{.set = update.set, .from = 0, .timeout_ms = update.timeout_ms, .remove = update.remove};
    if (update.data) {
      uint32_t at = 0;
      for (const auto& what : update.key) at += (bytes_of(what) + 3) / 4;
      TRY(load(*update.data, at));
      code.data = code::Register(at);
    }
    put(std::move(code));
    return ok();
  }

 private:
  void put(code::Instruction instruction) { program_.push_back(std::move(instruction)); }

  void need_family(Family family) {
    if (family_ == nfproto(family)) return;
    put(code::LoadMeta{NFT_META_NFPROTO, 0});
    put(code::Compare{0, true, std::string(1, char(nfproto(family)))});
    family_ = nfproto(family);
  }
  // What a field takes for granted of the packet is checked before it is read.
  void need_context(Field field) {
    if (const auto family = family_of(field)) need_family(*family);
    if (field != Field::Icmp6Type || protocol_ == IPPROTO_ICMPV6) return;
    put(code::LoadMeta{NFT_META_L4PROTO, 0});
    put(code::Compare{0, true, std::string(1, char(IPPROTO_ICMPV6))});
    protocol_ = IPPROTO_ICMPV6;
  }
  void need_context(const Selector& what) {
    if (const auto* field = std::get_if<Field>(&what)) need_context(*field);
    if (const auto* hash = std::get_if<Hash>(&what))
      for (const Field field : hash->fields) need_context(field);
  }

  Status load(const Selector& what, uint32_t to) {
    if (to + (bytes_of(what) + 3) / 4 > kRegisters)
      return fail(Errc::Invalid, "the fields side by side have more than {} bytes", kRegisters * 4);
    if (const auto* field = std::get_if<Field>(&what)) {
      put(load_of(*field, code::Register(to)));
    } else if (const auto* random = std::get_if<Random>(&what)) {
      if (random->mod == 0) return fail(Errc::Invalid, "numgen random mod 0");
      put(code::LoadRandom{random->mod, random->offset, code::Register(to)});
    } else if (const auto* raw = std::get_if<Raw>(&what)) {
      if (raw->length == 0 || raw->length > 16) return fail(Errc::Invalid, "{} bytes of a header", raw->length);
      put(code::LoadPayload{
          uint8_t(raw->base == Raw::Base::Network ? NFT_PAYLOAD_NETWORK_HEADER : NFT_PAYLOAD_TRANSPORT_HEADER),
          raw->offset, raw->length, code::Register(to)});
    } else {
      // The hash overwrites the first word of what it read.
      const auto& hash = std::get<Hash>(what);
      if (hash.mod == 0) return fail(Errc::Invalid, "jhash mod 0");
      uint32_t at = to;
      for (const Field field : hash.fields) {
        TRY(load(field, at));
        at += (bytes_of(type_of(field)) + 3) / 4;
      }
      put(code::LoadHash{code::Register(to), (at - to) * 4, hash.mod, hash.seed, hash.offset, code::Register(to)});
    }
    return ok();
  }

  Status load_all(const std::vector<Selector>& key) {
    if (key.empty()) return fail(Errc::Invalid, "a look-up of nothing");
    for (const auto& what : key) need_context(what);
    uint32_t at = 0;
    for (const auto& what : key) {
      TRY(load(what, at));
      at += (bytes_of(what) + 3) / 4;
    }
    return ok();
  }

  Status find(const FromMap& map) {
    TRY(load_all(map.key));
    put(code::Find{map.map, 0, false, false, code::Register{0}});
    return ok();
  }

  static Result<std::string> field_bytes(const Tuple& value, size_t length) {
    if (value.bytes().size() != (length + 3) / 4 * 4)
      return fail(Errc::Invalid, "a value of {} bytes for a field of {}", value.bytes().size(), length);
    return value.bytes().substr(0, length);
  }

  code::Program program_;
  std::optional<uint8_t> family_, protocol_;
};

}  // namespace

Result<code::Program> lower(const Rule& rule) { return TRY(Lowering().run(rule), "rule \"{}\"", rule); }

}  // namespace causeway::nftables
