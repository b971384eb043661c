#include "dns/forward.h"

#include <doctest/doctest.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <filesystem>

#include "base/file.h"
#include "dns/forward_world.h"
#include "dns/wire_text.h"
#include "http/tls.h"

namespace causeway::dns {
namespace {

struct World {
  std::unique_ptr<Loop> loop = make_loop();
  std::unique_ptr<Forwarder> forwarder;

  ForwardDirective directive(std::vector<const Stub*> stubs) {
    ForwardDirective out{.place = {"Corefile", 1}, .zone = ".", .policy = ForwardDirective::Policy::Sequential};
    for (const Stub* stub : stubs)
      out.upstreams.push_back({.endpoint = stub->endpoint(), .tls = false, .server_name = {}});
    return out;
  }
  void use(ForwardDirective directive, ForwardLimits limits = {}) {
    auto made = Forwarder::make(*loop, std::move(directive), limits);
    INFO((made ? "" : made.error().message()));
    REQUIRE(made);
    forwarder = std::move(*made);
  }
  static Asked asked(const std::string& name, Type type = Type::A) {
    return {.name = *WireName::parse(name), .type = type};
  }
  Task<Result<std::string>> ask(Asked asked) {
    OneShot<std::string> done(*loop);
    forwarder->ask(asked, [done](const Forwarder::Reply& reply) mutable {
      done.set(reply ? to_text(**reply) : "error: " + std::string(to_string(reply.error().code())));
    });
    co_return co_await done.get();
  }
  std::string get(const std::string& name, Type type = Type::A) {
    auto text = run_until_done(*loop, ask(asked(name, type)));
    return text ? *text : text.error().message();
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("a question goes to an upstream over UDP, and its reply comes back without OPT") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.use(world.directive({&stub}));
  const std::string text = world.get("example.org.");
  INFO(text);
  CHECK(has(text, "10.1.2.3"));
  CHECK(!has(text, "OPT"));
  CHECK(!has(text, "EDNS"));
  CHECK(stub.seen() == std::vector<std::string>{"udp example.org. A"});
}

TEST_CASE("a truncated reply is asked for again over TCP") {
  Stub stub([](const Stub::Asked& asked) -> Stub::Replies {
    return {asked.tcp ? Stub::reply(asked, "10.1.2.3") : Stub::truncated(asked)};
  });
  World world;
  world.use(world.directive({&stub}));
  CHECK(has(world.get("example.org."), "10.1.2.3"));
  CHECK(stub.seen() == std::vector<std::string>{"udp example.org. A", "tcp example.org. A"});
}

TEST_CASE("force_tcp asks over one connection that is kept, and opens another when the upstream has closed it") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  auto directive = world.directive({&stub});
  directive.force_tcp = true;
  world.use(directive);
  CHECK(has(world.get("a.org."), "10.1.2.3"));
  CHECK(has(world.get("b.org."), "10.1.2.3"));
  CHECK(has(world.forwarder->page(), "connections 1,"));
  stub.close_connections();
  CHECK(has(world.get("c.org."), "10.1.2.3"));
  CHECK(has(world.forwarder->page(), "connections 2,"));
  CHECK(stub.seen() == std::vector<std::string>{"tcp a.org. A", "tcp b.org. A", "tcp c.org. A"});
}

TEST_CASE("SERVFAIL, REFUSED and a closed port make the next upstream be asked; the Corefile adds codes to them") {
  Stub servfail(Stub::says(Rcode::ServFail)), refused(Stub::says(Rcode::Refused)), denied(Stub::says(Rcode::NxDomain));
  Stub good(Stub::answers("10.1.2.3"));
  auto closed = std::make_unique<Stub>(Stub::answers("10.9.9.9"));
  World world;
  auto directive = world.directive({&servfail, &refused, closed.get(), &denied, &good});
  closed.reset();
  world.use(directive);
  CHECK(has(world.get("example.org."), "NXDOMAIN"));
  CHECK(good.seen().empty());
  directive.failover = {3};
  world.use(directive);
  CHECK(has(world.get("example.org."), "10.1.2.3"));
}

TEST_CASE("a silent upstream costs no question: another one is asked beside it") {
  Stub silent([](const Stub::Asked&) -> Stub::Replies { return {}; });
  Stub good(Stub::answers("10.1.2.3"));
  World world;
  world.use(world.directive({&silent, &good}));
  for (int i = 0; i < 3; ++i) CHECK(has(world.get(fmt::format("n{}.org.", i)), "10.1.2.3"));
  CHECK(!silent.seen().empty());
}

TEST_CASE("where every upstream fails the client learns it: their SERVFAIL, or that nobody answered") {
  Stub first(Stub::says(Rcode::ServFail)), second(Stub::says(Rcode::ServFail));
  Stub silent([](const Stub::Asked&) -> Stub::Replies { return {}; });
  World world;
  world.use(world.directive({&first, &second}));
  CHECK(has(world.get("example.org."), "SERVFAIL"));
  world.use(world.directive({&silent}), {.deadline = 200ms, .resend = 60ms});
  CHECK(world.get("example.org.") == "error: timeout");
  CHECK(silent.seen().size() > 1);  // a lost packet is sent again
}

TEST_CASE("a reply with another id or question, or that is none, is not believed") {
  Stub stub([](const Stub::Asked& asked) -> Stub::Replies {
    Bytes forged_id = Stub::reply(asked, "6.6.6.6");
    forged_id[0] ^= 0xFF;
    Bytes forged_name = Stub::reply(asked, "6.6.6.6");
    forged_name[13] ^= 1;
    Bytes forged_type = Stub::reply(asked, "6.6.6.6");
    forged_type[kHeaderSize + 13 + 1] = 28;  // the question's type; example.org. takes 13 octets
    Bytes question = asked.packet;
    Bytes cut = Stub::reply(asked, "6.6.6.6");
    cut.resize(cut.size() - 3);
    return {forged_id, forged_name, forged_type, question, cut, Bytes{}, Stub::reply(asked, "10.1.2.3")};
  });
  World world;
  world.use(world.directive({&stub}));
  const std::string text = world.get("example.org.");
  INFO(text);
  CHECK(has(text, "10.1.2.3"));
  CHECK(!has(text, "6.6.6.6"));
}

TEST_CASE("whom many strangers answer asks over TCP") {
  Stub stub([](const Stub::Asked& asked) -> Stub::Replies {
    if (asked.tcp) return {Stub::reply(asked, "10.1.2.3")};
    Stub::Replies forged;
    for (int i = 0; i < 20; ++i) {
      forged.push_back(Stub::reply(asked, "6.6.6.6"));
      forged.back()[1] = static_cast<uint8_t>(forged.back()[1] + i + 1);
    }
    return forged;
  });
  World world;
  world.use(world.directive({&stub}));
  CHECK(has(world.get("example.org."), "10.1.2.3"));
  CHECK(stub.seen().back() == "tcp example.org. A");
}

TEST_CASE("equal questions under way share one reply; the newest waits least while there is no room") {
  Stub stub([](const Stub::Asked& asked) -> Stub::Replies { return {Stub::reply(asked, "10.1.2.3")}; });
  World world;
  auto directive = world.directive({&stub});
  directive.max_concurrent = 1;
  world.use(directive, {.waiting = 2});
  std::vector<std::string> got;
  const auto ask = [&](const std::string& name) {
    world.forwarder->ask(World::asked(name), [&got, name, &world](const Forwarder::Reply& reply) {
      got.push_back(name + (reply ? "" : " " + std::string(to_string(reply.error().code()))));
      if (got.size() == 6) world.loop->stop();
    });
  };
  ask("first.org.");
  ask("first.org.");
  ask("oldest.org.");
  ask("older.org.");
  ask("newest.org.");
  ask("newest.org.");
  world.loop->run();
  CHECK(stub.seen() == std::vector<std::string>{"udp first.org. A", "udp newest.org. A", "udp older.org. A"});
  CHECK(std::ranges::count(got, "oldest.org. exhausted") == 1);
  CHECK(std::ranges::count(got, "newest.org.") == 2);
}

TEST_CASE("a port and an id are new for each question") {
  std::set<uint16_t> ports, ids;
  std::mutex mutex;
  Stub stub([&](const Stub::Asked& asked) -> Stub::Replies {
    const std::lock_guard lock(mutex);
    ports.insert(asked.port);
    ids.insert(read16(asked.packet, 0));
    return {Stub::reply(asked, "10.1.2.3")};
  });
  World world;
  world.use(world.directive({&stub}));
  for (int i = 0; i < 20; ++i) world.get(fmt::format("n{}.org.", i));
  const std::lock_guard lock(mutex);
  CHECK(ports.size() > 15);  // chance may give one twice
  CHECK(ids.size() > 15);
}

TEST_CASE("an upstream that sends our own question back is found and not asked any more") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.use(world.directive({&stub}));
  CHECK(world.forwarder->loop_names().size() == 1);
  world.forwarder->found_loop(0);
  CHECK(world.get("example.org.") == "error: unavailable");
  CHECK(world.forwarder->trouble() == "every upstream sends our own questions back to us");
}

TEST_CASE("over TLS the upstream's certificate must be for its name, and one connection carries many questions") {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("forward.{}", ::getpid());
  std::filesystem::create_directories(folder);
  auto authority = http::CertificateAuthority::create("test", std::chrono::system_clock::now());
  REQUIRE(authority);
  auto pair = authority->issue({.common_name = "dns.test", .dns_names = {"dns.test"}, .server = true},
                               std::chrono::system_clock::now());
  REQUIRE(pair);
  const std::string ca = (folder / "ca.pem").string();
  REQUIRE(replace_file(ca, authority->pair().certificate_pem));
  Stub stub(Stub::answers("10.1.2.3"), pair->certificate_pem, pair->key_pem);
  World world;
  auto directive = world.directive({&stub});
  directive.upstreams[0].tls = true;
  directive.upstreams[0].server_name = "dns.test";
  directive.tls_ca = ca;
  world.use(directive);
  CHECK(has(world.get("a.org."), "10.1.2.3"));
  CHECK(has(world.get("b.org."), "10.1.2.3"));
  CHECK(has(world.forwarder->page(), "connections 1,"));
  CHECK(stub.seen() == std::vector<std::string>{"tcp a.org. A", "tcp b.org. A"});

  directive.upstreams[0].server_name = "other.test";
  world.use(directive);
  CHECK(world.get("c.org.") == "error: unavailable");
  directive.upstreams[0].server_name = "dns.test";
  directive.tls_ca.clear();  // the system's CAs do not know ours
  world.use(directive);
  CHECK(world.get("d.org.") == "error: unavailable");
  CHECK(stub.seen().size() == 2);
  directive.tls_ca = (folder / "none.pem").string();
  const auto refused = Forwarder::make(*world.loop, directive);
  REQUIRE(!refused);
  CHECK(refused.error().message().starts_with("Corefile:1: forward: tls: " + directive.tls_ca +
                                              " has no CA certificate"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace causeway::dns
