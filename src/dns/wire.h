// DNS messages (RFC 1035, RFC 6891): parsed strictly where they lie, written into room that the caller has. Nothing
// here allocates. Numbers are in host order unless a comment says otherwise.
#pragma once

#include "base/ip.h"
#include "dns/name.h"

namespace causeway::dns {

enum class Type : uint16_t {
  A = 1,
  NS = 2,
  CNAME = 5,
  SOA = 6,
  PTR = 12,
  MX = 15,
  TXT = 16,
  AAAA = 28,
  SRV = 33,
  NAPTR = 35,
  DNAME = 39,
  OPT = 41,
  DS = 43,
  RRSIG = 46,
  SVCB = 64,
  HTTPS = 65,
  IXFR = 251,
  AXFR = 252,
  ANY = 255
};
std::string to_string(Type type);  // "AAAA", "TYPE4711" (RFC 3597)
enum class Class : uint16_t { In = 1, Chaos = 3, None = 254, Any = 255 };
enum class Opcode : uint8_t { Query = 0, Status = 2, Notify = 4, Update = 5 };
enum class Rcode : uint16_t {
  NoError = 0,
  FormErr = 1,
  ServFail = 2,
  NxDomain = 3,
  NotImp = 4,
  Refused = 5,
  NotAuth = 9,
  BadVers = 16
};
std::string to_string(Rcode rcode);  // "NXDOMAIN", as dig prints it

inline constexpr size_t kHeaderSize = 12;
inline constexpr size_t kMostMessage = 65535;
inline constexpr size_t kUdpPlain = 512;              // without EDNS (RFC 1035 section 4.2.1)
inline constexpr size_t kUdpMost = 1232;              // with EDNS, unless told otherwise (DNS flag day 2020)
inline constexpr uint16_t kOwnerIsQuestion = 0xC00C;  // a pointer to the question's name

// The second 16 bits of the header.
struct Flags {
  static constexpr uint16_t kResponse = 0x8000, kAuthoritative = 0x0400, kTruncated = 0x0200,
                            kRecursionDesired = 0x0100, kRecursionAvailable = 0x0080, kAuthentic = 0x0020,
                            kCheckingDisabled = 0x0010;
  uint16_t bits = 0;
  bool has(uint16_t flag) const { return bits & flag; }
  Opcode opcode() const { return static_cast<Opcode>(bits >> 11 & 0xF); }
  uint8_t rcode() const { return bits & 0xF; }  // the low four bits; OPT has the rest
};

// The OPT record (RFC 6891 section 6.1).
struct Edns {
  uint16_t payload = 0;  // octets that the sender takes over UDP, as it says (may be below 512)
  uint8_t version = 0;
  uint8_t extended_rcode = 0;  // the rcode's bits above the lowest four
  bool dnssec_ok = false;
  std::span<const uint8_t> options;  // code, length, octets; each within bounds
};

struct Question {
  NameView name;  // inside the message
  Type type = Type::A;
  Class cls = Class::In;
};

// What somebody asks. Borrows the packet.
struct Query {
  uint16_t id = 0;
  Flags flags;
  Question question;
  std::span<const uint8_t> question_octets;  // name, type, class as they came: the reply echoes them
  std::optional<Edns> edns;
};

// What is to be done with a packet from a client.
enum class Verdict : uint8_t {
  Answer,   // a QUERY with one question, class IN or ANY
  Ignore,   // too short for a header, or itself a response: silence, lest two servers answer each other for ever
  FormErr,  // malformed; no or several questions (RFC 9619); several OPT records
  NotImp,   // another opcode
  BadVers,  // EDNS version above 0 (RFC 6891 section 6.1.3)
  Refused,  // another class
};
// Fills `query` as far as it got: id and flags unless Ignore; question_octets may be empty with FormErr and NotImp.
Verdict parse_query(std::span<const uint8_t> packet, Query& query);
// The rcode that a Verdict asks for; NoError of Answer and Ignore.
Rcode rcode_of(Verdict verdict);

enum class Section : uint8_t { Answer, Authority, Additional };

// A record of a message. `owner`, too, is read anew, as it may be compressed: read_name(message, owner_at, &name).
struct Record {
  Section section = Section::Answer;
  Type type = Type::A;
  Class cls = Class::In;
  uint32_t ttl = 0;      // seconds; above 2^31 - 1 it is 0 (RFC 2181 section 8). Of OPT: its flags
  uint16_t begin = 0;    // offsets into the message: of the owner's name,
  uint16_t ttl_at = 0;   // of the four octets of the TTL,
  uint16_t data_at = 0;  // of the data
  uint16_t data_size = 0;
  size_t end() const { return size_t{data_at} + data_size; }
};

// Walks the records of a message that parse_response() found well-formed.
class Records {
 public:
  explicit Records(std::span<const uint8_t> message);
  // False: there is none left, or it is malformed (`ok()` tells).
  bool next(Record& record);
  bool ok() const { return ok_; }
  size_t at() const { return at_; }  // where the next one begins

 private:
  std::span<const uint8_t> message_;
  size_t at_ = 0;
  uint16_t left_[3] = {};
  bool ok_ = true;
};

// What an upstream said. Borrows the packet.
struct Response {
  uint16_t id = 0;
  Flags flags;
  WireName name;  // of the question
  Type type = Type::A;
  Class cls = Class::In;
  size_t question_end = kHeaderSize;  // offset of the first record
  uint16_t answers = 0, authorities = 0, additionals = 0;
  std::optional<Edns> edns;
  Rcode rcode() const { return static_cast<Rcode>(flags.rcode() | (edns ? edns->extended_rcode << 4 : 0)); }
};
// Whole and strict: one question, every record and every compressed name in the data of NS, CNAME, SOA, PTR, MX, SRV
// and DNAME within bounds, no octets behind the last record, one OPT at most, in the additional section.
// nullopt: it is not to be believed.
std::optional<Response> parse_response(std::span<const uint8_t> packet);

// How many octets a reply may have. `most`: what this server sends over UDP at most (Corefile: bufsize).
size_t reply_limit(const Query& query, bool tcp, size_t most = kUdpMost);

// Writes a message into `room`, compressing names (RFC 1035 section 4.1.4; never in SRV data, RFC 2782). A record that
// does not fit under the limit is left out, sets TC and ends the message for records of the answer and authority
// sections; one of the additional section is left out silently (RFC 2181 section 9).
class Writer {
 public:
  // `limit`: octets of the finished message, room.size() at most; kUdpPlain at least, so that any question and an OPT
  // fit.
  Writer(std::span<uint8_t> room, size_t limit);

  // The reply to `query`: its id, opcode, RD and CD, QR set, its question echoed octet for octet. With `query.edns`
  // room for an OPT of ours is kept, which finish() writes.
  void reply(const Query& query, Rcode rcode, bool authoritative);
  // A question of our own: id, RD set. `payload` above 0: with an OPT that says so.
  void ask(uint16_t id, NameView name, Type type, uint16_t payload, bool checking_disabled = false);

  // Sections in their order only: answer, authority, additional.
  void section(Section section) { section_ = section; }
  // Each: false where it does not fit (nothing of it is written then).
  bool address(NameView owner, uint32_t ttl, const Ip& ip);
  bool name(NameView owner, Type type, uint32_t ttl, NameView target);  // CNAME, NS, PTR
  bool srv(NameView owner, uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port, NameView target);
  bool txt(NameView owner, uint32_t ttl, std::string_view text);  // up to 255 octets
  struct Soa {
    NameView primary, mailbox;
    uint32_t serial = 0, refresh = 7200, retry = 1800, expire = 86400, minimum = 5;
  };
  bool soa(NameView owner, uint32_t ttl, const Soa& soa);
  // The same for what every miss is answered with, at once: of the zone at `zone_at` of the message, whose primary is
  // ns.dns and whose mailbox is hostmaster below it.
  bool soa_of_question(size_t zone_at, uint32_t ttl, uint32_t serial);
  // `data` as it is: it holds no name that is compressed.
  bool raw(NameView owner, Type type, uint32_t ttl, std::span<const uint8_t> data);
  // The addresses as records whose owner is the question's name: 16 or 28 octets each. `first`: which of them comes
  // first (the others follow round about). `addresses`: of `each` (4 or 16) octets, in network order.
  bool addresses_of_question(std::span<const uint8_t> addresses, size_t each, uint32_t ttl, size_t first);

  void rcode(Rcode rcode) { rcode_ = static_cast<uint16_t>(rcode); }
  void set_flags(uint16_t flags) { flags_.bits |= flags; }
  void clear_flags(uint16_t flags) { flags_.bits &= static_cast<uint16_t>(~flags); }
  bool truncated() const { return truncated_; }
  size_t size() const { return at_; }
  size_t left() const { return limit_ - at_; }
  // Writes counts and OPT. The message lies at the beginning of the room.
  std::span<const uint8_t> finish();

 private:
  struct Mark {
    size_t at;
    uint8_t suffixes;
  };
  void u8(uint8_t value);
  void u16(uint16_t value);
  void u32(uint32_t value);
  void octets(std::span<const uint8_t> bytes);
  void put(NameView name, bool compress);
  // Where this suffix was written before; 0: nowhere.
  uint16_t find(NameView suffix) const;
  bool begin(NameView owner, Type type, uint32_t ttl);
  bool end();

  static constexpr size_t kOptSize = 11;
  std::span<uint8_t> room_;
  size_t limit_ = 0, at_ = 0;
  Mark mark_{};
  size_t data_size_at_ = 0;
  std::array<uint16_t, 3> counts_{};
  std::array<uint16_t, 48> suffixes_;  // offsets of names, and of what follows their first labels
  uint8_t suffix_count_ = 0;
  Section section_ = Section::Answer;
  Flags flags_;
  uint16_t rcode_ = 0;
  uint16_t payload_ = 0;  // our OPT's
  bool asked_ = false, opt_ = false, dnssec_ok_ = false, overflow_ = false, truncated_ = false;
};

// Cuts a whole message that lies in `message` to `limit` octets at the end of a record, keeping its OPT and setting TC
// if a record of the answer or authority section had to go. Returns its octets now; a message that is not well-formed
// becomes its header with TC and no record.
size_t cut(std::span<uint8_t> message, size_t limit);

inline uint16_t read16(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
inline uint32_t read32(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<uint32_t>(read16(bytes, at)) << 16 | read16(bytes, at + 2);
}
inline void write16(std::span<uint8_t> bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}
inline void write32(std::span<uint8_t> bytes, size_t at, uint32_t value) {
  write16(bytes, at, static_cast<uint16_t>(value >> 16));
  write16(bytes, at + 2, static_cast<uint16_t>(value));
}

}  // namespace causeway::dns
