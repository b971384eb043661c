// A DNS message as values that can be changed: for what rewrites answers or makes new ones (rewrite, dns64, template,
// hosts, aliases). Answers that pass unchanged stay in wire form and never come here.
#pragma once

#include <vector>

#include "dns/wire.h"

namespace causeway::dns {

using Bytes = std::vector<uint8_t>;

struct Resource {
  Section section = Section::Answer;
  WireName owner;
  Type type = Type::A;
  Class cls = Class::In;
  uint32_t ttl = 0;
  Bytes data;  // names in it are not compressed

  // The name in the data of NS, CNAME, PTR, DNAME, MX and SRV.
  std::optional<WireName> target() const;
  void set_target(NameView name);
};

struct Message {
  Rcode rcode = Rcode::NoError;
  bool authoritative = false, recursion_available = false, authentic = false;
  std::vector<Resource> records;  // by section; no OPT
};

// Of a message that parse_response() takes; nullopt where it does not.
std::optional<Message> decode(std::span<const uint8_t> packet);
// The reply to `query`, cut at `limit` (TC). Returns what it takes of `room`.
size_t encode(const Message& message, const Query& query, std::span<uint8_t> room, size_t limit);

// The answer to `query` out of a response in wire form without OPT: id, flags, the question's letters and an OPT are
// the client's, the TTLs are `age` seconds lower, at most `most_ttl`. Returns what it takes of `room`, which has 11
// octets more than `response` or the whole is cut to leave an OPT its place; above `limit` it is cut (TC).
size_t answer_with(std::span<const uint8_t> response, const Query& query, uint32_t age, uint32_t most_ttl,
                   std::span<uint8_t> room, size_t limit);
// The reply without a record. `authoritative`: AA.
size_t empty_reply(const Query& query, Rcode rcode, std::span<uint8_t> room, bool authoritative = false);
// The message without its OPT; nullopt: it is malformed.
std::optional<Bytes> without_opt(std::span<const uint8_t> packet);

}  // namespace causeway::dns
