#include <doctest/doctest.h>

#include <random>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "kernel/conntrack/fake.h"
#include "kernel/nftables/fake.h"
#include "pod/hostport/apply_nft.h"
#include "pod/hostport/compile.h"

using namespace causeway;
using namespace causeway::pod::hostport;
using cluster::HostPort;
using cluster::Protocol;
using conntrack::Flow;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }

// A node with addresses 172.18.0.2 and fd00:18::2, and what an agent has of it.
struct World {
  VirtualLoop loop;
  nftables::FakeNftables nft;
  conntrack::FakeConntrack conntrack;
  cluster::Model model;
  std::unique_ptr<Applier> applier;

  World() { restart(); }
  void restart() {
    model = {};
    model.set_facts({.name = "n1",
                     .uplink = {.name = "eth0", .addresses = {{ip("172.18.0.2"), 24}, {ip("fd00:18::2"), 64}}},
                     .addresses = {ip("172.18.0.2"), ip("fd00:18::2")}});
    applier = std::make_unique<Applier>(nft, conntrack);
  }
  void attach(const std::string& name, std::vector<Ip> addresses, std::vector<HostPort> ports,
              uint64_t generation = 1) {
    model.put(cluster::Attachment{.key = {name, "eth0"},
                                  .pod = {"shop", name},
                                  .addresses = std::move(addresses),
                                  .generation = generation,
                                  .host_ports = std::move(ports)});
  }
  // What failed, one a line.
  std::string apply() {
    applier->changed(model.take_changes(), model);
    auto failures = run_until_done(loop, applier->apply());
    if (!failures) return failures.error().message() + "\n";
    std::string text;
    for (const auto& failure : *failures) text += failure.object + ": " + failure.error.message() + "\n";
    return text;
  }
  std::string elements() const {
    std::string text;
    const std::string all = nft.render();
    for (size_t at = 0; (at = all.find("elements = { ", at)) != std::string::npos;) {
      const size_t end = all.find(" }\n", at);
      text += all.substr(at + 13, end - at - 13) + "\n";
      at = end;
    }
    return text;
  }
};

}  // namespace

TEST_CASE("the section has the same rules for any number of ports, and their rows as elements") {
  World world;
  world.attach("web", {ip("10.1.0.5"), ip("fd00:1::5")},
               {{Protocol::Tcp, 80, 8080, {}}, {Protocol::Udp, 53, 53, ip("172.18.0.2")}});
  world.model.set_synced(cluster::Source::Attachments);
  CHECK(world.apply() == "");
  CHECK(world.nft.render() == R"(table inet causeway {
	map hostport-address4 {
		type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
		elements = { udp . 172.18.0.2 . 53 comment "shop/web" : 10.1.0.5 . 53 }
	}

	map hostport-address6 {
		type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service
	}

	map hostport-any4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 80 comment "shop/web" : 10.1.0.5 . 8080 }
	}

	map hostport-any6 {
		type inet_proto . inet_service : ipv6_addr . inet_service
		elements = { tcp . 80 comment "shop/web" : fd00:1::5 . 8080 }
	}

	set hostport-hairpin4 {
		type ipv4_addr . ipv4_addr
		elements = { 10.1.0.5 . 10.1.0.5 }
	}

	set hostport-hairpin6 {
		type ipv6_addr . ipv6_addr
		elements = { fd00:1::5 . fd00:1::5 }
	}

	chain hostport-guard {
		type filter hook prerouting priority raw; policy accept;
		iifname != "lo" ip daddr 127.0.0.0/8 drop
		iifname != "lo" ip saddr 127.0.0.0/8 drop
	}

	chain hostport-output {
		type nat hook output priority -95; policy accept;
		ip6 saddr ::1 return
		fib daddr type local jump hostport-rows
	}

	chain hostport-postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ct status dnat ip saddr 127.0.0.0/8 snat ip to 172.18.0.2
		ct status dnat ip saddr . ip daddr @hostport-hairpin4 snat ip to 172.18.0.2
		ct status dnat ip6 saddr . ip6 daddr @hostport-hairpin6 snat ip6 to fd00:18::2
	}

	chain hostport-prerouting {
		type nat hook prerouting priority dstnat + 5; policy accept;
		fib daddr type local jump hostport-rows
	}

	chain hostport-rows {
		dnat ip to meta l4proto . ip daddr . th dport map @hostport-address4
		dnat ip to meta l4proto . th dport map @hostport-any4
		dnat ip6 to meta l4proto . ip6 daddr . th dport map @hostport-address6
		dnat ip6 to meta l4proto . th dport map @hostport-any6
	}
}
)");
}

TEST_CASE("a port that is taken is refused with the name of its holder, and given when it is free") {
  World world;
  world.model.set_synced(cluster::Source::Attachments);
  world.attach("new", {ip("10.1.0.6")}, {{Protocol::Tcp, 80, 80, {}}}, 7);
  CHECK(world.apply() == "");
  world.attach("old", {ip("10.1.0.5")}, {{Protocol::Tcp, 80, 8080, {}}}, 3);
  CHECK(world.apply() ==
        "attachment new/eth0: host port 80/tcp of every IPv4 address is taken by Pod shop/old (attachment old/eth0)\n");
  CHECK(world.elements() == "tcp . 80 comment \"shop/old\" : 10.1.0.5 . 8080\n10.1.0.5 . 10.1.0.5\n");
  world.model.remove(cluster::AttachmentKey{"old", "eth0"});
  CHECK(world.apply() == "");
  CHECK(world.elements() == "tcp . 80 comment \"shop/new\" : 10.1.0.6 . 80\n10.1.0.6 . 10.1.0.6\n");
}

TEST_CASE("a restarted agent writes nothing, and removes nothing before it has read its journal") {
  World world;
  world.attach("web", {ip("10.1.0.5")}, {{Protocol::Tcp, 80, 8080, {}}});
  world.attach("gone", {ip("10.1.0.6")}, {{Protocol::Tcp, 81, 8080, {}}});
  world.model.set_synced(cluster::Source::Attachments);
  CHECK(world.apply() == "");
  const size_t transactions = world.nft.transactions;
  const std::string before = world.nft.render();

  world.restart();
  CHECK(world.apply() == "");
  CHECK(world.nft.transactions == transactions);
  CHECK(world.nft.render() == before);
  world.attach("web", {ip("10.1.0.5")}, {{Protocol::Tcp, 80, 8080, {}}});
  CHECK(world.apply() == "");
  CHECK(world.nft.transactions == transactions);
  world.model.set_synced(cluster::Source::Attachments);  // and "gone" was deleted meanwhile
  CHECK(world.apply() == "");
  CHECK(world.elements() == "tcp . 80 comment \"shop/web\" : 10.1.0.5 . 8080\n10.1.0.5 . 10.1.0.5\n");
}

TEST_CASE("what somebody else flushed is there again after an audit, and a failed transaction is tried anew") {
  World world;
  world.attach("web", {ip("10.1.0.5")}, {{Protocol::Tcp, 80, 8080, {}}});
  world.model.set_synced(cluster::Source::Attachments);
  CHECK(world.apply() == "");
  const std::string before = world.nft.render();
  world.nft.flush();
  world.applier->forget();
  CHECK(world.apply() == "");
  CHECK(world.nft.render() == before);

  world.nft.flush();
  world.attach("more", {ip("10.1.0.6")}, {{Protocol::Tcp, 81, 8080, {}}});
  CHECK(world.apply().starts_with("host ports: nftables: add element inet causeway hostport-any4 { tcp . 81"));
  CHECK(world.apply() == "");
  CHECK(world.elements().find("tcp . 80 ") != std::string::npos);
}

TEST_CASE("tracked connections that a change leaves with a wrong target end; others live on") {
  World world;
  world.model.set_synced(cluster::Source::Attachments);
  const Endpoint client{ip("172.18.0.9"), 4711};
  const auto flow = [&](Protocol protocol, const char* to, uint16_t port, Endpoint target) {
    const Endpoint destination{ip(to), port};
    return Flow{uint8_t(protocol), {client, destination}, {target, client}};
  };
  const Flow waits = flow(Protocol::Udp, "172.18.0.2", 53, {ip("172.18.0.2"), 53});       // sent before the Pod came
  const Flow listens = flow(Protocol::Tcp, "172.18.0.2", 53, {ip("172.18.0.2"), 53});     // a process of the node
  const Flow passes = flow(Protocol::Udp, "198.51.100.1", 53, {ip("198.51.100.1"), 53});  // somebody else's server
  const Flow other = flow(Protocol::Udp, "172.18.0.2", 54, {ip("172.18.0.2"), 54});
  world.conntrack.all = {waits, listens, passes, other};
  world.attach("dns", {ip("10.1.0.5")}, {{Protocol::Udp, 53, 5353, {}}, {Protocol::Tcp, 53, 5353, {}}});
  CHECK(world.apply() == "");
  CHECK(world.conntrack.all == std::set{listens, passes, other});

  const Flow right = flow(Protocol::Udp, "172.18.0.2", 53, {ip("10.1.0.5"), 5353});
  const Flow right_tcp = flow(Protocol::Tcp, "172.18.0.2", 53, {ip("10.1.0.5"), 5353});
  const Flow service = flow(Protocol::Udp, "10.96.0.10", 53, {ip("10.1.0.77"), 5353});  // kube-proxy's
  world.conntrack.all = {right, right_tcp, service, passes};
  const size_t listings = world.conntrack.listings;
  world.applier->forget();
  CHECK(world.apply() == "");
  CHECK(world.conntrack.listings == listings);
  world.model.remove(cluster::AttachmentKey{"dns", "eth0"});
  world.attach("next", {ip("10.1.0.6")}, {{Protocol::Udp, 53, 53, {}}}, 2);
  CHECK(world.apply() == "");
  CHECK(world.conntrack.all == std::set{service, passes});
}

TEST_CASE("compiled step by step and in full, any order of attachments gives the same") {
  std::mt19937_64 random(7);
  cluster::Model model;
  std::map<Key, Tables> parts;
  const auto pick = [&](uint64_t n) { return random() % n; };
  for (int step = 0; step < 3000; ++step) {
    const cluster::AttachmentKey key{"c" + std::to_string(pick(8)), "eth0"};
    if (pick(3) == 0) {
      model.remove(key);
    } else {
      cluster::Attachment a{.key = key, .addresses = {ip("10.1.0.1").plus(pick(6))}, .generation = pick(5)};
      if (pick(2)) a.addresses.push_back(ip("fd00::1").plus(pick(6)));
      for (uint64_t i = pick(3); i > 0; --i) {
        HostPort port{pick(2) ? Protocol::Tcp : Protocol::Udp, uint16_t(80 + pick(3)), 8080, {}};
        if (pick(3) == 0) port.host_ip = pick(2) ? ip("172.18.0.2") : ip("::");
        a.host_ports.push_back(port);
      }
      model.put(std::move(a));
    }
    if (pick(3) == 0) continue;
    for (const Key& changed : keys(model.take_changes(), model)) parts[changed] = compile_one(changed, model);
    Tables all;
    for (const auto& [part_key, part] : parts) merge(all, part);
    REQUIRE(render(all) == render(compile(model)));
    REQUIRE(all == compile(model));
  }
}
