// deps: dns
// A DNS packet from anybody: a question is answered within the client's limit by a message that is well-formed; what
// is believed of an upstream can be read again, cut and printed.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "dns/wire_text.h"

using namespace causeway::dns;

namespace {

void check(bool holds, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "line %d\n", line);
  std::abort();
}

void answer(const Query& query, Verdict verdict) {
  std::array<uint8_t, 4096> room;
  const size_t limit = reply_limit(query, false, 4096);
  Writer writer(room, limit);
  writer.reply(query, rcode_of(verdict), true);
  const bool asked = !query.question_octets.empty();
  if (asked && verdict == Verdict::Answer) {
    const NameView name = query.question.name;
    writer.name(name, Type::CNAME, 5, name.parent());
    std::array<uint8_t, 400> addresses{};
    writer.addresses_of_question(addresses, 4, 5, name.size());
    writer.srv(name.parent(), 5, 0, 1, 2, name);
    writer.section(Section::Additional);
    writer.txt(name, 5, name.first());
  }
  const auto reply = writer.finish();
  check(reply.size() <= limit);
  if (!asked) return;
  const auto parsed = parse_response(reply);
  check(parsed && parsed->name == query.question.name && parsed->edns.has_value() == query.edns.has_value());
  check(parsed->rcode() == rcode_of(verdict));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> packet(data, size);
  Query query;
  const Verdict verdict = parse_query(packet, query);
  if (verdict != Verdict::Ignore) answer(query, verdict);
  (void)to_text(packet);
  if (const auto response = parse_response(packet)) {
    Records records(packet);
    Record record;
    size_t count = 0;
    while (records.next(record)) {
      WireName owner;
      check(read_name(packet, record.begin, &owner) > 0);
      const auto again = WireName::parse(to_string(owner));
      check(again && *again == owner);
      ++count;
    }
    check(records.ok() && count == size_t{response->answers} + response->authorities + response->additionals);
    check(!to_text(packet).ends_with("\nmalformed\n"));
  }
  for (const size_t limit : {size_t{12}, size_t{40}, size / 2, size_t{512}}) {
    if (size < kHeaderSize || limit < kHeaderSize) continue;
    std::vector<uint8_t> copy(packet.begin(), packet.end());
    copy.resize(cut(copy, limit));
    check(copy.size() <= limit || size <= limit);
    if (parse_response(packet) && copy.size() > kHeaderSize) check(parse_response(copy).has_value());
  }
  return 0;
}
