// What a node enforces: nothing before all is known, and no attached Pod without its rows.
#include "policy/desired.h"

#include <doctest/doctest.h>

#include "policy/policy_world.h"

using namespace causeway;
using namespace causeway::policy;
using cluster::Source;

namespace {

struct Node {
  World world;
  Desired desired{"n1"};

  Node& attach(std::string container, std::string_view pod, std::string_view address, uint64_t generation = 1) {
    cluster::Attachment one{.key = {std::move(container), "eth0"}, .addresses = {ip(address)}, .host_ifname = "veth1"};
    if (!pod.empty()) one.pod = World::key(pod);
    one.host_ifindex = IfIndex{static_cast<uint32_t>(10 + generation)};
    one.generation = generation;
    world.model.put(std::move(one));
    return *this;
  }
  Node& sync() {
    for (Source source : {Source::Policies, Source::ClusterPolicies, Source::Namespaces, Source::Nodes, Source::Pods,
                          Source::Attachments})
      world.model.set_synced(source);
    return *this;
  }
  // Dirty rows of `locals`, one a line; then they are clean.
  std::string changes() {
    desired.update(world.model.take_changes(), world.model);
    std::string out;
    for (const Ip& address : desired.locals.dirty()) {
      const LocalPod* row = desired.locals.find(address);
      out += fmt::format("{} {}\n", address,
                         row ? fmt::format("{} dev {} {}/{}", row->pod, row->ifindex,
                                           row->subject.ingress == SetId::Open ? "open" : "set",
                                           row->subject.egress == SetId::Open ? "open" : "set")
                             : "-");
    }
    for (const auto& [key, why] : desired.unknown()) out += fmt::format("unknown {}\n", key);
    desired.clean();
    return out;
  }
};

constexpr std::string_view kDeny = R"({"podSelector":{},"policyTypes":["Ingress"]})";

}  // namespace

TEST_CASE("nothing is compiled before the API server told everything and the journal was read") {
  Node node;
  node.world.ns("x").pod("x/a", {"10.0.0.1"});
  node.attach("c1", "x/a", "10.0.0.1");
  for (Source source : {Source::Namespaces, Source::Nodes, Source::Pods, Source::Attachments})
    node.world.model.set_synced(source);
  CHECK(node.changes() == "");
  CHECK(!node.desired.complete());
  node.world.policy("x/deny", kDeny);
  node.world.model.set_synced(Source::Policies);
  CHECK(node.changes() == "");  // an Admin policy might still come
  node.world.model.set_synced(Source::ClusterPolicies);
  CHECK(node.changes() == "10.0.0.1 x/a dev 11 set/open\n");
  CHECK(node.desired.complete());
}

TEST_CASE("who is attached before the API server told everything waits; what the journal had does not") {
  Node node;
  node.attach("old", "x/a", "10.0.0.1");
  node.world.model.set_synced(Source::Attachments);
  CHECK(node.changes() == "");
  CHECK(!node.desired.waits());
  node.attach("new", "x/b", "10.0.0.2", 2);
  CHECK(node.changes() == "");
  CHECK(node.desired.waits());
  node.world.ns("x").pod("x/a", {}).pod("x/b", {});
  node.sync();
  CHECK(node.changes() == "10.0.0.1 x/a dev 11 open/open\n10.0.0.2 x/b dev 12 open/open\n");
  CHECK(!node.desired.waits());
}

TEST_CASE("an attached Pod that the API has not is unknown until it comes; a container without a Pod is open") {
  Node node;
  node.sync().attach("c1", "x/a", "10.0.0.1").attach("c2", "", "10.0.0.2", 2);
  CHECK(node.changes() == "10.0.0.2 / dev 12 open/open\nunknown c1/eth0\n");
  node.world.ns("x").pod("x/a", {});  // no address in its status yet
  CHECK(node.changes() == "10.0.0.1 x/a dev 11 open/open\n");
}

TEST_CASE("a Pod's row follows its policies, its labels and its attachment") {
  Node node;
  node.world.ns("x").pod("x/a", {"10.0.0.1"}, "app=a");
  node.sync().attach("c1", "x/a", "10.0.0.1");
  CHECK(node.changes() == "10.0.0.1 x/a dev 11 open/open\n");
  node.world.policy("x/deny", kDeny);
  CHECK(node.changes() == "10.0.0.1 x/a dev 11 set/open\n");
  node.attach("c1", "x/a", "10.0.0.1", 5);  // the same container, connected anew
  CHECK(node.changes() == "10.0.0.1 x/a dev 15 set/open\n");
  node.world.model.remove(cluster::PolicyKey{"x", "deny"});
  CHECK(node.changes() == "10.0.0.1 x/a dev 15 open/open\n");
  node.world.model.remove(cluster::AttachmentKey{"c1", "eth0"});
  CHECK(node.changes() == "10.0.0.1 -\n");
}

TEST_CASE("a Pod that the API lost stays open if no policy selected it, else nothing passes") {
  Node node;
  node.world.ns("x").pod("x/a", {"10.0.0.1"}).ns("y").pod("y/b", {"10.0.0.2"}).policy("y/deny", kDeny);
  node.sync().attach("c1", "x/a", "10.0.0.1").attach("c2", "y/b", "10.0.0.2", 2);
  CHECK(node.changes() == "10.0.0.1 x/a dev 11 open/open\n10.0.0.2 y/b dev 12 set/open\n");
  node.world.model.remove_pod({"x", "a"});
  node.world.model.remove_pod({"y", "b"});
  CHECK(node.changes() == "10.0.0.2 -\nunknown c2/eth0\n");
}

TEST_CASE("of two attachments that claim an address the older has it") {
  Node node;
  node.world.ns("x").pod("x/a", {}).pod("x/b", {});
  node.sync().attach("c1", "x/a", "10.0.0.1", 7).attach("c2", "x/b", "10.0.0.1", 3);
  CHECK(node.changes() == "10.0.0.1 x/b dev 13 open/open\n");
  node.world.model.remove(cluster::AttachmentKey{"c2", "eth0"});
  CHECK(node.changes() == "10.0.0.1 x/a dev 17 open/open\n");
}
