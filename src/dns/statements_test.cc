// The statements of the contract (docs/dns.md), by their numbers: `./dev test dns --list` reads the names of these
// cases, "dns N: ...", and fails where a statement has none. Those about upstreams and sockets are tested where they
// are.
#include <doctest/doctest.h>

#include "dns/names_world.h"

using namespace causeway;
using namespace causeway::dns;

namespace {

const Facts kWeb{.key = {Kind::Service, "default", "web"},
                 .ips = {ip("10.96.0.10")},
                 .ports = {{"http", kTcp, 80}, {"dns", kUdp, 53}, {"", kTcp, 81}},
                 .ends = {{.ip = ip("10.1.0.5"), .ports = {{"http", kTcp, 8080}}}}};
const std::string kWebName = "web.default.svc.cluster.local";

Facts headless() {
  return {.key = {Kind::Service, "default", "db"},
          .headless = true,
          .ends = {{.ip = ip("10.1.0.7"), .hostname = "db-1", .pod = "db-1", .ports = {{"sql", kTcp, 5432}}},
                   {.ip = ip("10.1.0.6"), .hostname = "db-0", .pod = "db-0", .ports = {{"sql", kTcp, 5432}}},
                   {.ip = ip("10.1.0.8"), .pod = "db-extra-4711", .ports = {{"sql", kTcp, 5432}}}}};
}

}  // namespace

TEST_CASE("dns 1: dns-version tells the version of the specification") {
  World world;
  CHECK(world.data("dns-version.cluster.local", Type::TXT) == "\"1.1.0\"");
  CHECK(world.data("dns-version.clusterset.local", Type::TXT) == "\"1.0.0\"");
  CHECK(world.verdict("dns-version.cluster.local") == "NODATA");
  CHECK(world.verdict("x.dns-version.cluster.local", Type::TXT) == "NXDOMAIN");
}

TEST_CASE("dns 2: a Service has its cluster IPs, with or without endpoints; the other family is no data") {
  World world;
  world.put(kWeb).put({.key = {Kind::Service, "default", "dual"}, .ips = {ip("10.96.0.11"), ip("fd00::b")}});
  CHECK(world.ask(kWebName) == "NOERROR aa\n" + kWebName + ". 5 A 10.96.0.10\n");
  CHECK(world.verdict(kWebName, Type::AAAA) == "NODATA");
  CHECK(world.data("dual.default.svc.cluster.local") == "10.96.0.11");
  CHECK(world.data("dual.default.svc.cluster.local", Type::AAAA) == "fd00::b");
  CHECK(world.verdict(kWebName, Type::MX) == "NODATA");
  // A name may begin with a digit (KEP-5311).
  world.put({.key = {Kind::Service, "default", "3scale"}, .ips = {ip("10.96.0.12")}});
  CHECK(world.data("3scale.default.svc.cluster.local") == "10.96.0.12");
  world.gone(kWeb.key);
  CHECK(world.verdict(kWebName) == "NXDOMAIN");
}

TEST_CASE("dns 3: a named port has an SRV, an unnamed one and a wrong protocol none") {
  World world;
  Facts web = kWeb;
  web.ips.push_back(ip("fd00::a"));
  web.ports.push_back({"signal", kSctp, 9});
  world.put(web);
  CHECK(world.ask("_http._tcp." + kWebName, Type::SRV) ==
        "NOERROR aa\n_http._tcp." + kWebName + ". 5 SRV 0 50 80 " + kWebName + ".\nadditional: " + kWebName +
            ". 5 A 10.96.0.10\nadditional: " + kWebName + ". 5 AAAA fd00::a\n");
  CHECK(world.data("_dns._udp." + kWebName, Type::SRV).ends_with(" 53 " + kWebName + "."));
  CHECK(world.data("_signal._sctp." + kWebName, Type::SRV).ends_with(" 9 " + kWebName + "."));
  CHECK(world.verdict("_http._udp." + kWebName, Type::SRV) == "NXDOMAIN");
  CHECK(world.verdict("_._tcp." + kWebName, Type::SRV) == "NXDOMAIN");
  CHECK(world.verdict("_ftp._tcp." + kWebName, Type::SRV) == "NXDOMAIN");
  CHECK(world.verdict("_tcp." + kWebName, Type::SRV) == "NODATA");  // names are below it (RFC 8020)
  CHECK(world.verdict("_sctp._tcp." + kWebName, Type::SRV) == "NXDOMAIN");
}

TEST_CASE("dns 4: a headless Service is its ready endpoints, each once; none is NXDOMAIN") {
  World world;
  Facts db = headless();
  db.ends.push_back(db.ends[0]);  // in two slices, while it moves
  world.put(db);
  CHECK(world.data("db.default.svc.cluster.local") == "10.1.0.6  10.1.0.7  10.1.0.8");
  CHECK(world.verdict("db.default.svc.cluster.local", Type::AAAA) == "NODATA");
  Facts::End other = db.ends[0];  // the same address with other ports
  other.ports = {{"admin", kTcp, 1}};
  db.ends.push_back(other);
  world.put(db);
  CHECK(world.data("db.default.svc.cluster.local") == "10.1.0.6  10.1.0.7  10.1.0.8");
  db.ends.clear();
  world.put(db);
  CHECK(world.verdict("db.default.svc.cluster.local") == "NXDOMAIN");
  CHECK(world.verdict("_sql._tcp.db.default.svc.cluster.local", Type::SRV) == "NXDOMAIN");
}

TEST_CASE("dns 5: an endpoint is called by its hostname, else by its address, or by its Pod") {
  World world;
  Facts db = headless();
  db.ends.push_back({.ip = ip("fd00::6"), .hostname = "db-0"});
  db.ends.push_back({.ip = ip("fd00::"), .pod = std::string(64, 'x')});
  db.ends.push_back({.ip = ip("10.1.0.9"), .hostname = "db-0"});
  world.put(db);
  const std::string under = ".db.default.svc.cluster.local";
  CHECK(world.data("db-0" + under) == "10.1.0.6  10.1.0.9");
  CHECK(world.data("DB-0" + under, Type::AAAA) == "fd00::6");
  CHECK(world.data("10-1-0-8" + under) == "10.1.0.8");
  CHECK(world.data("fd00--0" + under, Type::AAAA) == "fd00::");
  CHECK(world.verdict("10-1-0-6" + under) == "NXDOMAIN");  // it is called db-0
  CHECK(world.verdict("010-1-0-8" + under) == "NXDOMAIN");
  CHECK(world.verdict("db-extra-4711" + under) == "NXDOMAIN");
  world.view.endpoint_pod_names = true;
  CHECK(world.data("db-extra-4711" + under) == "10.1.0.8");
  CHECK(world.verdict("10-1-0-8" + under) == "NXDOMAIN");
  CHECK(world.data("fd00--0" + under, Type::AAAA) == "fd00::");  // a Pod's name above 63 octets is none
  CHECK(world.verdict("db-2" + under) == "NXDOMAIN");
}

TEST_CASE("dns 6: a headless port has an SRV for each ready endpoint and named port, with the endpoint's own number") {
  World world;
  Facts db = headless();
  db.ends[2].ports = {{"sql", kTcp, 6543}};
  db.ends.push_back({.ip = ip("fd00::6"), .hostname = "db-0", .ports = {{"sql", kTcp, 5432}}});
  db.ends[0].ports.push_back({"", kTcp, 99});
  world.put(db);
  const std::string name = "db.default.svc.cluster.local";
  CHECK(world.data("_sql._tcp." + name, Type::SRV) ==
        "0 25 5432 db-0." + name + ".  0 25 5432 db-1." + name + ".  0 25 6543 10-1-0-8." + name + ".");
  const std::string whole = world.ask("_sql._tcp." + name, Type::SRV);
  CHECK(whole.find("additional: db-0." + name + ". 5 A 10.1.0.6\n") != whole.npos);
  CHECK(whole.find("additional: db-0." + name + ". 5 AAAA fd00::6\n") != whole.npos);
  CHECK(world.verdict("_sql._udp." + name, Type::SRV) == "NXDOMAIN");
}

TEST_CASE("dns 7: addresses have names: cluster IPs their Service's, ready endpoints theirs in each Service") {
  World world;
  Facts again = headless();
  again.key.name = "db-all";
  Facts web = kWeb;
  web.ips.push_back(ip("fd00::a"));
  world.put(web).put(headless()).put(again);
  CHECK(world.ask("10.0.96.10.in-addr.arpa", Type::PTR) ==
        "NOERROR aa\n10.0.96.10.in-addr.arpa. 5 PTR " + kWebName + ".\n");
  CHECK(world.data("a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.D.f.ip6.arpa", Type::PTR) ==
        kWebName + ".");
  const std::string both = world.data("6.0.1.10.in-addr.arpa", Type::PTR);
  CHECK(both.find("db-0.db.default.svc.cluster.local.") != both.npos);
  CHECK(both.find("db-0.db-all.default.svc.cluster.local.") != both.npos);
  CHECK(world.data("5.0.1.10.in-addr.arpa", Type::PTR) == "10-1-0-5." + kWebName + ".");
  CHECK(world.verdict("10.0.96.10.in-addr.arpa") == "NODATA");
  CHECK(world.verdict("99.0.96.10.in-addr.arpa", Type::PTR) == "NXDOMAIN");
  CHECK(world.verdict("96.10.in-addr.arpa", Type::PTR) == "NODATA");
  CHECK(world.verdict("x.96.10.in-addr.arpa", Type::PTR) == "NXDOMAIN");
  CHECK(world.verdict("1.10.0.96.10.in-addr.arpa", Type::PTR) == "NXDOMAIN");
  Facts fewer = headless();
  fewer.ends.erase(fewer.ends.begin() + 1);
  world.put(fewer);
  CHECK(world.data("6.0.1.10.in-addr.arpa", Type::PTR) == "db-0.db-all.default.svc.cluster.local.");
}

TEST_CASE("dns 8: an ExternalName is an alias for every type, to be followed; a number is none") {
  World world;
  const auto external = [&](std::string target) {
    world.put({.key = {Kind::Service, "default", "out"}, .external = std::move(target)});
  };
  for (const std::string& target : {"www.example.com", "www.example.com."}) {
    external(target);
    for (const Type type : {Type::A, Type::AAAA, Type::SRV, Type::TXT, Type::HTTPS}) {
      CHECK(world.ask("out.default.svc.cluster.local", type) ==
            "NOERROR aa\nout.default.svc.cluster.local. 5 CNAME www.example.com.\n");
      CHECK(world.last.outcome == Outcome::Follow);
      CHECK(to_string(world.last.target) == "www.example.com.");
    }
  }
  world.ask("out.default.svc.cluster.local", Type::CNAME);
  CHECK(world.last.outcome == Outcome::Answered);
  CHECK(world.verdict("x.out.default.svc.cluster.local") == "NXDOMAIN");
  CHECK(world.verdict("_a._tcp.out.default.svc.cluster.local", Type::SRV) == "NXDOMAIN");
  for (const std::string& target : {"192.0.2.1", "fd00::1", "a..b", "."}) {
    external(target);
    CHECK(world.verdict("out.default.svc.cluster.local") == "NXDOMAIN");
  }
}

TEST_CASE("dns 9: letters have no case, and the question is echoed octet for octet") {
  World world;
  world.put(kWeb).put({.key = {Kind::Service, "Default", "LOUD"}, .ips = {ip("10.96.0.13")}});
  const auto reply = world.ask_octets("wEb.DEFAULT.sVc.Cluster.LOCAL", Type::A);
  CHECK(
      to_text(reply).ends_with("? wEb.DEFAULT.sVc.Cluster.LOCAL. A\nwEb.DEFAULT.sVc.Cluster.LOCAL. 5 A 10.96.0.10\n"));
  CHECK(world.data("loud.default.svc.cluster.local") == "10.96.0.13");
  CHECK(world.data("_HTTP._Tcp." + kWebName, Type::SRV).ends_with(" 80 " + kWebName + "."));
  CHECK(world.data("5.0.1.10.IN-ADDR.arpa", Type::PTR) == "10-1-0-5." + kWebName + ".");
}

TEST_CASE("dns 10: what does not exist comes with one SOA; apex, svc, pod and a namespace exist") {
  World world;
  world.ns("default").put(kWeb);
  const std::string soa = "authority: cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. " +
                          std::to_string(world.tables.serial()) + " 7200 1800 86400 5\n";
  CHECK(world.ask("nobody.default.svc.cluster.local") == "NXDOMAIN aa\n" + soa);
  CHECK(world.ask(kWebName, Type::AAAA) == "NOERROR aa\n" + soa);
  for (const char* name :
       {"cluster.local", "svc.cluster.local", "default.svc.cluster.local", "pod.cluster.local", "dns.cluster.local"})
    CHECK(world.verdict(name) == "NODATA");
  for (const char* name : {"nobody.svc.cluster.local", "x.cluster.local", "x.x.x.x.x.x.x.x.cluster.local"})
    CHECK(world.verdict(name) == "NXDOMAIN");
  CHECK(world.verdict("nobody.default.svc.cluster.local", Type::SOA) == "NXDOMAIN");
  world.view.ttl = 30;
  CHECK(world.ask("nobody.default.svc.cluster.local").find("authority: cluster.local. 30 SOA") != std::string::npos);
  CHECK(world.data("cluster.local", Type::SOA).ends_with(" 30"));
  world.view.server_addresses = {ip("10.96.0.10"), ip("fd00::a")};
  CHECK(world.ask("cluster.local", Type::NS) ==
        "NOERROR aa\ncluster.local. 30 NS ns.dns.cluster.local.\nadditional: ns.dns.cluster.local. 30 A 10.96.0.10\n"
        "additional: ns.dns.cluster.local. 30 AAAA fd00::a\n");
  CHECK(world.data("ns.dns.cluster.local") == "10.96.0.10");
  CHECK(world.verdict("example.com") == "not ours");
}

TEST_CASE("dns 11: a reply fits what the client takes, else TC; TCP has all; OPT answers OPT") {
  World world;
  Facts many{.key = {Kind::Service, "default", "many"}, .headless = true};
  const auto with = [&](uint32_t count) {
    many.ends.clear();
    for (uint32_t i = 0; i < count; ++i)
      many.ends.push_back({.ip = Ip::v4(0x0a010000 + i), .ports = {{"http", kTcp, 80}}});
    world.put(many);
  };
  const auto said = [&](bool tcp, uint16_t payload, Type type = Type::A, const std::string& prefix = "") {
    const auto reply = world.ask_octets(prefix + "m.d.svc.cluster.local", type, tcp, payload);
    const auto parsed = parse_response(reply);
    return fmt::format("{}{}{}", parsed->answers, parsed->flags.has(Flags::kTruncated) ? " tc" : "",
                       parsed->edns ? " opt" : "");
  };
  many.key = {Kind::Service, "d", "m"};
  with(29);
  CHECK(said(false, 0) == "29");
  with(30);
  CHECK(said(false, 0) == "29 tc");
  CHECK(said(false, 1232) == "30 opt");
  CHECK(said(false, 100) == "28 tc opt");
  CHECK(said(true, 0) == "30");
  with(5000);
  CHECK(said(false, 4096) == "73 tc opt");
  CHECK(said(true, 0) == "4093 tc");  // 65,535 octets hold no more
  with(400);
  CHECK(said(true, 4096, Type::SRV, "_http._tcp.") == "400 opt");
  CHECK(said(false, 0, Type::SRV, "_http._tcp.").ends_with(" tc"));
}

TEST_CASE("dns 12: Pods are called by their addresses: not at all, any, or those that live") {
  World world;
  world.ns("default").put({.key = {Kind::Pod, "default", "a"}, .ips = {ip("10.1.0.5"), ip("fd00::5")}});
  const std::string under = ".default.pod.cluster.local";
  CHECK(world.verdict("10-1-0-5" + under) == "NXDOMAIN");
  world.view.pods = PodMode::Insecure;
  CHECK(world.data("10-1-0-5" + under) == "10.1.0.5");
  CHECK(world.data("192-0-2-1" + under) == "192.0.2.1");
  CHECK(world.data("fd00--5" + under, Type::AAAA) == "fd00::5");
  CHECK(world.verdict("10-1-0-5" + under, Type::AAAA) == "NODATA");
  CHECK(world.verdict("default.pod.cluster.local") == "NODATA");
  for (const char* bad :
       {"10-1-0-5.other.pod.cluster.local", "other.pod.cluster.local", "10-1-0.default.pod.cluster.local",
        "10-1-0-256.default.pod.cluster.local", "010-1-0-5.default.pod.cluster.local", "x.default.pod.cluster.local",
        "x.10-1-0-5.default.pod.cluster.local"})
    CHECK(world.verdict(bad) == "NXDOMAIN");
  world.view.pods = PodMode::Verified;
  CHECK(world.data("10-1-0-5" + under) == "10.1.0.5");
  CHECK(world.data("fd00--5" + under, Type::AAAA) == "fd00::5");  // of podIPs, too
  CHECK(world.verdict("192-0-2-1" + under) == "NXDOMAIN");
  world.ns("other");
  CHECK(world.verdict("10-1-0-5.other.pod.cluster.local") == "NXDOMAIN");
  CHECK(pod_at(world.tables, ip("10.1.0.5")) == "default/a");
}

TEST_CASE("dns 13: no wildcards, nothing deeper than the grammar, and filters hide PTR, too") {
  World world;
  Facts hidden = kWeb;
  hidden.key.ns = "secret";
  hidden.ips = {ip("10.96.0.99")};
  hidden.ends.clear();
  world.ns("default", {{"team", "a"}}).ns("secret", {{"team", "b"}}).put(kWeb).put(hidden);
  for (const std::string& name :
       {"*.default.svc.cluster.local", "web.*.svc.cluster.local", "any.default.svc.cluster.local",
        "a.b.web.default.svc.cluster.local", "a._http._tcp.web.default.svc.cluster.local"})
    CHECK(world.verdict(name) == "NXDOMAIN");
  const auto shown = [&] {
    return world.verdict("web.secret.svc.cluster.local") + " " + world.verdict("99.0.96.10.in-addr.arpa", Type::PTR) +
           " " + world.verdict("secret.svc.cluster.local") + " " + world.verdict(kWebName);
  };
  CHECK(shown() == "NOERROR NOERROR NODATA NOERROR");
  world.tables.set_filters({Filter{.namespaces = {"default"}}});
  CHECK(shown() == "NXDOMAIN NXDOMAIN NXDOMAIN NOERROR");
  world.tables.set_filters({Filter{.namespace_labels = kube::Selector::parse("team=a").value()}});
  CHECK(shown() == "NXDOMAIN NXDOMAIN NXDOMAIN NOERROR");
  world.ns("secret", {{"team", "a"}});
  CHECK(shown() == "NOERROR NOERROR NODATA NOERROR");
  world.tables.set_filters({Filter{.labels = kube::Selector::parse("public").value()}});
  CHECK(shown() == "NXDOMAIN NXDOMAIN NODATA NXDOMAIN");
  hidden.labels = {{"public", ""}};
  world.put(hidden);
  CHECK(shown() == "NOERROR NOERROR NODATA NXDOMAIN");
  world.tables.set_filters({Filter{}, Filter{.namespaces = {"default"}}});
  world.view.filter = 1;
  CHECK(shown() == "NXDOMAIN NXDOMAIN NXDOMAIN NOERROR");
  world.view.filter = 0;
  CHECK(shown() == "NOERROR NOERROR NODATA NOERROR");

  world.view.ignore_empty_services = true;
  CHECK(world.verdict("web.secret.svc.cluster.local") == "NXDOMAIN");
  CHECK(world.verdict(kWebName) == "NOERROR");
  world.put(headless());
  world.view.no_endpoints = true;
  CHECK(world.verdict("db.default.svc.cluster.local") == "NXDOMAIN");
  CHECK(world.verdict("10-1-0-5." + kWebName) == "NXDOMAIN");
  CHECK(world.verdict("5.0.1.10.in-addr.arpa", Type::PTR) == "NXDOMAIN");
  world.view.fall_through = true;
  CHECK(world.verdict("nobody.cluster.local") == "falls through");
  world.view.fall_through_zones = {WireName::parse("in-addr.arpa").value()};
  CHECK(world.verdict("nobody.cluster.local") == "NXDOMAIN");
  CHECK(world.verdict("5.0.1.10.in-addr.arpa", Type::PTR) == "falls through");
}

TEST_CASE("dns 14: before the first complete list it is SERVFAIL, after it never again") {
  Tables tables;
  Tables::Reader reader(tables.epochs());
  reader.quiet();
  World asker;
  const auto rcode = [&] {
    std::array<uint8_t, 512> question, room;
    Writer writer(question, 512);
    writer.ask(1, WireName::parse("x.cluster.local").value(), Type::A, 0);
    Query query;
    REQUIRE(parse_query(writer.finish(), query) == Verdict::Answer);
    Writer reply(room, 512);
    const Answer said = answer(tables, View{}, query, reply);
    CHECK((said.outcome == Outcome::NotLoaded) == (said.rcode == Rcode::ServFail));
    return to_string(parse_response(reply.finish())->rcode());
  };
  CHECK(rcode() == "SERVFAIL");
  tables.begin_list();
  CHECK(rcode() == "SERVFAIL");
  tables.end_list();
  CHECK(rcode() == "NXDOMAIN");
  tables.begin_list();
  CHECK(rcode() == "NXDOMAIN");
}

TEST_CASE("dns 15: imported Services are in clusterset.local, endpoints below their cluster") {
  World world;
  world.ns("default")
      .put({.key = {Kind::Import, "default", "web"}, .ips = {ip("10.97.0.1")}, .ports = {{"http", kTcp, 80}}})
      .put({.key = {Kind::Import, "default", "db"},
            .headless = true,
            .ends = {{.ip = ip("10.1.0.6"), .hostname = "db-0.east", .ports = {{"sql", kTcp, 5432}}},
                     {.ip = ip("10.2.0.6"), .hostname = "db-0.west", .ports = {{"sql", kTcp, 5432}}}}});
  CHECK(world.data("web.default.svc.clusterset.local") == "10.97.0.1");
  CHECK(world.verdict("web.default.svc.cluster.local") == "NXDOMAIN");
  CHECK(world.data("_http._tcp.web.default.svc.clusterset.local", Type::SRV) ==
        "0 100 80 web.default.svc.clusterset.local.");
  CHECK(world.data("db.default.svc.clusterset.local") == "10.1.0.6  10.2.0.6");
  CHECK(world.data("db-0.west.db.default.svc.clusterset.local") == "10.2.0.6");
  CHECK(world.data("_sql._tcp.db.default.svc.clusterset.local", Type::SRV) ==
        "0 50 5432 db-0.east.db.default.svc.clusterset.local.  0 50 5432 db-0.west.db.default.svc.clusterset.local.");
  CHECK(world.verdict("west.db.default.svc.clusterset.local") == "NODATA");  // it selects no cluster
  CHECK(world.verdict("north.db.default.svc.clusterset.local") == "NXDOMAIN");
  CHECK(world.verdict("10-1-0-6.default.pod.clusterset.local") == "NXDOMAIN");
}

TEST_CASE("dns 16: AXFR lists every record once, each as it is answered; the serial follows changes") {
  World world;
  Facts db = headless();
  for (uint32_t i = 0; i < 900; ++i) db.ends.push_back({.ip = Ip::v4(0x0a020000 + i), .ports = {{"sql", kTcp, 5432}}});
  world.ns("default").put(kWeb).put(db).put({.key = {Kind::Service, "default", "out"}, .external = "example.com"});
  world.view.server_addresses = {ip("10.96.0.10")};
  const auto transfer = [&](std::string_view zone, size_t& messages) {
    std::array<uint8_t, 512> question;
    Writer writer(question, 512);
    writer.ask(1, WireName::parse(zone).value(), Type::AXFR, 0);
    Query query;
    REQUIRE(parse_query(writer.finish(), query) == Verdict::Answer);
    std::vector<std::string> lines;
    auto all = Transfer::begin(world.tables, world.view, query);
    if (!all) return lines;
    std::vector<uint8_t> room(kMostMessage);
    for (messages = 0;; ++messages) {
      const auto message = all->next(room);
      if (message.empty()) break;
      REQUIRE(parse_response(message));
      const std::string text = to_text(message);
      for (size_t at = text.find('\n', text.find("? ")) + 1; at < text.size(); at = text.find('\n', at) + 1)
        lines.push_back(text.substr(at, text.find('\n', at) - at));
    }
    return lines;
  };
  size_t messages = 0;
  const auto lines = transfer("cluster.local", messages);
  CHECK(messages > 1);
  REQUIRE(lines.size() > 2700);
  CHECK(lines.front().find(" SOA ") != std::string::npos);
  CHECK(lines.back() == lines.front());
  CHECK(std::set(lines.begin() + 1, lines.end()).size() == lines.size() - 1);
  for (size_t i = 1; i + 1 < lines.size(); i += i < 20 ? 1 : 131) {
    const auto words = [&](int at) {
      size_t from = 0;
      for (; at > 0; --at) from = lines[i].find(' ', from) + 1;
      return lines[i].substr(from, lines[i].find(' ', from) - from);
    };
    CAPTURE(lines[i]);
    const std::string type = words(2);
    const Type asked = type == "SRV"     ? Type::SRV
                       : type == "NS"    ? Type::NS
                       : type == "TXT"   ? Type::TXT
                       : type == "CNAME" ? Type::CNAME
                                         : Type::A;
    const std::string said = world.data(words(0), asked),
                      data = lines[i].substr(lines[i].find(" " + type + " ") + type.size() + 2);
    // Weights are shares of what is asked for; the rest is the same.
    CHECK(said.find(asked == Type::SRV ? data.substr(data.rfind(' ') + 1) : data) != said.npos);
  }
  CHECK(transfer("in-addr.arpa", messages).size() == 2 + 1 + 1 + 1 + 903);
  CHECK(transfer("default.svc.cluster.local", messages).empty());
  const uint32_t serial = world.tables.serial();
  world.put(kWeb);
  CHECK(world.tables.serial() == serial);
  Facts web = kWeb;
  web.ips = {ip("10.96.0.20")};
  world.put(web);
  CHECK(world.tables.serial() == serial + 1);
  const std::string block = encode(kWeb);
  world.tables.put(*Entry::parse({reinterpret_cast<const uint8_t*>(block.data()), block.size()}));
  world.tables.commit(2'000'000'000);
  CHECK(world.tables.serial() == 2'000'000'000);
}
