#include <doctest/doctest.h>

#include "dns/server_world.h"

namespace causeway::dns {
namespace {

using World = ServerWorld;

TEST_CASE("acl refuses, empties, drops or lets pass by type and source") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.start(
      ". {\n acl a.org {\n block type AAAA net 127.0.0.0/8\n filter type TXT\n drop type MX\n allow net 127.0.0.1\n "
      "block\n }\n"
      " acl b.org {\n allow net 10.0.0.0/8\n block\n }\n " +
      forward_to(stub) + "}\n");
  CHECK(has(world.get("a.org.", Type::AAAA), "REFUSED"));
  CHECK(has(world.get("a.org.", Type::TXT), "NOERROR"));
  auto reply = run_until_done(
      *world.loop, world.udp({World::question("a.org.", Type::MX), World::question("a.org.", Type::A, 0, 99)}));
  REQUIRE(reply);
  CHECK(read16(*reply, 0) == 99);
  CHECK(has(world.get("b.org."), "REFUSED"));
  CHECK(has(world.get("c.org."), "10.1.2.3"));
  CHECK(stub.seen() == std::vector<std::string>{"udp a.org. A", "udp c.org. A"});
}

TEST_CASE("hosts answers names and addresses, of lines and of a file that changes, and lets others fall through") {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("server.{}", ::getpid());
  std::filesystem::create_directories(folder);
  const std::string file = (folder / "hosts").string();
  REQUIRE(replace_file(file, "10.0.0.9 file.org # comment\nbad line\n2001:db8::9 file.org\n"));
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.start(". {\n hosts " + file +
              " org 0.10.in-addr.arpa {\n 10.0.0.8 line.org\n ttl 77\n reload 20ms\n fallthrough\n }\n " +
              forward_to(stub) + "}\n");
  CHECK(has(world.get("FILE.org."), "FILE.org. 77 A 10.0.0.9"));
  CHECK(has(world.get("file.org.", Type::AAAA), "2001:db8::9"));
  CHECK(has(world.get("line.org."), "10.0.0.8"));
  CHECK(has(world.get("8.0.0.10.in-addr.arpa.", Type::PTR), "PTR line.org."));
  const std::string nodata = world.get("line.org.", Type::AAAA);
  CHECK(has(nodata, "NOERROR"));
  CHECK(has(world.get("other.org."), "10.1.2.3"));
  REQUIRE(replace_file(file, "10.0.0.7 file.org\n"));
  std::string text;
  for (int i = 0; i < 200 && !has(text, "10.0.0.7"); ++i) {
    run_until_done(*world.loop, world.loop->sleep(10ms));
    text = world.get("file.org.");
  }
  CHECK(has(text, "10.0.0.7"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("rewrite asks for another name and answers to the one that was asked") {
  Stub stub(
      [](const Stub::Asked& asked) -> Stub::Replies { return {Stub::reply(asked, "10.1.2.3", Rcode::NoError, 600)}; });
  World world;
  world.start(R"(. {
    rewrite name exact a.org b.org answer auto
    rewrite continue ttl exact ttl.org 30
    rewrite name regex (.*)\.short\.org {1}.long.example.net answer name (.*)\.long\.example\.net {1}.short.org
    rewrite name suffix .old.org .new.org
    rewrite type MX TXT
    )" + forward_to(stub) +
              "}\n");
  const std::string exact = world.get("a.org.");
  INFO(exact);
  CHECK(has(exact, "? a.org. A"));
  CHECK(has(exact, "\na.org. 600 A 10.1.2.3"));
  CHECK(has(world.get("x.short.org."), "\nx.short.org. 600 A 10.1.2.3"));
  CHECK(has(world.get("y.old.org."), "? y.old.org. A"));
  CHECK(has(world.get("ttl.org."), "ttl.org. 30 A"));
  CHECK(has(world.get("m.org.", Type::MX), "? m.org. MX"));
  CHECK(stub.seen() == std::vector<std::string>{"udp b.org. A", "udp x.long.example.net. A", "udp y.new.org. A",
                                                "udp ttl.org. A", "udp m.org. TXT"});
}

TEST_CASE("template makes answers of the question's parts") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.start(R"(. {
    template IN A ip.org {
      match "^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)\.ip\.org\.$"
      answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ index .Match 2 }}"
      fallthrough
    }
    template ANY ANY no.org {
      rcode NXDOMAIN
      authority "no.org. 60 IN SOA ns.no.org. mail.no.org. 1 2 3 4 5"
    }
    template IN TXT only.org {
      match "^only\.org\.$"
      answer "only.org. 60 IN TXT \"two words\""
    }
    )" + forward_to(stub) +
              "}\n");
  CHECK(has(world.get("ip-3-4.ip.org."), "ip-3-4.ip.org. 60 A 10.0.3.4"));
  CHECK(has(world.get("other.ip.org."), "10.1.2.3"));
  CHECK(has(world.get("ip-3-999.ip.org."), "SERVFAIL"));
  const std::string no = world.get("x.no.org.", Type::AAAA);
  INFO(no);
  CHECK(has(no, "NXDOMAIN"));
  CHECK(has(no, "no.org. 60 SOA"));
  CHECK(has(world.get("only.org.", Type::TXT), "two words"));
  CHECK(has(world.get("x.only.org.", Type::TXT), "NXDOMAIN"));
  const auto bad = world.try_start(". {\n template IN A {\n answer \"{{ .Nmae }} 60 IN A 10.0.0.1\"\n }\n}\n");
  REQUIRE(!bad);
  CHECK(has(bad.error().message(), "the built-in Corefile:2: template: {{  .Nmae  }} is not known here"));
}

TEST_CASE("dns64 shows IPv4 addresses within its prefix where there is no AAAA") {
  Stub stub([](const Stub::Asked& asked) -> Stub::Replies {
    const std::string name = to_string(asked.query.question.name);
    if (name == "none.org.") return {Stub::reply(asked, "", Rcode::NxDomain)};
    if (asked.query.question.type == Type::A) return {Stub::reply(asked, "192.0.2.1")};
    return {name == "six.org." ? Stub::reply(asked, "2001:db8::6") : Stub::reply(asked, "")};
  });
  World world;
  world.start(". {\n dns64 {\n allow_ipv4\n }\n " + forward_to(stub) + "}\n");
  CHECK(has(world.get("four.org.", Type::AAAA), "four.org. 60 AAAA 64:ff9b::c000:201"));
  CHECK(has(world.get("six.org.", Type::AAAA), "2001:db8::6"));
  CHECK(has(world.get("none.org.", Type::AAAA), "NXDOMAIN"));
  world.start(". {\n dns64\n " + forward_to(stub) + "}\n");
  CHECK(!has(world.get("four.org.", Type::AAAA), "64:ff9b"));  // clients over IPv4 have no use for it
}

TEST_CASE("loadbalance turns the addresses of an answer round") {
  Stub stub([](const Stub::Asked& asked) -> Stub::Replies {
    Bytes room(4096);
    Writer writer(room, room.size());
    writer.reply(asked.query, Rcode::NoError, false);
    for (int i = 1; i <= 3; ++i)
      writer.address(asked.query.question.name, 60, Ip::v4(0x0A000000u + static_cast<uint32_t>(i)));
    room.resize(writer.finish().size());
    return {room};
  });
  World world;
  const auto firsts = [&] {
    std::set<std::string> seen;
    for (int i = 0; i < 60; ++i) {
      const auto reply = run_until_done(*world.loop, world.udp({World::question("many.org.")}));
      REQUIRE(reply);
      const auto message = decode(*reply);
      REQUIRE(message);
      std::set<uint8_t> all;
      for (const Resource& record : message->records) all.insert(record.data[3]);
      CHECK(all == std::set<uint8_t>{1, 2, 3});
      seen.insert(std::to_string(message->records[0].data[3]));
    }
    return seen.size();
  };
  world.start(". {\n loadbalance\n cache\n " + forward_to(stub) + "}\n");
  CHECK(firsts() == 3);
  world.start(". {\n cache\n " + forward_to(stub) + "}\n");
  CHECK(firsts() == 1);
}

TEST_CASE("a server that is its own upstream finds it, answers SERVFAIL and says so") {
  World world;
  Stub stub(Stub::answers("10.1.2.3"));
  world.start(". {\n " + forward_to(stub) + "}\n");
  const uint16_t port = world.names->server().bound_port();
  world.names.reset();
  // The same port again, now as its own upstream.
  ServerOptions server{.addresses = {Ip::v4(0x7F000001)}, .port = port, .workers = 1};
  auto started = Nameserver::start(
      *world.loop,
      {.corefile = "", .standard = fmt::format(". {{\n loop\n forward . 127.0.0.1:{}\n}}\n", port), .server = server},
      world.tables);
  REQUIRE(started);
  world.names = std::move(*started);
  for (int i = 0; i < 300 && !has(world.names->page(), "loops"); ++i)
    run_until_done(*world.loop, world.loop->sleep(10ms));
  CHECK(has(world.names->page(), "loops"));
  CHECK(has(world.get("example.org."), "SERVFAIL"));
}

TEST_CASE("a stale answer stands in while upstreams are silent") {
  std::atomic<bool> silent = false;
  Stub stub([&](const Stub::Asked& asked) -> Stub::Replies {
    if (silent) return {Stub::reply(asked, "", Rcode::ServFail)};
    return {Stub::reply(asked, "10.1.2.3", Rcode::NoError, 1)};
  });
  World world;
  world.start(". {\n cache\n " + forward_to(stub) + "}\n");
  CHECK(has(world.get("a.org."), "10.1.2.3"));
  silent = true;
  run_until_done(*world.loop, world.loop->sleep(1100ms));
  const std::string stale = world.get("a.org.");
  INFO(stale);
  CHECK(has(stale, "10.1.2.3"));
  CHECK(has(world.get("b.org."), "SERVFAIL"));
}

TEST_CASE("a changed Corefile comes into use, a bad one changes nothing and is told") {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("reload.{}", ::getpid());
  std::filesystem::create_directories(folder);
  const std::string file = (folder / "Corefile").string();
  Stub first(Stub::answers("10.0.0.1")), second(Stub::answers("10.0.0.2"));
  REQUIRE(replace_file(file, ". {\n reload 2s\n " + forward_to(first) + "}\n"));
  World world;
  world.start(file);
  CHECK(has(world.get("a.org."), "10.0.0.1"));
  REQUIRE(replace_file(file, ". {\n reload 2s\n nonsense\n}\n"));
  const auto bad = world.names->reload();
  REQUIRE(!bad);
  CHECK(has(bad.error().message(), file + ":3: there is no directive \"nonsense\""));
  CHECK(has(world.names->page(), "the Corefile on disk is not in use: " + file + ":3"));
  CHECK(has(world.get("b.org."), "10.0.0.1"));
  REQUIRE(replace_file(file, ". {\n reload 2s\n " + forward_to(second) + "}\n"));
  std::string text;
  for (int i = 0; i < 500 && !has(text, "10.0.0.2"); ++i) {  // by its clock: nobody calls reload()
    run_until_done(*world.loop, world.loop->sleep(10ms));
    text = world.get(fmt::format("c{}.org.", i));
  }
  CHECK(has(text, "10.0.0.2"));
  CHECK(!has(world.names->page(), "not in use"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("metrics have CoreDNS' names, labels and counts") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.complete();
  world.start(". {\n kubernetes cluster.local\n cache\n " + forward_to(stub) + "}\n");
  world.get("a.org.");
  world.get("a.org.");
  world.get("x.svc.cluster.local.", Type::AAAA);
  const auto value = [&](const std::string& name, const std::map<std::string, std::string>& labels) {
    for (const Metric& metric : world.names->metrics())
      for (const Sample& sample : metric.samples) {
        if (metric.name != name) continue;
        const bool fits = std::ranges::all_of(labels, [&](const auto& label) {
          const auto found = sample.labels.find(label.first);
          return found != sample.labels.end() && found->second == label.second;
        });
        if (fits) return sample.histogram ? static_cast<double>(sample.histogram->count()) : sample.value;
      }
    return -1.0;
  };
  CHECK(value("coredns_dns_requests_total", {{"type", "A"}, {"proto", "udp"}, {"family", "1"}, {"zone", "."}}) == 2);
  CHECK(value("coredns_dns_requests_total", {{"type", "AAAA"}}) == 1);
  CHECK(value("coredns_dns_responses_total", {{"rcode", "NOERROR"}, {"plugin", "forward"}}) == 1);
  CHECK(value("coredns_dns_responses_total", {{"rcode", "NOERROR"}, {"plugin", "cache"}}) == 1);
  CHECK(value("coredns_dns_responses_total", {{"rcode", "NXDOMAIN"}, {"plugin", "kubernetes"}}) == 1);
  CHECK(value("coredns_dns_request_duration_seconds", {}) == 3);
  CHECK(value("coredns_cache_hits_total", {{"type", "success"}}) == 1);
  CHECK(value("coredns_cache_misses_total", {}) == 1);
  CHECK(value("coredns_cache_entries", {{"type", "success"}}) == 1);
  CHECK(value("coredns_proxy_request_duration_seconds", {{"rcode", "NOERROR"}}) == 1);
}

TEST_CASE("a lookup shows every step of a Pod's search list and who answered") {
  Stub stub(Stub::answers("10.1.2.3"));
  World world;
  world.put({.key = {Kind::Namespace, {}, Name("default")}});
  world.put({.key = {Kind::Pod, Name("default"), Name("client")}, .ips = {*Ip::parse("10.1.0.5")}});
  world.put(service("web", "10.96.0.1"));
  world.complete();
  world.start(". {\n kubernetes cluster.local\n " + forward_to(stub) + "}\n");
  const auto look = [&](const std::string& name, const std::string& type, const std::string& pod) {
    auto text = run_until_done(*world.loop, world.names->lookup(name, type, pod));
    return text ? *text : "error: " + text.error().message();
  };
  CHECK(look("web", "A", "client") ==
        "search default.svc.cluster.local. svc.cluster.local. cluster.local., ndots 5\n"
        "web.default.svc.cluster.local. A: NOERROR from kubernetes\n"
        "  web.default.svc.cluster.local. 5 A 10.96.0.1\n");
  CHECK(look("example.org", "A", "default/client") ==
        "search default.svc.cluster.local. svc.cluster.local. cluster.local., ndots 5\n"
        "example.org.default.svc.cluster.local. A: NXDOMAIN from kubernetes\n"
        "example.org.svc.cluster.local. A: NXDOMAIN from kubernetes\n"
        "example.org.cluster.local. A: NXDOMAIN from kubernetes\n"
        "example.org. A: NOERROR from forward\n  example.org. 60 A 10.1.2.3\n");
  CHECK(look("web", "A", "nobody") ==
        "error: there is no Pod nobody with an address among the names of this node's DNS");
  CHECK(look("a..b", "", "").starts_with("error: \"a..b\" is no DNS name"));
  CHECK(look("a.org.", "NONE", "") == "error: \"NONE\" is no record type: write it like A, AAAA or SRV");
}

}  // namespace
}  // namespace causeway::dns
