#include "dns/wire_text.h"

namespace causeway::dns {

namespace {

std::string name_at(std::span<const uint8_t> message, size_t& at) {
  WireName name;
  const size_t taken = read_name(message, at, &name);
  at += taken;
  return taken ? to_string(name) : "?";
}

std::string quoted(std::span<const uint8_t> message, const Record& record) {
  std::string out;
  for (size_t at = record.data_at; at < record.end();) {
    const size_t size = message[at++];
    if (at + size > record.end()) return out + "?";
    out += out.empty() ? "\"" : " \"";
    for (size_t i = 0; i < size; ++i) {
      const uint8_t octet = message[at + i];
      out += octet >= ' ' && octet < 0x7f ? std::string(1, static_cast<char>(octet)) : fmt::format("\\{:03}", octet);
    }
    out += '"';
    at += size;
  }
  return out;
}

std::string data(std::span<const uint8_t> message, const Record& record) {
  size_t at = record.data_at;
  const auto octets = message.subspan(record.data_at, record.data_size);
  const auto number = [&] { return at += 2, read16(message, at - 2); };
  if (record.type == Type::A && octets.size() == 4) return to_string(Ip::v4(std::span<const uint8_t, 4>(octets)));
  if (record.type == Type::AAAA && octets.size() == 16) return to_string(Ip::v6(std::span<const uint8_t, 16>(octets)));
  if (record.type == Type::CNAME || record.type == Type::NS || record.type == Type::PTR || record.type == Type::DNAME)
    return name_at(message, at);
  if (record.type == Type::TXT) return quoted(message, record);
  if (record.type == Type::MX && octets.size() > 2) {
    const auto preference = number();
    return fmt::format("{} {}", preference, name_at(message, at));
  }
  if (record.type == Type::SRV && octets.size() > 6) {
    const auto priority = number(), weight = number(), port = number();
    return fmt::format("{} {} {} {}", priority, weight, port, name_at(message, at));
  }
  if (record.type == Type::SOA) {
    std::string out = name_at(message, at);
    out += " " + name_at(message, at);
    for (int i = 0; i < 5 && at + 4 <= record.end(); ++i, at += 4) out += fmt::format(" {}", read32(message, at));
    return out;
  }
  std::string out = fmt::format("\\# {}", octets.size());  // RFC 3597 section 5
  for (size_t i = 0; i < octets.size(); ++i) out += fmt::format("{}{:02x}", i ? "" : " ", octets[i]);
  return out;
}

}  // namespace

std::string to_text(std::span<const uint8_t> message) {
  if (message.size() < kHeaderSize) return "malformed\n";
  const Flags flags{read16(message, 2)};
  std::string out, records_text;
  uint16_t rcode = flags.rcode();
  size_t at = kHeaderSize;
  for (size_t questions = read16(message, 4); questions > 0 && at < message.size(); --questions) {
    const std::string name = name_at(message, at);
    if (at + 4 > message.size()) break;
    records_text += fmt::format("? {} {}\n", name, static_cast<Type>(read16(message, at)));
    at += 4;
  }
  Records records(message);
  Record record;
  while (records.next(record)) {
    if (record.section == Section::Authority) records_text += "authority: ";
    if (record.section == Section::Additional) records_text += "additional: ";
    if (record.type == Type::OPT) {
      rcode = static_cast<uint16_t>(rcode | record.ttl >> 24 << 4);
      records_text += fmt::format("OPT {}{}\n", static_cast<uint16_t>(record.cls), record.ttl & 0x8000 ? " do" : "");
      continue;
    }
    size_t owner = record.begin;
    const std::string name = name_at(message, owner);
    records_text += fmt::format("{} {} {} {}\n", name, record.ttl, record.type, data(message, record));
  }
  if (!records.ok() || records.at() != message.size()) records_text += "malformed\n";
  out = to_string(static_cast<Rcode>(rcode));
  for (const auto& [bit, text] : {std::pair(Flags::kResponse, " qr"),
                                  {Flags::kAuthoritative, " aa"},
                                  {Flags::kTruncated, " tc"},
                                  {Flags::kRecursionDesired, " rd"},
                                  {Flags::kRecursionAvailable, " ra"},
                                  {Flags::kAuthentic, " ad"},
                                  {Flags::kCheckingDisabled, " cd"}})
    if (flags.has(bit)) out += text;
  return out + "\n" + records_text;
}

}  // namespace causeway::dns
