#include "dns/wire.h"

namespace causeway::dns {

std::string to_string(Type type) {
  switch (type) {
    case Type::A: return "A";
    case Type::NS: return "NS";
    case Type::CNAME: return "CNAME";
    case Type::SOA: return "SOA";
    case Type::PTR: return "PTR";
    case Type::MX: return "MX";
    case Type::TXT: return "TXT";
    case Type::AAAA: return "AAAA";
    case Type::SRV: return "SRV";
    case Type::NAPTR: return "NAPTR";
    case Type::DNAME: return "DNAME";
    case Type::OPT: return "OPT";
    case Type::DS: return "DS";
    case Type::RRSIG: return "RRSIG";
    case Type::SVCB: return "SVCB";
    case Type::HTTPS: return "HTTPS";
    case Type::IXFR: return "IXFR";
    case Type::AXFR: return "AXFR";
    case Type::ANY: return "ANY";
  }
  return fmt::format("TYPE{}", static_cast<uint16_t>(type));
}

std::string to_string(Rcode rcode) {
  switch (rcode) {
    case Rcode::NoError: return "NOERROR";
    case Rcode::FormErr: return "FORMERR";
    case Rcode::ServFail: return "SERVFAIL";
    case Rcode::NxDomain: return "NXDOMAIN";
    case Rcode::NotImp: return "NOTIMP";
    case Rcode::Refused: return "REFUSED";
    case Rcode::NotAuth: return "NOTAUTH";
    case Rcode::BadVers: return "BADVERS";
  }
  return fmt::format("RCODE{}", static_cast<uint16_t>(rcode));
}

Rcode rcode_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::Answer:
    case Verdict::Ignore: return Rcode::NoError;
    case Verdict::FormErr: return Rcode::FormErr;
    case Verdict::NotImp: return Rcode::NotImp;
    case Verdict::BadVers: return Rcode::BadVers;
    case Verdict::Refused: return Rcode::Refused;
  }
  return Rcode::ServFail;
}

Records::Records(std::span<const uint8_t> message) : message_(message) {
  ok_ = message.size() >= kHeaderSize && message.size() <= kMostMessage;
  if (!ok_) return;
  at_ = kHeaderSize;
  for (size_t questions = read16(message, 4); questions > 0; --questions) {
    const size_t name = read_name(message, at_, nullptr);
    at_ += name + 4;
    ok_ = name > 0 && at_ <= message.size();
    if (!ok_) return;
  }
  for (size_t i = 0; i < 3; ++i) left_[i] = read16(message, 6 + 2 * i);
}

bool Records::next(Record& record) {
  constexpr size_t kFixed = 10;  // type, class, TTL, size
  if (!ok_) return false;
  size_t section = 0;
  while (section < 3 && left_[section] == 0) ++section;
  if (section == 3) return false;
  --left_[section];
  const size_t name = read_name(message_, at_, nullptr);
  const size_t fixed = at_ + name;
  ok_ = name > 0 && fixed + kFixed <= message_.size();
  if (!ok_) return false;
  record.section = static_cast<Section>(section);
  record.begin = static_cast<uint16_t>(at_);
  record.type = static_cast<Type>(read16(message_, fixed));
  record.cls = static_cast<Class>(read16(message_, fixed + 2));
  record.ttl_at = static_cast<uint16_t>(fixed + 4);
  record.ttl = read32(message_, record.ttl_at);
  if (record.ttl > INT32_MAX && record.type != Type::OPT) record.ttl = 0;
  record.data_at = static_cast<uint16_t>(fixed + kFixed);
  record.data_size = read16(message_, fixed + 8);
  ok_ = record.end() <= message_.size();
  at_ = record.end();
  return ok_;
}

namespace {

// An OPT record (RFC 6891): its owner is the root, its options fill the data.
bool read_edns(std::span<const uint8_t> message, const Record& record, Edns& edns) {
  if (record.section != Section::Additional || message[record.begin] != 0) return false;
  edns.payload = static_cast<uint16_t>(record.cls);
  edns.extended_rcode = static_cast<uint8_t>(record.ttl >> 24);
  edns.version = static_cast<uint8_t>(record.ttl >> 16);
  edns.dnssec_ok = record.ttl & 0x8000;
  edns.options = message.subspan(record.data_at, record.data_size);
  size_t at = 0;
  while (at < edns.options.size()) {
    if (at + 4 > edns.options.size()) return false;
    at += 4u + read16(edns.options, at + 2);
  }
  return at == edns.options.size();
}

// `count` names, then `rest` octets, fill the data from `skip` on.
bool names_fill(std::span<const uint8_t> message, const Record& record, size_t skip, int count, size_t rest) {
  size_t at = record.data_at + skip;
  for (; count > 0; --count) {
    const size_t taken = at < record.end() ? read_name(message.first(record.end()), at, nullptr) : 0;
    if (!taken) return false;
    at += taken;
  }
  return at + rest == record.end();
}

bool data_is_sound(std::span<const uint8_t> message, const Record& record) {
  // NOLINTNEXTLINE(clang-diagnostic-switch-enum)
  if (record.cls != Class::In) return true;
  if (record.type == Type::A) return record.data_size == 4;
  if (record.type == Type::AAAA) return record.data_size == 16;
  if (record.type == Type::NS || record.type == Type::CNAME || record.type == Type::PTR || record.type == Type::DNAME)
    return names_fill(message, record, 0, 1, 0);
  if (record.type == Type::MX) return names_fill(message, record, 2, 1, 0);
  if (record.type == Type::SRV) return names_fill(message, record, 6, 1, 0);
  if (record.type == Type::SOA) return names_fill(message, record, 0, 2, 20);
  return true;
}

}  // namespace

Verdict parse_query(std::span<const uint8_t> packet, Query& query) {
  if (packet.size() < kHeaderSize) return Verdict::Ignore;
  query.id = read16(packet, 0);
  query.flags.bits = read16(packet, 2);
  query.question = {};
  query.question_octets = {};
  query.edns.reset();
  if (query.flags.has(Flags::kResponse)) return Verdict::Ignore;
  if (query.flags.opcode() != Opcode::Query) return Verdict::NotImp;
  if (packet.size() > kMostMessage || read16(packet, 4) != 1) return Verdict::FormErr;
  // Nothing stands before the question's name that a pointer could lead to.
  const auto name = NameView::parse(packet.subspan(kHeaderSize));
  if (!name || packet.size() < kHeaderSize + name->size() + 4) return Verdict::FormErr;
  const size_t behind = kHeaderSize + name->size();
  query.question = {*name, static_cast<Type>(read16(packet, behind)), static_cast<Class>(read16(packet, behind + 2))};
  query.question_octets = packet.subspan(kHeaderSize, name->size() + 4);
  if (read32(packet, 6) != 0 || read16(packet, 10) != 0) {
    Records records(packet);
    Record record;
    while (records.next(record)) {
      if (record.type != Type::OPT) continue;
      Edns edns;
      if (query.edns || !read_edns(packet, record, edns)) {
        query.edns.reset();
        return Verdict::FormErr;
      }
      query.edns = edns;
    }
    if (!records.ok() || records.at() != packet.size()) {
      query.edns.reset();
      return Verdict::FormErr;
    }
  } else if (packet.size() != behind + 4) {
    return Verdict::FormErr;
  }
  if (query.question.type == Type::OPT) return Verdict::FormErr;
  if (query.edns && query.edns->version > 0) return Verdict::BadVers;
  if (query.question.cls != Class::In && query.question.cls != Class::Any) return Verdict::Refused;
  return Verdict::Answer;
}

std::optional<Response> parse_response(std::span<const uint8_t> packet) {
  if (packet.size() < kHeaderSize || packet.size() > kMostMessage || read16(packet, 4) != 1) return std::nullopt;
  Response out;
  out.id = read16(packet, 0);
  out.flags.bits = read16(packet, 2);
  if (!out.flags.has(Flags::kResponse)) return std::nullopt;
  const size_t name = read_name(packet, kHeaderSize, &out.name);
  if (!name || kHeaderSize + name + 4 > packet.size()) return std::nullopt;
  out.type = static_cast<Type>(read16(packet, kHeaderSize + name));
  out.cls = static_cast<Class>(read16(packet, kHeaderSize + name + 2));
  out.question_end = kHeaderSize + name + 4;
  out.answers = read16(packet, 6);
  out.authorities = read16(packet, 8);
  out.additionals = read16(packet, 10);
  Records records(packet);
  Record record;
  while (records.next(record)) {
    if (record.type == Type::OPT) {
      Edns edns;
      if (out.edns || !read_edns(packet, record, edns)) return std::nullopt;
      out.edns = edns;
    } else if (!data_is_sound(packet, record)) {
      return std::nullopt;
    }
  }
  if (!records.ok() || records.at() != packet.size()) return std::nullopt;
  return out;
}

size_t reply_limit(const Query& query, bool tcp, size_t most) {
  if (tcp) return kMostMessage;
  if (!query.edns) return kUdpPlain;
  return std::clamp<size_t>(query.edns->payload, kUdpPlain, std::max(most, kUdpPlain));
}

size_t cut(std::span<uint8_t> message, size_t limit) {
  if (message.size() <= limit) return message.size();
  Records records(message);
  const size_t question_end = records.at();
  size_t keep = question_end, opt = 0, opt_size = 0;
  Record record;
  bool whole = true;
  while (records.next(record)) {
    if (record.type != Type::OPT) continue;
    whole = whole && !opt && record.section == Section::Additional && message[record.begin] == 0;
    opt = record.begin;
    opt_size = record.end() - record.begin;
  }
  whole = whole && records.ok() && records.at() == message.size();
  if (!whole || question_end + opt_size > limit) {
    write16(message, 2, read16(message, 2) | Flags::kTruncated);
    for (size_t at = 4; at < kHeaderSize; at += 2) write16(message, at, 0);
    return kHeaderSize;
  }
  std::array<uint16_t, 3> counts{};
  bool lost = false;
  Records again{std::span<const uint8_t>(message)};
  while (!lost && again.next(record)) {
    if (record.type == Type::OPT) {
      keep = record.end();  // counted below
      opt_size = 0;
      ++counts[2];
      continue;
    }
    if (record.end() + opt_size > limit) {
      lost = true;
      if (record.section != Section::Additional) write16(message, 2, read16(message, 2) | Flags::kTruncated);
    } else {
      keep = record.end();
      ++counts[static_cast<size_t>(record.section)];
    }
  }
  if (opt_size) {  // it is behind what was lost; its name is the root, so it may be moved
    std::memmove(&message[keep], &message[opt], opt_size);
    keep += opt_size;
    ++counts[2];
  }
  for (size_t i = 0; i < 3; ++i) write16(message, 6 + 2 * i, counts[i]);
  return keep;
}

}  // namespace causeway::dns
