#include <doctest/doctest.h>

#include "packets.h"

using namespace causeway;
using namespace causeway::test;

namespace {
constexpr auto kBackend = service::XtBackend::Iptables;
template <class F>
void both(F check) {
  for (const Family family : {Family::V4, Family::V6}) {
    INFO("family ", to_string(family));
    check(kBackend, family);
  }
}
}  // namespace

TEST_CASE("iptables: a ClusterIP reaches every endpoint, from Pods and from the node") {
  both(cluster_ip_reaches_every_endpoint);
}
TEST_CASE("iptables: a ClusterIP is closed to the outside") { both(cluster_ip_is_closed_to_the_outside); }
TEST_CASE("iptables: a node port is open to all, localhost too") { both(node_port_is_open_to_all); }
TEST_CASE("iptables: policy Local keeps the client's address and the endpoints of this node") {
  both(node_port_of_policy_local_keeps_the_client);
}
TEST_CASE("iptables: a Pod reaches itself by its Service") { both(a_pod_reaches_itself); }
TEST_CASE("iptables: what has no endpoint is refused at once") { both(what_has_no_endpoint_is_refused); }
TEST_CASE("iptables: source ranges hold on both sides") { both(source_ranges_hold); }
TEST_CASE("iptables: a client stays with its endpoint") { both(affinity_holds); }
TEST_CASE("iptables: UDP is balanced") { both(udp_is_balanced); }
TEST_CASE("iptables: a connection outlives its endpoint's place in the Service") {
  both(a_connection_outlives_its_endpoint);
}
TEST_CASE("iptables: a second life writes nothing, damage is repaired, and all of it can go") {
  a_second_life_writes_nothing(kBackend);
}
