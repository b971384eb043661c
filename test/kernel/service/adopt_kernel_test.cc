// Connections that netfilter translated while the bpf plane's programs were not attached go on when they are.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "balancer.h"
#include "datapath/conntrack.h"
#include "kernel/conntrack/conntrack.h"
#include "service/adopt.h"
#include "service/hand_back.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

Ip every(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

// Whoever waits on it waits two seconds at most.
void be_patient(const Fd& socket) {
  timeval patience{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

struct Connection {
  std::string name;
  Fd client, server;

  Connection(std::string what, const Ns& from, Endpoint to, const Ns& at, uint16_t port) : name(std::move(what)) {
    Fd listener = tcp_listener(at, every(to.ip.family()), port);
    be_patient(listener);
    client = tcp_connect(from, to.ip, to.port);
    REQUIRE_MESSAGE(client, name);
    server = Fd(::accept(listener.get(), nullptr, nullptr));
    REQUIRE_MESSAGE(server, name);
    be_patient(client);
    be_patient(server);
    CHECK_MESSAGE(works(), name);
  }
  // The server speaks first.
  bool works() const {
    char byte = 'x';
    return ::send(server.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(client.get(), &byte, 1, 0) == 1 &&
           ::send(client.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(server.get(), &byte, 1, 0) == 1;
  }
};

// What kube-proxy's rules come to: destinations become endpoints, the outside is masqueraded.
std::string rules(Family family, Ip node, const std::vector<std::pair<Endpoint, Endpoint>>& translations) {
  const char* name = family == Family::V4 ? "ip" : "ip6";
  std::string dnat;
  for (const auto& [asked, endpoint] : translations)
    for (const char* protocol : {"tcp", "udp"})
      dnat +=
          fmt::format("{0} daddr {1} {2} dport {3} dnat {0} to {4}\n", name, asked.ip, protocol, asked.port, endpoint);
  return fmt::format(
      "table {0} proxy {{\nchain pre {{ type nat hook prerouting priority -100;\n{1}}}\n"
      "chain out {{ type nat hook output priority -100;\n{1}}}\n"
      "chain post {{ type nat hook postrouting priority 100;\n"
      "meta l4proto {{ tcp, udp }} ct original {0} daddr {2} snat {0} to {3}\n}}\n}}\n",
      name, dnat, node,
      family == Family::V4 ? fmt::format("{}:40000-40999", node) : fmt::format("[{}]:40000-40999", node));
}

service::AdoptDoors doors_of(Node& node) {
  auto& maps = *node.plane;
  return {maps.services(),  maps.backends(),      maps.pods(),  maps.node_addresses(),
          maps.conntrack(), maps.service_marks(), maps.routes()};
}

std::vector<conntrack::Flow> adopt(Node& node) {
  In in(node.ns);
  auto tracked = conntrack::open_conntrack().value();
  const auto doors = doors_of(node);
  return service::adopt_flows(*tracked, service::read_tables(doors).value(), doors, datapath::monotonic_seconds(),
                              service::Whose::All)
      .value();
}

// How many connections nf_conntrack knows then.
size_t hand_back(Node& node, service::Whose whose) {
  In in(node.ns);
  auto to = conntrack::open_conntrack().value();
  const auto handed = service::hand_back(*to, node.plane->conntrack(), whose, datapath::monotonic_seconds()).value();
  for (const Error& refused : handed.refused) FAIL_CHECK(refused.message());
  return handed.known;
}

void attach(Node& node, bool on) {
  In in(node.ns);
  const IfIndex uplink{ifindex(node.ns, "eth0")};
  REQUIRE((on ? node.plane->attach_uplink(uplink) : node.plane->detach(uplink)));
  for (const auto& pod : node.pods) {
    const IfIndex veth{ifindex(node.ns, pod->host_side)};
    REQUIRE((on ? node.plane->attach_pod(veth) : node.plane->detach(veth)));
  }
}

}  // namespace

TEST_CASE(
    "connections that netfilter translated go on when the bpf plane adopts them, without its rules, and one that was "
    "not adopted is reset") {
  for (auto by : kAttaches)
    for (auto family : kFamilies) {
      CAPTURE(to_string(by));
      CAPTURE(to_string(family));
      World world({.attach = by, .services = true});
      const Ip virtual_ip = cluster_ip(family), node_ip = world.a.ip(family);
      const Endpoint near{world.a2().ip(family), 8080}, far{world.b1().ip(family), 8080};
      Balancer balancer(world.a);
      for (auto [id, endpoint] : {std::pair{1u, near}, std::pair{2u, far}}) {
        const auto port = static_cast<uint16_t>(80 + id);
        for (int protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
          const uint32_t own = protocol == IPPROTO_TCP ? id : id + 10;
          balancer.endpoints(own, {endpoint}, protocol);
          balancer.serve(own, virtual_ip, port, protocol);
          balancer.serve(own, every(family), static_cast<uint16_t>(30080 + id), protocol, node_port(true));
        }
      }

      // As on a node that netfilter serves.
      attach(world.a, false);
      const std::string refused = shell(world.a.ns, "nft -f - <<'END'\n" +
                                                        rules(family, node_ip,
                                                              {{{virtual_ip, 81}, near},
                                                               {{virtual_ip, 82}, far},
                                                               {{node_ip, 30081}, near},
                                                               {{node_ip, 30082}, far}}) +
                                                        "END\n");
      REQUIRE(refused == "");
      // Somebody else's, which keep netfilter tracking and translating.
      REQUIRE(shell(world.a.ns,
                    "nft -f - <<'END' 2>&1\ntable inet other {\nchain pre { type nat hook prerouting priority -90; }\n"
                    "chain out { type nat hook output priority -90; }\n"
                    "chain post { type nat hook postrouting priority 90\nct state invalid counter\n}\n}\nEND\n") == "");
      Connection to_near("Pod to near", world.a1().ns, {virtual_ip, 81}, world.a2().ns, 8080);
      Connection to_far("Pod to far", world.a1().ns, {virtual_ip, 82}, world.b1().ns, 8080);
      Connection outside_near("outside to near", world.outside, {node_ip, 30081}, world.a2().ns, 8080);
      Connection outside_far("outside to far", world.outside, {node_ip, 30082}, world.b1().ns, 8080);
      Connection node_near("node to near", world.a.ns, {virtual_ip, 81}, world.a2().ns, 8080);
      Connection node_far("node to far", world.a.ns, {virtual_ip, 82}, world.b1().ns, 8080);
      Connection forgotten("forgotten", world.a1().ns, {virtual_ip, 82}, world.b1().ns, 8080);
      Fd asks = udp_socket(world.a1().ns, every(family), 5000),
         answers = udp_socket(world.a2().ns, every(family), 8080);
      REQUIRE(send_udp(asks, virtual_ip, 81, "ask"));
      auto asked = receive_udp(answers);
      REQUIRE(asked);
      REQUIRE(send_udp(answers, asked->from.ip, asked->from.port, "answer"));
      REQUIRE(receive_udp(asks));

      CHECK(adopt(world.a).size() == 8);
      sockaddr_in6 six{};
      sockaddr_in four{};
      socklen_t length = family == Family::V4 ? sizeof(four) : sizeof(six);
      REQUIRE(
          ::getsockname(forgotten.client.get(),
                        family == Family::V4 ? reinterpret_cast<sockaddr*>(&four) : reinterpret_cast<sockaddr*>(&six),
                        &length) == 0);
      const auto source_port = family == Family::V4 ? four.sin_port : six.sin6_port;
      std::vector<abi::ct_key> gone;
      for (const auto& [key, row] : world.a.plane->conntrack().dump().value())
        if (key.sport == source_port || key.dport == source_port) gone.push_back(key);
      REQUIRE(gone.size() == 2);
      REQUIRE(world.a.plane->conntrack().remove(gone));
      attach(world.a, true);
      CHECK(!forgotten.works());
      const auto flows = adopt(world.a);
      CHECK(flows.size() >= 7);  // the forgotten one too, if netfilter still knows it

      const Connection* all[] = {&to_near, &to_far, &outside_near, &outside_far, &node_near, &node_far};
      for (const Connection* one : {&to_near, &to_far, &outside_near, &outside_far}) {
        CAPTURE(one->name);
        CHECK(one->works());
      }
      // Somebody else's chains keep netfilter translating.
      CHECK(shell(world.a.ns, fmt::format("nft delete table {} proxy", family == Family::V4 ? "ip" : "ip6")) == "");
      REQUIRE(service::forget_flows(*conntrack::open_conntrack_in(world.a.ns.fd()).value(), flows));
      for (int round = 0; round < 2; ++round)
        for (const Connection* one : all) {
          CAPTURE(one->name);
          CAPTURE(round);
          CHECK(one->works());
        }
      REQUIRE(send_udp(answers, asked->from.ip, asked->from.port, "late"));
      auto late = receive_udp(asks);
      REQUIRE(late);
      CHECK(late->from == Endpoint{virtual_ip, 81});
      REQUIRE(send_udp(asks, virtual_ip, 81, "again"));
      CHECK(receive_udp(answers));

      // And back, without a rule that would know where to: nf_conntrack is told, and the programs go.
      CHECK(hand_back(world.a, service::Whose::Node) == 2);
      CHECK(node_far.works());
      CHECK(hand_back(world.a, service::Whose::Others) >= 5);
      attach(world.a, false);
      CHECK(hand_back(world.a, service::Whose::All) >= 5);
      for (const Connection* one : all) {
        CAPTURE(one->name);
        CHECK(one->works());
      }
      REQUIRE(send_udp(answers, asked->from.ip, asked->from.port, "back"));
      auto back = receive_udp(asks);
      REQUIRE(back);
      CHECK(back->from == Endpoint{virtual_ip, 81});
    }
}

}  // namespace causeway::test
