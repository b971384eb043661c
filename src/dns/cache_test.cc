#include "dns/cache.h"

#include <doctest/doctest.h>

#include "dns/wire_text.h"

namespace causeway::dns {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};

struct Question_ {
  Bytes packet;
  Query query;
  Asked asked;
  explicit Question_(const std::string& name, Type type = Type::A, uint16_t payload = 0, bool dnssec_ok = false) {
    packet.resize(600);
    Writer writer(packet, packet.size());
    const auto wire = WireName::parse(name);
    REQUIRE(wire);
    writer.ask(4711, *wire, type, payload);
    packet.resize(writer.finish().size());
    if (dnssec_ok) packet[packet.size() - 4] |= 0x80;
    REQUIRE(parse_query(packet, query) == Verdict::Answer);
    asked = Asked::of(query);
  }
};

struct World {
  CacheDirective directive{.place = {"Corefile", 1}, .zones = {"."}};
  std::unique_ptr<Cache> cache = std::make_unique<Cache>(directive);

  // What an upstream says of `name`; its id is none of the clients'.
  static Bytes addresses(const std::string& name, uint32_t ttl, int count = 1, Type type = Type::A) {
    const Question_ question(name, type);
    Bytes room(4096);
    Writer writer(room, room.size());
    writer.reply(question.query, Rcode::NoError, false);
    for (int i = 0; i < count; ++i)
      writer.address(question.query.question.name, ttl, *Ip::parse(fmt::format("10.0.0.{}", i + 1)));
    room.resize(writer.finish().size());
    write16(room, 0, 999);
    return room;
  }
  static Bytes denial(const std::string& name, Rcode rcode, uint32_t ttl, uint32_t minimum, bool soa = true) {
    const Question_ question(name);
    Bytes room(4096);
    Writer writer(room, room.size());
    writer.reply(question.query, rcode, false);
    writer.section(Section::Authority);
    const WireName zone = *WireName::parse("org.");
    if (soa) writer.soa(zone, ttl, {.primary = zone, .mailbox = zone, .minimum = minimum});
    room.resize(writer.finish().size());
    return room;
  }
  void put(const std::string& name, const Bytes& response, Duration at = 0s) {
    cache->put(Question_(name).asked, response, kStart + at);
  }
  // "miss", or the answer's text.
  std::string get(const Question_& question, Duration at, bool stale = false, size_t limit = kUdpPlain) {
    Bytes room(5000);
    const auto found = cache->find(question.asked, question.query, kStart + at, stale, room, limit);
    if (found.state == Cache::State::Miss) return "miss";
    room.resize(found.size);
    return to_text(room) + (found.prefetch ? "prefetch\n" : "");
  }
  std::string get(const std::string& name, Duration at, bool stale = false) { return get(Question_(name), at, stale); }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("a reply that fills a message leaves an OPT its place in the answer, and is cut for it") {
  const Question_ plain("a.example."), extended("a.example.", Type::A, 65535);
  Bytes response(kMostMessage);
  Writer writer(response, response.size());
  writer.reply(plain.query, Rcode::NoError, false);
  while (writer.address(plain.query.question.name, 60, Ip::v4(0x0a000001))) continue;
  response.resize(writer.finish().size());
  REQUIRE(response.size() > kMostMessage - 11);
  for (const Question_* question : {&plain, &extended}) {
    Bytes room(kMostMessage);
    const size_t size = answer_with(response, question->query, 0, 60, room, room.size());
    REQUIRE(size <= room.size());
    const auto parsed = parse_response(std::span(room).first(size));
    REQUIRE(parsed);
    CHECK(parsed->edns.has_value() == (question == &extended));
  }
}

TEST_CASE("an answer is kept as long as its TTL says, and its TTL shrinks") {
  World world;
  world.put("a.org.", World::addresses("a.org.", 60));
  CHECK(has(world.get("a.org.", 0s), " 60 A 10.0.0.1"));
  CHECK(has(world.get("a.org.", 59s), " 1 A 10.0.0.1"));
  CHECK(world.get("a.org.", 60s) == "miss");
  CHECK(world.get("b.org.", 0s) == "miss");
}

TEST_CASE("the reply is the client's own: its id, its letters, its OPT and no other") {
  World world;
  world.put("mixed.org.", World::addresses("mixed.org.", 60));
  const Question_ plain("MiXed.ORG."), edns("mixed.org.", Type::A, 1232);
  Bytes room(5000);
  auto found = world.cache->find(plain.asked, plain.query, kStart, false, room, 512);
  REQUIRE(found.state == Cache::State::Fresh);
  CHECK(read16(room, 0) == 4711);
  CHECK(std::equal(plain.query.question_octets.begin(), plain.query.question_octets.end(), room.begin() + kHeaderSize));
  auto parsed = parse_response(std::span(room).first(found.size));
  REQUIRE(parsed);
  CHECK(!parsed->edns);
  found = world.cache->find(edns.asked, edns.query, kStart, false, room, 512);
  parsed = parse_response(std::span(room).first(found.size));
  REQUIRE(parsed);
  CHECK(parsed->edns);
}

TEST_CASE("an answer that is larger than a client takes is truncated for it, whatever was kept") {
  World world;
  world.put("many.org.", World::addresses("many.org.", 60, 60));
  const Question_ plain("many.org."), edns("many.org.", Type::A, 1232);
  Bytes room(5000);
  auto found = world.cache->find(plain.asked, plain.query, kStart, false, room, reply_limit(plain.query, false));
  CHECK(found.size <= 512);
  CHECK(Flags{read16(room, 2)}.has(Flags::kTruncated));
  found = world.cache->find(edns.asked, edns.query, kStart, false, room, reply_limit(edns.query, false));
  CHECK(found.size > 512);
  CHECK(!Flags{read16(room, 2)}.has(Flags::kTruncated));
  CHECK(read16(room, 6) == 60);
  found = world.cache->find(plain.asked, plain.query, kStart, false, room, reply_limit(plain.query, true));
  CHECK(!Flags{read16(room, 2)}.has(Flags::kTruncated));
}

TEST_CASE("a denial is kept as long as its SOA says, and one without SOA is not") {
  World world;
  world.directive.denial.min_ttl = Seconds(5);
  world.cache = std::make_unique<Cache>(world.directive);
  world.put("no.org.", World::denial("no.org.", Rcode::NxDomain, 3600, 30));
  world.put("low.org.", World::denial("low.org.", Rcode::NoError, 20, 300));
  world.put("soaless.org.", World::denial("soaless.org.", Rcode::NxDomain, 0, 0, false));
  CHECK(has(world.get("no.org.", 29s), "NXDOMAIN"));
  CHECK(world.get("no.org.", 30s) == "miss");
  CHECK(has(world.get("low.org.", 19s), "NOERROR"));
  CHECK(world.get("low.org.", 20s) == "miss");
  CHECK(world.get("soaless.org.", 0s) == "miss");
}

TEST_CASE("SERVFAIL is kept for seconds, and never in place of an answer that may be served stale") {
  World world;
  const auto failure = World::denial("a.org.", Rcode::ServFail, 0, 0, false);
  world.put("a.org.", failure);
  CHECK(has(world.get("a.org.", 4s), "SERVFAIL"));
  CHECK(world.get("a.org.", 5s, true) == "miss");
  world.put("b.org.", World::addresses("b.org.", 60));
  world.put("b.org.", World::denial("b.org.", Rcode::ServFail, 0, 0, false), 61s);
  CHECK(has(world.get("b.org.", 62s, true), "10.0.0.1"));
}

TEST_CASE("REFUSED and truncated replies are not kept") {
  World world;
  world.put("a.org.", World::denial("a.org.", Rcode::Refused, 60, 60));
  CHECK(world.get("a.org.", 0s) == "miss");
  Bytes truncated = World::addresses("a.org.", 60);
  truncated[2] |= 2;
  world.put("a.org.", truncated);
  CHECK(world.get("a.org.", 0s) == "miss");
}

TEST_CASE("after its end an answer stands in for one that cannot be had, with a TTL of 30 s, for an hour") {
  World world;
  world.put("a.org.", World::addresses("a.org.", 60));
  CHECK(world.get("a.org.", 61s) == "miss");
  CHECK(has(world.get("a.org.", 61s, true), " 30 A 10.0.0.1"));
  CHECK(has(world.get("a.org.", 3659s, true), "10.0.0.1"));
  CHECK(world.get("a.org.", 3660s, true) == "miss");
}

TEST_CASE("the Corefile's TTLs bound those of upstreams, and zones are left out as it says") {
  World world;
  world.directive.success = {.entries = 1000, .ttl = Seconds(30), .min_ttl = Seconds(10)};
  world.directive.denial.disabled = {"cluster.local."};
  world.directive.zones = {"org.", "cluster.local."};
  world.cache = std::make_unique<Cache>(world.directive);
  world.put("long.org.", World::addresses("long.org.", 3600));
  CHECK(has(world.get("long.org.", 5s), " 25 A"));
  CHECK(world.get("long.org.", 30s) == "miss");
  world.put("short.org.", World::addresses("short.org.", 2));
  CHECK(has(world.get("short.org.", 9s), "10.0.0.1"));
  CHECK(world.get("short.org.", 10s) == "miss");
  world.put("a.net.", World::addresses("a.net.", 60));
  CHECK(world.get("a.net.", 0s) == "miss");
  world.put("a.cluster.local.", World::denial("a.cluster.local.", Rcode::NxDomain, 60, 60));
  CHECK(world.get("a.cluster.local.", 0s) == "miss");
}

TEST_CASE("an entry that is asked for often says once that it should be fetched before it ends") {
  World world;
  world.directive.prefetch = 2;
  world.cache = std::make_unique<Cache>(world.directive);
  world.put("a.org.", World::addresses("a.org.", 100));
  CHECK(!has(world.get("a.org.", 50s), "prefetch"));
  CHECK(!has(world.get("a.org.", 80s), "prefetch"));
  CHECK(has(world.get("a.org.", 91s), "prefetch"));
  CHECK(!has(world.get("a.org.", 92s), "prefetch"));
}

TEST_CASE("types and the DNSSEC bit are other questions") {
  World world;
  world.put("a.org.", World::addresses("a.org.", 60));
  CHECK(world.get(Question_("a.org.", Type::AAAA), 0s) == "miss");
  CHECK(world.get(Question_("a.org.", Type::A, 1232, true), 0s) == "miss");
}

TEST_CASE("the cache stays below its octets: what was asked for least recently goes") {
  World world;
  world.directive.success.entries = world.directive.denial.entries = 200;
  world.cache = std::make_unique<Cache>(world.directive);
  world.put("kept.org.", World::addresses("kept.org.", 600));
  for (int i = 0; i < 5000; ++i) {
    const std::string name = fmt::format("n{}.org.", i);
    world.put(name, World::addresses(name, 600));
    if (i % 5 == 0) CHECK(has(world.get("kept.org.", 1s), "10.0.0.1"));
  }
  const auto counts = world.cache->counts();
  CHECK(counts.octets <= 400 * 512);
  CHECK(counts.evictions > 3000);
  CHECK(counts.success_entries + counts.evictions == 5001);
}

}  // namespace
}  // namespace causeway::dns
