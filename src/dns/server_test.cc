#include <doctest/doctest.h>

#include "dns/server_world.h"

namespace causeway::dns {
namespace {

using World = ServerWorld;

TEST_CASE("a question is answered from the cluster's names, from a cache, or by an upstream") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.put({.key = {Kind::Namespace, {}, Name("default")}});
  world.put(service("web", "10.96.0.1"));
  world.complete();
  world.start(".:53 {\n kubernetes cluster.local\n cache\n " + forward_to(stub) + "}\n");
  CHECK(has(world.get("web.default.svc.cluster.local."), "10.96.0.1"));
  CHECK(has(world.get("nobody.default.svc.cluster.local."), "NXDOMAIN"));
  for (int i = 0; i < 3; ++i) CHECK(has(world.get("example.org."), "10.1.2.3"));
  CHECK(stub.seen() == std::vector<std::string>{"udp example.org. A"});
}

TEST_CASE("dns 8: an ExternalName is an alias, and what its target has stands behind it; a loop of them ends") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.put({.key = {Kind::Namespace, {}, Name("default")}});
  world.put({.key = {Kind::Service, Name("default"), Name("out")}, .external = "example.org"});
  world.put({.key = {Kind::Service, Name("default"), Name("in")}, .external = "web.default.svc.cluster.local"});
  world.put({.key = {Kind::Service, Name("default"), Name("a")}, .external = "b.default.svc.cluster.local"});
  world.put({.key = {Kind::Service, Name("default"), Name("b")}, .external = "a.default.svc.cluster.local"});
  world.put(service("web", "10.96.0.1"));
  world.complete();
  world.start(". {\n kubernetes cluster.local\n " + forward_to(stub) + "}\n");
  const std::string out = world.get("out.default.svc.cluster.local.");
  INFO(out);
  CHECK(out.find("CNAME example.org.") < out.find("example.org. 60 A 10.1.2.3"));
  CHECK(has(out, "example.org. 60 A 10.1.2.3"));
  CHECK(has(world.get("in.default.svc.cluster.local."), "web.default.svc.cluster.local. 5 A 10.96.0.1"));
  CHECK(has(world.get("a.default.svc.cluster.local."), "CNAME b.default.svc.cluster.local."));
}

TEST_CASE("what no server block has is refused: nobody's open relay") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.complete();
  world.start("example.org {\n " + forward_to(stub) + "}\ncluster.local {\n kubernetes cluster.local\n}\n");
  CHECK(has(world.get("www.example.org."), "10.1.2.3"));
  CHECK(has(world.get("example.com."), "REFUSED"));
  CHECK(has(world.get("example.com."), "REFUSED"));
  CHECK(has(world.get("www.example.org.", Type::AXFR), "REFUSED"));
  CHECK(stub.seen().size() == 1);
}

TEST_CASE("malformed packets are answered or met with silence, as the RFCs say, and never stop the server") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.start(". {\n " + forward_to(stub) + "}\n");
  Bytes response = World::question("example.org."), two = response, status = response, chaos = response;
  response[2] |= 0x80;
  two[5] = 2;
  status[2] |= 0x10;
  chaos[chaos.size() - 1] = 3;
  Bytes badvers = World::question("example.org.", Type::A, 1232);
  badvers[badvers.size() - 5] = 1;
  const std::vector<Bytes> silent{{}, {1, 2, 3}, response};
  for (const Bytes& packet : silent) {
    auto reply = run_until_done(*world.loop, world.udp({packet, World::question("after.org.", Type::A, 0, 99)}));
    REQUIRE(reply);
    CHECK(read16(*reply, 0) == 99);
  }
  CHECK(has(world.get(two), "FORMERR"));
  CHECK(has(world.get(status), "NOTIMP"));
  CHECK(has(world.get(chaos), "REFUSED"));
  CHECK(has(world.get(badvers), "BADVERS"));
  uint32_t state = 7;
  for (int i = 0; i < 500; ++i) {
    Bytes packet = World::question("fuzz.example.org.", Type::A, 1232);
    for (int k = 0; k < 4; ++k) {
      state = state * 1664525 + 1013904223;
      packet[(state >> 8) % packet.size()] = static_cast<uint8_t>(state >> 20);
    }
    auto reply = run_until_done(*world.loop, world.udp({packet, World::question("after.org.", Type::A, 0, 99)}));
    INFO((reply ? "" : reply.error().message()));
    REQUIRE(reply);
  }
  CHECK(has(world.get("example.org."), "10.1.2.3"));
}

TEST_CASE(
    "dns 11: an answer that is too large for UDP is truncated, and TCP has the whole, in pieces or many at once") {
  Stub stub([](const Stub::Asked& asked) -> Stub::Replies {
    if (!asked.tcp) return {Stub::truncated(asked)};
    Bytes room(8000);
    Writer writer(room, room.size());
    writer.reply(asked.query, Rcode::NoError, false);
    for (int i = 0; i < 200; ++i)
      writer.address(asked.query.question.name, 60, Ip::v4(0x0A000000u + static_cast<uint32_t>(i)));
    room.resize(writer.finish().size());
    return {room};
  });
  World world;
  world.start(". {\n cache\n bufsize 600\n " + forward_to(stub) + "}\n");
  for (int i = 0; i < 2; ++i) {  // of the upstream, of the cache
    auto plain = run_until_done(*world.loop, world.udp({World::question("many.org.")}));
    REQUIRE(plain);
    CHECK(plain->size() <= 512);
    CHECK(Flags{read16(*plain, 2)}.has(Flags::kTruncated));
    auto edns = run_until_done(*world.loop, world.udp({World::question("many.org.", Type::A, 4096)}));
    REQUIRE(edns);
    CHECK(edns->size() <= 600);
    CHECK(edns->size() > 512);
    CHECK(Flags{read16(*edns, 2)}.has(Flags::kTruncated));
  }
  auto whole = run_until_done(*world.loop, world.tcp(framed(World::question("many.org.")), 1, 3));
  REQUIRE(whole);
  REQUIRE(whole->size() == 1);
  CHECK(read16((*whole)[0], 6) == 200);
  Bytes stream;
  for (uint16_t id = 1; id <= 50; ++id) {
    const Bytes one = framed(World::question(fmt::format("n{}.org.", id % 7), Type::A, 0, id));
    stream.insert(stream.end(), one.begin(), one.end());
  }
  auto many = run_until_done(*world.loop, world.tcp(stream, 50, 65535, true));
  REQUIRE(many);
  std::set<uint16_t> ids;
  for (const Bytes& reply : *many) ids.insert(read16(reply, 0));
  CHECK(ids.size() == 50);
}

TEST_CASE("TCP: one question under way at a time is enough for all of them; garbage ends the connection") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.start(". {\n " + forward_to(stub) + "}\n", {.tcp_under_way = 1});
  Bytes stream;
  for (uint16_t id = 1; id <= 20; ++id) {
    const Bytes one = framed(World::question(fmt::format("n{}.org.", id), Type::A, 0, id));
    stream.insert(stream.end(), one.begin(), one.end());
  }
  auto all = run_until_done(*world.loop, world.tcp(stream, 20));
  REQUIRE(all);
  CHECK(all->size() == 20);
  auto none = run_until_done(*world.loop, world.tcp({0, 3, 1, 2, 3}, 1));
  REQUIRE(none);
  CHECK(none->empty());
  CHECK(run_until_done(*world.loop, world.tcp({0, 50, 1}, 1, 65535, true))->empty());
}

TEST_CASE("an idle TCP connection is closed, and above the limit the one that is idle longest") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.start(". {\n " + forward_to(stub) + "}\n", {.tcp_connections = 1, .tcp_idle = 50ms});
  auto closed = run_until_done(*world.loop, world.tcp({}, 1));
  REQUIRE(closed);
  CHECK(closed->empty());
  world.start(". {\n " + forward_to(stub) + "}\n", {.tcp_connections = 1, .tcp_idle = 1h});
  const auto both = [](World& world) -> Task<Result<size_t>> {
    OneShot<size_t> first(*world.loop);
    Scope scope(*world.loop);
    scope.spawn("first", [](World& world, OneShot<size_t> first) -> Task<void> {
      auto replies = co_await world.tcp({}, 1);
      first.set(replies ? replies->size() : 99);
    }(world, first));
    CO_TRY(co_await world.loop->sleep(20ms));
    auto second = CO_TRY(co_await world.tcp(framed(World::question("a.org.")), 1));
    const size_t of_first = CO_TRY(co_await first.get());
    co_return of_first * 10 + second.size();
  };
  CHECK(run_until_done(*world.loop, both(world)) == 1);  // nothing for the first, one reply for the second
}

TEST_CASE("dns 16: a zone is transferred over TCP to the peers that were named, and to nobody else") {
  World world;
  world.put({.key = {Kind::Namespace, {}, Name("default")}});
  world.put(service("web", "10.96.0.1"));
  world.complete();
  const std::string corefile = ". {\n kubernetes cluster.local\n}\n";
  world.start(corefile, {.transfer_to = {*Cidr::parse("127.0.0.0/8")}});
  const Bytes question = World::question("cluster.local.", Type::AXFR);
  auto replies = run_until_done(*world.loop, world.tcp(framed(question), 1));
  REQUIRE(replies);
  REQUIRE(replies->size() == 1);
  const std::string text = to_text((*replies)[0]);
  INFO(text);
  CHECK(has(text, "web.default.svc.cluster.local. 5 A 10.96.0.1"));
  CHECK(text.find("cluster.local. 5 SOA") != text.rfind("cluster.local. 5 SOA"));  // the first and the last record
  CHECK(has(world.get(question), "REFUSED"));                                      // over UDP
  auto other = run_until_done(*world.loop, world.tcp(framed(World::question("example.org.", Type::AXFR)), 1));
  CHECK(has(to_text((*other)[0]), "NOTAUTH"));
  world.start(corefile, {.transfer_to = {*Cidr::parse("10.0.0.0/8")}});
  replies = run_until_done(*world.loop, world.tcp(framed(question), 1));
  CHECK(has(to_text((*replies)[0]), "REFUSED"));
}

}  // namespace
}  // namespace causeway::dns
