// Plane bpf: a node's own process answers at the addresses of cluster DNS, while it is there.
#include <doctest/doctest.h>

#include "answers.h"
#include "balancer.h"
#include "dns/apply_local_bpf.h"
#include "services.h"
#include "sockets.h"

namespace causeway::test {

namespace {

// Node a with cluster DNS of `family` (and the link-local address), whose Service has node b as its endpoint.
struct DnsWorld {
  World world;
  Family family;
  std::vector<Ip> addresses;
  Processes processes;
  Balancer balancer{world.a};
  std::unique_ptr<netlink::Rtnetlink> net;
  std::unique_ptr<dns::BpfLocal> door;
  std::unique_ptr<dns::LocalAddresses> local;

  DnsWorld(Family f, Setup setup)
      : world(with_dns(setup, f)),
        family(f),
        addresses(with_dns(setup, f).dns),
        net(netlink::open_rtnetlink_in(world.a.ns.fd()).value()) {
    door = std::make_unique<dns::BpfLocal>(world.a.plane->dns_here(), addresses);
    local = std::make_unique<dns::LocalAddresses>(*net, *door);
    processes.there = Process(world.b.ns, world.b.ip(family));
    for (const auto& [id, protocol] : {std::pair(1u, IPPROTO_UDP), std::pair(2u, IPPROTO_TCP)}) {
      balancer.endpoints(id, {{world.b.ip(family), kDns}}, protocol);
      for (const Ip& ip : addresses) balancer.serve(id, ip, kDns, protocol);
    }
  }
  static Setup with_dns(Setup setup, Family family) {
    setup.services = true;
    setup.dns = {dns_ip(family)};
    if (family == Family::V4) setup.dns.push_back(link_local());
    return setup;
  }
  Ip ip() const { return dns_ip(family); }
  Ns& pod() { return world.a1().ns; }
  std::string pods_ip() { return to_string(world.a1().ip(family)); }
  void begin(const Ip& at) { processes.here = Process(world.a.ns, at); }
  void end() { processes.here = {}; }
  void take(bool all = true) {
    const auto done = local->bring(all ? std::set<Ip>(addresses.begin(), addresses.end()) : std::set<Ip>(),
                                   {{family, world.a.ip(family)}});
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message()));
  }
  uint64_t opened() { return world.a.counted(abi::COUNT_SERVICE_OPENED); }
};

}  // namespace

TEST_CASE("the node's own process answers Pods and the node as they are; no flow to a Service is opened for it") {
  for (auto attach : kAttaches)
    for (auto family : kFamilies) {
      DnsWorld w(family, {.attach = attach});
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
      CHECK(w.opened() == 0);
    }
}

TEST_CASE("a connected socket goes over to another node's process with the packet after the death of ours, and back") {
  for (auto family : kFamilies)
    for (auto fabric : {Fabric::Native, Fabric::Overlay4}) {
      DnsWorld w(family, {.fabric = fabric});
      CAPTURE(family);
      w.take();
      for (const Ip& ip : w.addresses) {
        CAPTURE(ip);
        const Fd client = asker(w.pod(), ip);
        for (int round = 0; round < 2; ++round) {
          w.begin(ip);
          CHECK(w.processes.ask(client) == "here " + w.pods_ip());
          w.end();  // nobody has told the kernel yet
          CHECK(w.processes.ask(client) == "there " + w.pods_ip());
        }
        CHECK(w.processes.connect(w.pod(), ip).who == "there");
        w.begin(ip);
        w.take(false);  // it listens, and has no answers
        CHECK(w.processes.ask(client) == "there " + w.pods_ip());
        const Fd node = asker(w.world.a.ns, ip);
        CHECK(w.processes.ask(node) == fmt::format("there {}", w.world.a.ip(family)));
        w.take();
        CHECK(w.processes.ask(client) == "here " + w.pods_ip());
        // The kernel asks for the way of a connected IPv6 socket only once.
        CHECK(w.processes.ask(node) ==
              fmt::format("{} {}", family == Family::V4 ? "here" : "there", w.world.a.ip(family)));
        CHECK(w.processes.ask(asker(w.world.a.ns, ip)) == fmt::format("here {}", w.world.a.ip(family)));
        w.take(false);
        CHECK(w.processes.ask(node) == fmt::format("there {}", w.world.a.ip(family)));
        w.take();
        w.end();
      }
    }
}

TEST_CASE("a TCP connection to another node's process goes on when ours is there again") {
  for (auto family : kFamilies) {
    DnsWorld w(family, {});
    auto stream = w.processes.connect(w.pod(), w.ip());
    CHECK(stream.who == "there");
    w.begin(w.ip());
    w.take();
    CHECK(stream.echoes());
    CHECK(w.processes.connect(w.pod(), w.ip()).who == "here");
  }
}

TEST_CASE("questions in fragments arrive, and other ports of the address are the Service's") {
  for (auto family : kFamilies) {
    DnsWorld w(family, {});
    w.begin(w.ip());
    w.take();
    const Fd client = asker(w.pod(), w.ip());
    const std::string large(4000, 'x');
    REQUIRE(::send(client.get(), large.data(), large.size(), 0) == static_cast<ssize_t>(large.size()));
    CHECK(receive_udp(w.processes.here.udp).value_or(Datagram{}).payload == large);
    w.balancer.endpoints(3, {{w.world.b.ip(family), 9153}});
    w.balancer.serve(3, w.ip(), 9153);
    CHECK(talk_tcp(w.pod(), w.world.b.ns, w.ip(), 9153).error == "");
  }
}

TEST_CASE("from outside nothing gets to these addresses: no packet, no question who has them") {
  for (auto family : kFamilies) {
    DnsWorld w(family, {});
    w.take();
    for (const Ip& ip : w.addresses) {
      CAPTURE(ip);
      w.begin(ip);
      CHECK(w.processes.ask(asker(w.pod(), ip)) == "here " + w.pods_ip());
      for (const Ns* from : {&w.world.outside, &w.world.b.ns}) {
        const bool outside = from == &w.world.outside;
        test::ip(*from, fmt::format("route replace {} via {}\n", host_cidr(ip),
                                    outside ? (family == Family::V4 ? "203.0.113.1" : "2001:db8:f::1")
                                            : to_string(w.world.a.ip(family))));
        if (outside)
          test::ip(w.world.router, fmt::format("route replace {} via {}\n", host_cidr(ip), w.world.a.ip(family)));
        const uint64_t before = w.world.a.counted(abi::DROP_SERVICE_OUTSIDE);
        CHECK(w.processes.ask(asker(*from, ip), std::chrono::milliseconds(500)) == "nobody");
        CHECK(w.world.a.counted(abi::DROP_SERVICE_OUTSIDE) > before);
      }
      // Who has it? On the link itself.
      test::ip(w.world.b.ns, fmt::format("route replace {} dev eth0\n", host_cidr(ip)));
      CHECK(w.processes.ask(asker(w.world.b.ns, ip), std::chrono::milliseconds(500)) == "nobody");
      CHECK(shell(w.world.b.ns, fmt::format("ip neigh show {} nud reachable", ip)) == "");
    }
  }
}

TEST_CASE("socket hooks leave a Pod's questions alone, and the node's while its own process answers") {
  for (auto family : kFamilies) {
    DnsWorld w(family, {.socket_cgroup = own_cgroup()});
    ServiceRows(w.world.a).client(w.world.a1());
    w.begin(w.ip());
    w.take();
    const Fd pod = asker(w.pod(), w.ip());
    CHECK(!translated(w.world.a, pod));
    CHECK(w.processes.ask(pod) == "here " + w.pods_ip());
    CHECK(!translated(w.world.a, asker(w.world.a.ns, w.ip())));
    w.end();
    CHECK(w.processes.ask(pod) == "there " + w.pods_ip());
    w.take(false);
    CHECK(!translated(w.world.a, asker(w.pod(), w.ip())));
    const Fd node = asker(w.world.a.ns, w.ip());
    CHECK(translated(w.world.a, node));
    CHECK(w.processes.ask(node) == fmt::format("there {}", w.world.a.ip(family)));
  }
}

TEST_CASE("what the node has of it stays where it is: again writes nothing, and what somebody took away comes back") {
  DnsWorld w(Family::V4, {});
  const auto routes = [&] { return shell(w.world.a.ns, "ip route show table local proto 203"); };
  const std::string addresses = shell(w.world.a.ns, "ip -o address");
  w.take();
  const std::string taken = routes();
  CHECK(taken.find("local 10.96.0.10 dev lo") != std::string::npos);
  CHECK(taken.find("local 169.254.20.10 dev lo") != std::string::npos);
  CHECK(shell(w.world.a.ns, "ip -o address") == addresses);
  w.take();
  CHECK(routes() == taken);
  shell(w.world.a.ns, "ip route delete local 10.96.0.10 table local");
  w.take();
  CHECK(routes() == taken);
  w.take(false);
  CHECK(routes() == "");
  w.take();
  CHECK(dns::remove_local_addresses(*w.net));
  CHECK(routes() == "");
}

}  // namespace causeway::test
