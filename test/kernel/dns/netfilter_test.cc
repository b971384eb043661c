// Plane netfilter: a node's own process answers at the addresses of cluster DNS, while it is there.
#include <doctest/doctest.h>

#include "answers.h"
#include "dns/apply_local_nft.h"
#include "services.h"

namespace causeway::test {

namespace {

struct DnsWorld : NftCluster {
  ServiceAgent service;  // of node a
  Family family;
  std::vector<Ip> addresses;
  Processes processes;
  dns::NftLocal door;
  dns::LocalAddresses local;

  explicit DnsWorld(Family f)
      : NftCluster({}),
        service(a),
        family(f),
        addresses(f == Family::V4 ? std::vector{dns_ip(f), link_local()} : std::vector{dns_ip(f)}),
        door(*a.nft, addresses),
        local(*a.net, door) {
    processes.there = Process(world.b.ns, world.b.ip(family));
    Wanted wanted(world.a);
    for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp}) {
      const std::string name = protocol == Protocol::Tcp ? "dns-tcp" : "dns";
      wanted.port(name, family, protocol, {Wanted::at(world.b.ip(family), kDns)});
      for (const Ip& ip : addresses) wanted.front(name, ip, kDns, protocol, Kind::ClusterIp, balance(), test::drop());
    }
    REQUIRE(service.apply(wanted.tables) == "");
  }
  Ip ip() const { return dns_ip(family); }
  Ns& pod() { return world.a1().ns; }
  std::string pods_ip() { return to_string(world.a1().ip(family)); }
  void begin(const Ip& at) { processes.here = Process(world.a.ns, at); }
  void end() { processes.here = {}; }
  void take(bool all = true) {
    const auto done = local.bring(all ? std::set<Ip>(addresses.begin(), addresses.end()) : std::set<Ip>(),
                                  {{family, world.a.ip(family)}});
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message()));
  }
  std::string tracked() {
    return shell(world.a.ns, fmt::format("grep -h 'dport=53 ' /proc/net/nf_conntrack 2>/dev/null"));
  }
};

}  // namespace

TEST_CASE("the node's own process answers Pods and the node as they are, and no flow of it is tracked") {
  for (auto family : kFamilies) {
    DnsWorld w(family);
    CAPTURE(family);
    w.take();
    for (const Ip& ip : w.addresses) {
      CAPTURE(ip);
      w.begin(ip);
      CHECK(w.processes.ask(asker(w.pod(), ip)) == "here " + w.pods_ip());
      CHECK(w.processes.ask(asker(w.world.a.ns, ip)) == fmt::format("here {}", w.world.a.ip(family)));
      for (const Ns* from : {&w.pod(), &w.world.a.ns}) {
        auto stream = w.processes.connect(*from, ip);
        CHECK(stream.who == "here");
        CHECK(stream.echoes());
      }
    }
    CHECK(w.tracked() == "");
  }
}

TEST_CASE("a connected socket goes over to another node's process when ours has no answers, and back") {
  for (auto family : kFamilies) {
    DnsWorld w(family);
    CAPTURE(family);
    for (const Ip& ip : w.addresses) {
      CAPTURE(ip);
      w.begin(ip);
      w.take();
      const Fd client = asker(w.pod(), ip), node = asker(w.world.a.ns, ip);
      for (int round = 0; round < 2; ++round) {
        w.take();
        CHECK(w.processes.ask(client) == "here " + w.pods_ip());
        // The kernel asks for the way of a connected IPv6 socket only once.
        const bool kept = family == Family::V6 && round > 0;
        CHECK(w.processes.ask(node) == fmt::format("{} {}", kept ? "there" : "here", w.world.a.ip(family)));
        w.take(false);
        CHECK(w.processes.ask(client) == "there " + w.pods_ip());
        CHECK(w.processes.ask(node) == fmt::format("there {}", w.world.a.ip(family)));
        CHECK(w.processes.connect(w.pod(), ip).who == "there");
      }
    }
  }
}

TEST_CASE("a late reply does not keep the next question at the address that is gone") {
  DnsWorld w(Family::V4);
  w.begin(w.ip());
  w.take();
  const Fd client = asker(w.pod(), w.ip());
  REQUIRE(::send(client.get(), "?", 1, 0) == 1);
  char octet;
  Address from;
  from.length = sizeof(from.storage);
  REQUIRE(::recvfrom(w.processes.here.udp.get(), &octet, 1, 0, from.get(), &from.length) == 1);
  REQUIRE(w.door.answer({}));  // the route goes a moment later
  CHECK(::sendto(w.processes.here.udp.get(), "!", 1, 0, from.get(), from.length) == 1);
  CHECK(receive_udp(client).has_value());
  w.take(false);
  CHECK(w.processes.ask(client) == "there " + w.pods_ip());
}

TEST_CASE("from outside nothing gets to these addresses") {
  for (auto family : kFamilies) {
    DnsWorld w(family);
    w.take();
    for (const Ip& ip : w.addresses) {
      CAPTURE(ip);
      w.begin(ip);
      test::ip(w.world.b.ns, fmt::format("route replace {} via {}\n", host_cidr(ip), w.world.a.ip(family)));
      CHECK(w.processes.ask(asker(w.world.b.ns, ip), std::chrono::milliseconds(500)) == "nobody");
    }
    CHECK(shell(w.world.a.ns,
                fmt::format("nft list chain inet causeway dns-prerouting | grep -c '{} daddr.*packets [1-9]'",
                            family == Family::V4 ? "ip" : "ip6")) == "1\n");
  }
}

TEST_CASE("what is in the kernel stays: a new agent finds it and writes nothing, and what was flushed comes back") {
  DnsWorld w(Family::V4);
  w.take();
  dns::NftLocal next(*w.a.nft, w.addresses);
  CHECK(next.answering().value() == std::set<Ip>{w.ip(), link_local()});
  shell(w.world.a.ns, "nft flush chain inet causeway dns-prerouting");
  w.begin(w.ip());
  w.take();
  CHECK(w.processes.ask(asker(w.pod(), w.ip())) == "here " + w.pods_ip());
  CHECK(shell(w.world.a.ns, "nft list chain inet causeway dns-prerouting").find("notrack") != std::string::npos);
}

}  // namespace causeway::test
