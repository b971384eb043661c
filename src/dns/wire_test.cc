#include "dns/wire.h"

#include <doctest/doctest.h>

#include "dns/wire_text.h"

using namespace causeway;
using namespace causeway::dns;

namespace {

using Bytes = std::vector<uint8_t>;
using namespace std::literals;

WireName name(std::string_view text) { return WireName::parse(text).value(); }

// Header, then what follows; counts of questions, answers, authorities, additionals.
Bytes message(uint16_t flags, std::array<uint16_t, 4> counts, std::string_view rest) {
  Bytes out(kHeaderSize);
  write16(out, 0, 0x1234);
  write16(out, 2, flags);
  for (size_t i = 0; i < 4; ++i) write16(out, 4 + 2 * i, counts[i]);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}
constexpr auto kQuestion = "\3WeB\7default\0\0\1\0\1"sv;
constexpr auto kOpt = "\0\0\x29\x04\xd0\0\0\0\0\0\0"sv;
std::string both(std::string_view a, std::string_view b) { return std::string(a) += b; }

Verdict judged(const Bytes& packet) {
  Query query;
  return parse_query(packet, query);
}

}  // namespace

TEST_CASE("names parse from text, print, and keep odd octets apart from dots") {
  CHECK(to_string(name("web.default.svc.cluster.local")) == "web.default.svc.cluster.local.");
  CHECK(to_string(name(".")) == ".");
  CHECK(to_string(name("a\\.b.c\\032d.")) == "a\\.b.c\\032d.");
  CHECK(name("a\\.b.").view().labels() == 1);
  CHECK(!(name("a\\.b.") == name("a.b.")));
  const std::string long_label(64, 'x');
  for (const std::string& bad : {""s, ".."s, "a..b"s, ".a"s, "a\\25"s, "a\\256"s, "a\\"s, long_label}) {
    CAPTURE(bad);
    CHECK(!WireName::parse(bad));
  }
  std::string most;
  for (int i = 0; i < 127; ++i) most += "a.";
  CHECK(WireName::parse(most)->size() == kMostName);
  CHECK(WireName::parse(most + "a").error().message().ends_with("above 255 octets"));
}

TEST_CASE("names compare and hash without case, and only letters have one") {
  CHECK(name("WEB.Default.") == name("web.dEFAULT."));
  CHECK(hash(name("WEB.Default.Svc.")) == hash(name("web.dEFAULT.svc.")));
  CHECK(hash(name("web.")) != hash(name("wec.")));
  CHECK(hash(name("web."), 1) != hash(name("web."), 2));
  for (const auto& [a, b] :
       {std::pair("a@a.", "a`a."), {"a[aaaaaaaa.", "a{aaaaaaaa."}, {"\\193aaaaaaaaa.", "\\225aaaaaaaaa."}})
    CHECK(!(name(a) == name(b)));
  for (int octet = 0; octet < 256; ++octet) {  // eight at a time is as one at a time
    const std::array<uint8_t, 9> wire{8, 'q', static_cast<uint8_t>(octet), 'q', 'q', 'q', 'q', 'q', 'q'};
    std::array<uint8_t, 9> lowered{};
    std::transform(wire.begin(), wire.end(), lowered.begin(), dns::lower);
    REQUIRE(hash_letters(wire) == hash_letters(lowered));
    REQUIRE(same_letters(wire, lowered));
  }
}

TEST_CASE("a name is within a zone only at the border of a label") {
  CHECK(name("web.cluster.local.").view().within(name("CLUSTER.local.")));
  CHECK(name("cluster.local.").view().within(name("cluster.local.")));
  CHECK(name("x.").view().within(NameView()));
  CHECK(!name("local.").view().within(name("cluster.local.")));
  CHECK(!name("a.xluster.local.").view().within(name("cluster.local.")));
  // The octets of "\7cluster\5local\0" at the end, but inside a label.
  CHECK(!name("a\\007cluster.local.").view().within(name("cluster.local.")));
}

TEST_CASE("a question is read where it lies") {
  Query query;
  const Bytes packet = message(Flags::kRecursionDesired, {1, 0, 0, 1}, both(kQuestion, kOpt));
  REQUIRE(parse_query(packet, query) == Verdict::Answer);
  CHECK(query.id == 0x1234);
  CHECK(to_string(query.question.name) == "WeB.default.");
  CHECK(query.question.type == Type::A);
  CHECK(query.question.name.data() == &packet[kHeaderSize]);
  REQUIRE(query.edns);
  CHECK(query.edns->payload == 1232);
}

TEST_CASE("what is no question gets the RFC's answer, or silence") {
  CHECK(judged({1, 2, 3}) == Verdict::Ignore);
  CHECK(judged(message(Flags::kResponse, {1, 0, 0, 0}, kQuestion)) == Verdict::Ignore);
  CHECK(judged(message(0, {0, 0, 0, 0}, "")) == Verdict::FormErr);
  CHECK(judged(message(0, {2, 0, 0, 0}, both(kQuestion, kQuestion))) == Verdict::FormErr);
  CHECK(judged(message(0, {1, 0, 0, 0}, kQuestion.substr(0, kQuestion.size() - 1))) == Verdict::FormErr);
  CHECK(judged(message(0, {1, 0, 0, 0}, both(kQuestion, "x"))) == Verdict::FormErr);
  CHECK(judged(message(0, {1, 0, 0, 0}, "\xc0\x0c\0\1\0\1"sv)) == Verdict::FormErr);
  CHECK(judged(message(0, {1, 0, 0, 0}, "\x40x\0\0\1\0\1"sv)) == Verdict::FormErr);
  CHECK(judged(message(0, {1, 0, 0, 0}, "\3web"sv)) == Verdict::FormErr);
  CHECK(judged(message(0, {1, 0, 0, 0}, "\0\0\x29\0\1"sv)) == Verdict::FormErr);  // a question for OPT
  CHECK(judged(message(0, {1, 0, 0, 2}, both(both(kQuestion, kOpt), kOpt))) == Verdict::FormErr);
  CHECK(judged(message(0, {1, 0, 1, 0}, both(kQuestion, kOpt))) == Verdict::FormErr);  // OPT in another section
  CHECK(judged(message(0, {1, 0, 0, 1}, both(kQuestion, "\0\0\x29\x04\xd0\0\0\0\0\0\3abc"sv))) == Verdict::FormErr);
  CHECK(judged(message(0, {1, 0, 0, 1}, both(kQuestion, "\0\0\x29\x04\xd0\0\1\0\0\0\0"sv))) == Verdict::BadVers);
  CHECK(judged(message(0x2000, {1, 0, 0, 0}, kQuestion)) == Verdict::NotImp);
  CHECK(judged(message(0, {1, 0, 0, 0}, "\3web\0\0\1\0\3"sv)) == Verdict::Refused);
}

TEST_CASE("compression pointers lead back only, and names stay within 255 octets") {
  const auto read = [](std::string_view octets, size_t at) {
    WireName out;
    const size_t taken = read_name({reinterpret_cast<const uint8_t*>(octets.data()), octets.size()}, at, &out, 0);
    return fmt::format("{} {}", taken, taken ? to_string(out) : "");
  };
  CHECK(read("\3foo\0\3bar\xc0\0"sv, 5) == "6 bar.foo.");
  CHECK(read("\3foo\0"sv, 0) == "5 foo.");
  CHECK(read("\xc0\0"sv, 0) == "0 ");              // itself
  CHECK(read("\xc0\2\xc0\0"sv, 2) == "0 ");        // a circle
  CHECK(read("\3foo\xc0\0"sv, 0) == "0 ");         // into its own name
  CHECK(read("\3foo\xc0\7\0\1x\0"sv, 0) == "0 ");  // ahead
  CHECK(read("\3fo"sv, 0) == "0 ");
  CHECK(read("\3foo\xc0"sv, 0) == "0 ");
  CHECK(read("\x80x\0"sv, 0) == "0 ");
  CHECK(read("", 0) == "0 ");
  CHECK(read("\5ab\xc0\0\1x\0"sv, 3) == "0 ");  // into what goes on behind it
  const Bytes into_header = message(0, {1, 0, 0, 0}, "\xc0\x06\0\1\0\1"sv);
  CHECK(read_name(into_header, kHeaderSize, nullptr) == 0);
  std::string chain = "\0"s;  // 200 pointers, each to the one before: read, as each goes back
  for (uint16_t i = 0; i < 200; ++i) {
    const uint16_t to = static_cast<uint16_t>(i == 0 ? 0 : 1 + 2 * (i - 1));
    chain += static_cast<char>(0xc0 | to >> 8);
    chain += static_cast<char>(to);
  }
  CHECK(read(chain, 399) == "2 .");
  std::string big;
  for (int i = 0; i < 5; ++i) big += "\x3f" + std::string(63, 'x');
  CHECK(read(big + "\0"s, 0) == "0 ");
}

TEST_CASE("a reply echoes the question octet for octet and compresses names") {
  Query query;
  const Bytes packet = message(Flags::kRecursionDesired, {1, 0, 0, 0}, kQuestion);
  REQUIRE(parse_query(packet, query) == Verdict::Answer);
  std::array<uint8_t, 512> room;
  Writer writer(room, kUdpPlain);
  writer.reply(query, Rcode::NoError, true);
  CHECK(writer.address(name("web.default."), 5, *Ip::parse("10.96.0.1")));
  CHECK(writer.address(name("web.default."), 5, *Ip::parse("fd00::1")));
  CHECK(writer.name(name("1.default."), Type::CNAME, 5, name("2.Default.")));
  CHECK(writer.srv(name("web.default."), 5, 0, 100, 80, name("web.default.")));
  CHECK(writer.txt(name("t.web.default."), 5, "1.1.0"));
  writer.section(Section::Authority);
  CHECK(writer.soa(name("default."), 5,
                   {.primary = name("ns.dns.default."), .mailbox = name("hm.default."), .serial = 7}));
  const auto reply = writer.finish();
  CHECK(std::ranges::equal(reply.subspan(kHeaderSize, kQuestion.size()), query.question_octets));
  CHECK(to_text(reply) ==
        "NOERROR qr aa rd\n"
        "? WeB.default. A\n"
        "WeB.default. 5 A 10.96.0.1\n"
        "WeB.default. 5 AAAA fd00::1\n"
        "1.default. 5 CNAME 2.default.\n"
        "WeB.default. 5 SRV 0 100 80 web.default.\n"
        "t.WeB.default. 5 TXT \"1.1.0\"\n"
        "authority: default. 5 SOA ns.dns.default. hm.default. 7 7200 1800 86400 5\n");
  // Owners are pointers to the question; "default." is written once in the question and once in SRV data.
  const std::string_view octets(reinterpret_cast<const char*>(reply.data()), reply.size());
  size_t times = 0;
  for (size_t at = 0; (at = octets.find("\7default"sv, at)) != octets.npos; ++at) ++times;
  CHECK(times == 2);
}

TEST_CASE("29 addresses fit in 512 octets, the thirtieth sets TC") {
  const std::string question = "\3web\7default\3svc\7cluster\5local\0\0\1\0\1"s;
  Query query;
  const Bytes packet = message(0, {1, 0, 0, 0}, question);
  REQUIRE(parse_query(packet, query) == Verdict::Answer);
  Bytes addresses;
  for (uint8_t i = 0; i < 28; ++i) addresses.insert(addresses.end(), {10, 0, 0, i});
  const auto written = [&] {
    std::array<uint8_t, 512> room;
    Writer writer(room, reply_limit(query, false));
    writer.reply(query, Rcode::NoError, true);
    const bool all = writer.addresses_of_question(addresses, 4, 5, 3);
    const auto reply = writer.finish();
    const auto parsed = parse_response(reply);
    REQUIRE(parsed);
    return fmt::format("{} {} {} {}", all, parsed->answers, parsed->flags.has(Flags::kTruncated),
                       to_text(reply).find("5 A 10.0.0.3\n") < to_text(reply).find("5 A 10.0.0.2\n"));
  };
  CHECK(written() == "true 28 false true");
  addresses.insert(addresses.end(), {10, 0, 0, 28});
  addresses.insert(addresses.end(), {10, 0, 0, 29});
  CHECK(written() == "false 29 true true");
}

TEST_CASE("limits: 512 without EDNS, what the client takes up to ours with it, all over TCP") {
  Query query;
  CHECK(reply_limit(query, false) == 512);
  query.edns = Edns{.payload = 100};
  CHECK(reply_limit(query, false) == 512);
  query.edns->payload = 1000;
  CHECK(reply_limit(query, false) == 1000);
  query.edns->payload = 4096;
  CHECK(reply_limit(query, false) == 1232);
  CHECK(reply_limit(query, false, 4096) == 4096);
  CHECK(reply_limit(query, true) == 65535);
}

TEST_CASE("OPT answers OPT, and carries the high bits of the rcode") {
  Query query;
  const Bytes packet = message(0, {1, 0, 0, 1}, both(kQuestion, "\0\0\x29\x10\0\0\1\x80\0\0\0"sv));
  CHECK(parse_query(packet, query) == Verdict::BadVers);
  std::array<uint8_t, 512> room;
  Writer writer(room, kUdpPlain);
  writer.reply(query, rcode_of(Verdict::BadVers), false);
  CHECK(to_text(writer.finish()) == "BADVERS qr\n? WeB.default. A\nadditional: OPT 1232 do\n");
}

TEST_CASE("a response is read whole: TTLs by offset, names of any record") {
  std::array<uint8_t, 512> room;
  Query query;
  const Bytes packet = message(0, {1, 0, 0, 1}, both(kQuestion, kOpt));
  REQUIRE(parse_query(packet, query) == Verdict::Answer);
  Writer writer(room, kUdpPlain);
  writer.reply(query, Rcode::NoError, false);
  writer.name(name("web.default."), Type::CNAME, 30, name("x.example."));
  writer.address(name("x.example."), 60, *Ip::parse("192.0.2.1"));
  Bytes reply(writer.finish().begin(), writer.finish().end());
  auto parsed = parse_response(reply);
  REQUIRE(parsed);
  CHECK(parsed->name == name("web.default."));
  CHECK(parsed->answers == 2);
  CHECK(parsed->edns);
  Records records(reply);
  Record record;
  REQUIRE(records.next(record));
  REQUIRE(records.next(record));
  WireName owner;
  CHECK(read_name(reply, record.begin, &owner) > 0);
  CHECK(to_string(owner) == "x.example.");
  CHECK(record.ttl == 60);
  write32(reply, record.ttl_at, 0x80000001);
  CHECK(to_text(reply).find("x.example. 0 A 192.0.2.1") != std::string::npos);  // RFC 2181 section 8
  for (size_t size = 0; size < reply.size(); ++size)
    REQUIRE(!parse_response(std::span(reply).first(size)));  // cut anywhere, it is not believed
  reply.push_back(0);
  CHECK(!parse_response(reply));
  CHECK(!parse_response(packet));  // a question is no response
}

TEST_CASE("data that a record's type does not have is not believed") {
  const auto sound = [](std::string_view data) {
    return parse_response(message(Flags::kResponse, {1, 1, 0, 0}, both(kQuestion, both("\xc0\x0c\0"sv, data))))
        .has_value();
  };
  CHECK(sound("\1\0\1\0\0\0\5\0\4abcd"sv));
  CHECK(!sound("\1\0\1\0\0\0\5\0\3abc"sv));
  CHECK(!sound("\x1c\0\1\0\0\0\5\0\4abcd"sv));
  CHECK(sound("\5\0\1\0\0\0\5\0\2\xc0\x0c"sv));
  CHECK(!sound("\5\0\1\0\0\0\5\0\3\xc0\x0c\0"sv));    // an octet too many
  CHECK(!sound("\5\0\1\0\0\0\5\0\2\xc0\x30"sv));      // points ahead
  CHECK(!sound("\x21\0\1\0\0\0\5\0\5\0\0\0\0\0"sv));  // SRV without a target
  CHECK(sound("\x63\0\1\0\0\0\5\0\3abc"sv));          // of a type we do not know
}

TEST_CASE("a message is cut at the end of a record; what is lost but additional records sets TC") {
  Query query;
  const Bytes packet = message(0, {1, 0, 0, 1}, both(kQuestion, kOpt));
  REQUIRE(parse_query(packet, query) == Verdict::Answer);
  std::array<uint8_t, 512> room;
  Writer writer(room, kUdpPlain);
  writer.reply(query, Rcode::NoError, true);
  for (uint32_t i = 0; i < 3; ++i) writer.address(name("web.default."), 5, Ip::v4(0x0a000000 + i));
  writer.section(Section::Additional);
  writer.address(name("web.default."), 5, *Ip::parse("fd00::1"));
  const auto whole = writer.finish();
  const auto cut_to = [&](size_t limit) {
    Bytes copy(whole.begin(), whole.end());
    copy.resize(cut(copy, limit));
    CHECK(copy.size() <= limit);
    const auto parsed = parse_response(copy);
    REQUIRE(parsed);
    return fmt::format("{}+{}{}{}", parsed->answers, parsed->additionals, parsed->edns ? " opt" : "",
                       parsed->flags.has(Flags::kTruncated) ? " tc" : "");
  };
  CHECK(cut_to(512) == "3+2 opt");
  CHECK(cut_to(whole.size() - 1) == "3+1 opt");
  CHECK(cut_to(whole.size() - 28) == "3+1 opt");
  CHECK(cut_to(whole.size() - 29) == "2+1 opt tc");
  CHECK(cut_to(kHeaderSize + kQuestion.size() + 11) == "0+1 opt tc");
  Bytes broken(whole.begin(), whole.end());
  broken.push_back(0);
  CHECK(cut(broken, 60) == kHeaderSize);
}
