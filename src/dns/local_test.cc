#include <doctest/doctest.h>

#include "dns/apply_local_bpf.h"
#include "kernel/bpf/fake.h"
#include "kernel/netlink/fake.h"

using namespace causeway;
using namespace causeway::dns;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }

}  // namespace

TEST_CASE("a process says where it answers in one line, and what is no such line is refused") {
  const std::vector<Endpoint> at{{ip("0.0.0.0"), 53}, {ip("fd00:96::a"), 5353}};
  CHECK(answers_line(at) == "answers 0.0.0.0:53 [fd00:96::a]:5353\n");
  CHECK(answers_line({}) == "answers\n");
  CHECK(parse_answers("answers 0.0.0.0:53 [fd00:96::a]:5353").value() == at);
  CHECK(parse_answers("answers").value().empty());
  for (const char* bad : {"", "answer", "answers  ", "answersx", "answers 1.2.3.4", "answers 1.2.3.4:0",
                          "answers 1.2.3.4:65536", "answers 1.2.3.4:53x", "answers x:53"})
    CHECK_FALSE(parse_answers(bad));
}

TEST_CASE("an address of cluster DNS is answered where a process listens at its port 53, or at every address") {
  const std::vector<Ip> all{ip("10.96.0.10"), ip("fd00:96::a"), link_local_address()};
  CHECK(answered(all, {}).empty());
  CHECK(answered(all, {{ip("0.0.0.0"), 53}}) == std::set{ip("10.96.0.10"), ip("169.254.20.10")});
  CHECK(answered(all, {{ip("::"), 53}}) == std::set{ip("fd00:96::a")});
  CHECK(answered(all, {{ip("10.96.0.10"), 53}, {ip("192.0.2.1"), 53}}) == std::set{ip("10.96.0.10")});
  CHECK(answered(all, {{ip("0.0.0.0"), 5353}}).empty());
}

TEST_CASE("cluster DNS has one address of each family, and the link-local one beside IPv4") {
  CHECK(cluster_dns_addresses({ip("10.96.0.10"), ip("fd00:96::a")}).value() ==
        std::vector{ip("10.96.0.10"), ip("fd00:96::a"), ip("169.254.20.10")});
  CHECK(cluster_dns_addresses({ip("fd00:96::a")}).value() == std::vector{ip("fd00:96::a")});
  const auto why = [](std::vector<Ip> addresses) { return cluster_dns_addresses(addresses).error().message(); };
  CHECK(why({}) == "no address is named");
  CHECK(why({ip("10.96.0.10"), ip("10.96.0.11")}) == "at most one address for each family");
  CHECK(why({ip("127.0.0.1")}) == "127.0.0.1 is no address that a Service can have");
  CHECK(why({ip("169.254.20.10")}) == "169.254.20.10 is no address that a Service can have");
}

TEST_CASE("an address is the node's before packets are led there, and until none is any more") {
  netlink::FakeRtnetlink net;
  bpf::FakeTable<uint32_t, uint32_t> table;
  const Ip dns = ip("10.96.0.10"), other = link_local_address();
  struct Watched final : LocalDoor {
    BpfLocal& door;
    netlink::Rtnetlink& net;
    explicit Watched(BpfLocal& door, netlink::Rtnetlink& net) : door(door), net(net) {}
    Status answer(const std::set<Ip>& here) override {
      std::set<Ip> routes;
      for (const auto& route : net.routes({.table = netlink::kLocalTable, .protocol = dns::kRouteProtocol}).value())
        routes.insert(route.destination.address());
      for (const Ip& one : here) CHECK(routes.contains(one));
      return door.answer(here);
    }
    Result<std::set<Ip>> answering() override { return door.answering(); }
  };
  BpfLocal bpf_door(table, {dns, other});
  Watched door(bpf_door, net);
  LocalAddresses local(net, door);
  const auto routes = [&] {
    std::string out;
    for (const auto& route : net.routes({.table = netlink::kLocalTable, .protocol = dns::kRouteProtocol}).value())
      out += to_string(route.destination.address()) + " ";
    return out;
  };
  CHECK(local.bring({dns, other}, {}));
  CHECK(routes() == "10.96.0.10 169.254.20.10 ");
  CHECK(door.answering().value() == std::set{dns, other});
  CHECK(local.bring({other}, {}));
  CHECK(routes() == "169.254.20.10 ");
  CHECK(door.answering().value() == std::set{other});
  CHECK(remove_local_addresses(net));
  CHECK(routes() == "");
}
