#include "dns/message.h"

#include <algorithm>

namespace causeway::dns {

namespace {

// Octets of the data before its name.
std::optional<size_t> name_offset(Type type) {
  switch (static_cast<uint16_t>(type)) {
    case 2:
    case 5:
    case 12:
    case 39: return 0;  // NS, CNAME, PTR, DNAME
    case 15: return 2;  // MX
    case 33: return 6;  // SRV
    default: return std::nullopt;
  }
}

void append(Bytes& to, std::span<const uint8_t> octets) { to.insert(to.end(), octets.begin(), octets.end()); }

// Data with its names written out. False: malformed.
bool expand(std::span<const uint8_t> packet, const Record& record, Bytes& data) {
  const auto raw = packet.subspan(record.data_at, record.data_size);
  const bool soa = record.type == Type::SOA;
  const auto offset = soa ? std::optional<size_t>(0) : name_offset(record.type);
  if (!offset) {
    append(data, raw);
    return true;
  }
  if (raw.size() < *offset) return false;
  append(data, raw.first(*offset));
  size_t at = record.data_at + *offset;
  for (int i = 0; i < (soa ? 2 : 1); ++i) {
    WireName name;
    const size_t taken = read_name(packet, at, &name);
    if (taken == 0 || at + taken > record.end()) return false;
    append(data, name.bytes());
    at += taken;
  }
  append(data, packet.subspan(at, record.end() - at));
  return true;
}

// Flags of a client's reply that carries what an upstream said.
uint16_t client_flags(uint16_t said, const Query& query) {
  uint16_t flags = said & (Flags::kRecursionAvailable | 0xF);
  flags |= Flags::kResponse | (query.flags.bits & (Flags::kRecursionDesired | Flags::kCheckingDisabled | 0x7800));
  // AD only for who asked for it (RFC 6840 section 5.8).
  if (query.flags.has(Flags::kAuthentic) || (query.edns && query.edns->dnssec_ok)) flags |= said & Flags::kAuthentic;
  return flags;
}

}  // namespace

std::optional<WireName> Resource::target() const {
  const auto offset = name_offset(type);
  if (!offset || data.size() < *offset) return std::nullopt;
  const auto name = NameView::parse(std::span(data).subspan(*offset));
  return name ? std::optional<WireName>(*name) : std::nullopt;
}

void Resource::set_target(NameView name) {
  const auto offset = name_offset(type);
  if (!offset || data.size() < *offset) return;
  data.resize(*offset);
  append(data, name.bytes());
}

std::optional<Message> decode(std::span<const uint8_t> packet) {
  const auto response = parse_response(packet);
  if (!response) return std::nullopt;
  Message message{.rcode = response->rcode(),
                  .authoritative = response->flags.has(Flags::kAuthoritative),
                  .recursion_available = response->flags.has(Flags::kRecursionAvailable),
                  .authentic = response->flags.has(Flags::kAuthentic)};
  Records records(packet);
  for (Record record; records.next(record);) {
    if (record.type == Type::OPT) continue;
    Resource out{.section = record.section, .type = record.type, .cls = record.cls, .ttl = record.ttl};
    if (read_name(packet, record.begin, &out.owner) == 0 || !expand(packet, record, out.data)) return std::nullopt;
    message.records.push_back(std::move(out));
  }
  if (!records.ok()) return std::nullopt;
  return message;
}

size_t encode(const Message& message, const Query& query, std::span<uint8_t> room, size_t limit) {
  Writer writer(room, std::min(limit, room.size()));
  writer.reply(query, message.rcode, message.authoritative);
  uint16_t flags = message.recursion_available ? Flags::kRecursionAvailable : 0;
  if (message.authentic && (query.flags.has(Flags::kAuthentic) || (query.edns && query.edns->dnssec_ok)))
    flags |= Flags::kAuthentic;
  writer.set_flags(flags);
  for (const Section section : {Section::Answer, Section::Authority, Section::Additional}) {
    writer.section(section);
    for (const Resource& record : message.records) {
      if (record.section != section) continue;
      const auto offset = name_offset(record.type);
      if (offset == 0 && record.type != Type::DNAME) {
        if (const auto name = record.target(); name && !writer.name(record.owner, record.type, record.ttl, *name))
          break;
      } else if (!writer.raw(record.owner, record.type, record.ttl, record.data)) {
        break;
      }
    }
  }
  return writer.finish().size();
}

size_t answer_with(std::span<const uint8_t> response, const Query& query, uint32_t age, uint32_t most_ttl,
                   std::span<uint8_t> room, size_t limit) {
  size_t size = response.size();
  std::memcpy(room.data(), response.data(), size);
  const auto out = room.first(size);
  write16(out, 0, query.id);
  write16(out, 2, client_flags(read16(response, 2), query));
  std::memcpy(room.data() + kHeaderSize, query.question_octets.data(), query.question_octets.size());
  Records records(out);
  for (Record record; records.next(record);) {
    const uint32_t left = record.ttl > age ? record.ttl - age : 0;
    write32(room, record.ttl_at, std::min(left, most_ttl));
  }
  if (query.edns) {
    constexpr size_t kOpt = 11;
    if (size + kOpt > room.size()) size = cut(room.first(size), room.size() - kOpt);
    auto opt = room.subspan(size, kOpt);
    opt[0] = 0;
    write16(opt, 1, static_cast<uint16_t>(Type::OPT));
    write16(opt, 3, kUdpMost);
    write32(opt, 5, query.edns->dnssec_ok ? 0x8000 : 0);
    write16(opt, 9, 0);
    size += kOpt;
    write16(room, 10, static_cast<uint16_t>(read16(room, 10) + 1));
  }
  return size <= limit ? size : cut(room.first(size), limit);
}

size_t empty_reply(const Query& query, Rcode rcode, std::span<uint8_t> room, bool authoritative) {
  Writer writer(room, room.size());
  writer.reply(query, rcode, authoritative);
  return writer.finish().size();
}

std::optional<Bytes> without_opt(std::span<const uint8_t> packet) {
  const auto response = parse_response(packet);
  if (!response) return std::nullopt;
  if (!response->edns) return Bytes(packet.begin(), packet.end());
  Records records(packet);
  for (Record record; records.next(record);) {
    if (record.type != Type::OPT) continue;
    if (record.end() == packet.size()) {  // where nearly everybody puts it
      Bytes out(packet.begin(), packet.begin() + record.begin);
      write16(out, 10, static_cast<uint16_t>(read16(out, 10) - 1));
      return out;
    }
    // Pointers behind it would lead astray: written anew.
    const auto message = decode(packet);
    if (!message) return std::nullopt;
    Query query;
    query.id = response->id;
    query.flags = response->flags;
    query.flags.bits |= Flags::kAuthentic;
    query.question = {.name = response->name, .type = response->type, .cls = response->cls};
    query.question_octets = packet.subspan(kHeaderSize, response->question_end - kHeaderSize);
    Bytes out(kMostMessage);
    out.resize(encode(*message, query, out, out.size()));
    return out;
  }
  return std::nullopt;
}

}  // namespace causeway::dns
