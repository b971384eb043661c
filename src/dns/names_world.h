// For tests: what the cluster has, said in a few words, and questions about it.
#pragma once

#include <stdexcept>

#include "dns/answer.h"
#include "dns/wire_text.h"

namespace causeway::dns {

// A test that asks for what cannot be, or gets what must not be, ends here.
inline void demand(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error(what);
}

struct World {
  Tables tables;
  View view{.reverse_zones = {WireName::parse("in-addr.arpa").value(), WireName::parse("ip6.arpa").value()}};
  Tables::Reader reader{tables.epochs()};
  Answer last;  // of the last question

  World() {
    view.clusterset_zones = {WireName::parse("clusterset.local").value()};
    reader.quiet();
    tables.set_complete();
  }
  World& put(const Facts& facts) {
    const std::string block = encode(facts);
    const auto entry = Entry::parse({reinterpret_cast<const uint8_t*>(block.data()), block.size()});
    demand(entry.has_value(), to_string(facts.key));
    tables.put(*entry);
    tables.commit(0);
    reader.quiet();
    return *this;
  }
  World& ns(std::string_view name, std::vector<std::pair<std::string, std::string>> labels = {}) {
    return put({.key = {Kind::Namespace, "", name}, .labels = std::move(labels)});
  }
  World& gone(const Key& key) {
    const std::string octets = encode_key(key);
    tables.erase(key.kind, {reinterpret_cast<const uint8_t*>(octets.data()), octets.size()});
    tables.commit(0);
    reader.quiet();
    return *this;
  }

  // The reply as it goes out. `payload`: of EDNS; 0: none.
  std::vector<uint8_t> ask_octets(std::string_view name, Type type, bool tcp = false, uint16_t payload = 0) {
    std::array<uint8_t, 600> question;
    Writer asker(question, question.size());
    asker.ask(0x1234, WireName::parse(name).value(), type, payload);
    const auto packet = asker.finish();
    Query query;
    demand(parse_query(packet, query) == Verdict::Answer, "the question is malformed");
    std::vector<uint8_t> room(kMostMessage);
    Writer writer(room, reply_limit(query, tcp));
    last = answer(tables, view, query, writer, rotation);
    if (last.outcome == Outcome::NotOurs || last.outcome == Outcome::FallsThrough) return {};
    const auto reply = writer.finish();
    const auto echoed = reply.subspan(kHeaderSize, query.question_octets.size());
    demand(std::ranges::equal(echoed, query.question_octets), "the question is not echoed");
    demand(parse_response(reply).has_value(), "the reply is malformed");
    return {reply.begin(), reply.end()};
  }
  // Without the line of the question: "NOERROR aa\nweb.default.… 5 A 10.96.0.1\n"; else the outcome.
  std::string ask(std::string_view name, Type type = Type::A, bool tcp = false, uint16_t payload = 0) {
    const auto reply = ask_octets(name, type, tcp, payload);
    if (reply.empty()) return std::string(to_string(last.outcome));
    std::string text = to_text(reply);
    const size_t line = text.find("? ");
    text.erase(line, text.find('\n', line) + 1 - line);
    text.replace(text.find(" qr"), 3, "");
    text.replace(text.find(" rd"), 3, "");
    return text;
  }
  // In one word: "NOERROR", "NODATA", "NXDOMAIN", "SERVFAIL", or what became of it.
  std::string verdict(std::string_view name, Type type = Type::A) {
    const auto reply = ask_octets(name, type);
    if (reply.empty()) return std::string(to_string(last.outcome));
    const auto parsed = parse_response(reply);
    if (!parsed) return "malformed";
    if (parsed->rcode() == Rcode::NoError && parsed->answers == 0) return "NODATA";
    return to_string(parsed->rcode());
  }
  // The data of all answers, in their order: "10.1.0.5 10.1.0.6".
  std::string data(std::string_view name, Type type = Type::A, bool tcp = true) {
    const auto reply = ask_octets(name, type, tcp);
    std::string out;
    std::string text = to_text(reply);
    for (size_t at = text.find('\n') + 1; at < text.size(); at = text.find('\n', at) + 1) {
      const std::string_view line = std::string_view(text).substr(at, text.find('\n', at) - at);
      if (line.starts_with("?") || line.starts_with("additional: ") || line.starts_with("authority: ")) continue;
      const std::string mark = fmt::format(" {} ", type);
      const size_t begin = line.find(mark);
      if (begin != line.npos) (out += out.empty() ? "" : "  ") += line.substr(begin + mark.size());
    }
    return out;
  }
  uint32_t rotation = 0;
};

inline Ip ip(std::string_view text) { return Ip::parse(text).value(); }
inline constexpr auto kTcp = cluster::Protocol::Tcp;
inline constexpr auto kUdp = cluster::Protocol::Udp;
inline constexpr auto kSctp = cluster::Protocol::Sctp;

}  // namespace causeway::dns
