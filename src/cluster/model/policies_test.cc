#include "cluster/model/policies.h"

#include <doctest/doctest.h>

#include "cluster/model/model.h"
#include "cluster/model/project.h"
#include "kube/api/codec.h"

using namespace causeway;
using namespace causeway::cluster;

namespace {
Policy read(std::string_view spec) {
  auto decoded = kube::decode<kube::NetworkPolicy>(fmt::format(
      R"({{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{{"namespace":"x","name":"p"}},"spec":{}}})",
      spec));
  REQUIRE(decoded);
  return project(*decoded);
}
std::string blocks(std::string_view cidr, std::string_view except = "") {
  const Policy policy =
      read(fmt::format(R"({{"podSelector":{{}},"ingress":[{{"from":[{{"ipBlock":{{"cidr":"{}"{}}}}}]}}]}})", cidr,
                       except.empty() ? "" : fmt::format(R"(,"except":["{}"])", except)));
  std::string out;
  for (const PolicyBlock& block : policy.ingress.at(0).blocks) out += to_string(block);
  return out.empty() ? "nobody: " + policy.problem : out;
}
}  // namespace

TEST_CASE(
    "absent policyTypes: ingress always, egress only with an egress rule; the rules of an unnamed direction are "
    "ignored") {
  const auto directions = [](std::string_view spec) {
    const Policy policy = read(spec);
    return fmt::format("{}{} {}+{}", policy.concerns_ingress ? "I" : "", policy.concerns_egress ? "E" : "",
                       policy.ingress.size(), policy.egress.size());
  };
  CHECK(directions(R"({"podSelector":{}})") == "I 0+0");
  CHECK(directions(R"({"podSelector":{},"egress":[]})") == "I 0+0");
  CHECK(directions(R"({"podSelector":{},"egress":[{}]})") == "IE 0+1");
  CHECK(directions(R"({"podSelector":{},"policyTypes":["Egress"],"ingress":[{}],"egress":[]})") == "E 0+0");
  CHECK(directions(R"({"podSelector":{},"policyTypes":["Ingress","Egress"],"ingress":[{}]})") == "IE 1+0");
}

TEST_CASE("an empty list of peers or ports restricts nothing, a list whose only entry cannot be read admits nobody") {
  const Policy open = read(R"({"podSelector":{},"ingress":[{"from":[],"ports":[]}]})");
  CHECK(open.ingress[0].anybody);
  CHECK(open.ingress[0].any_port);
  const Policy closed = read(
      R"({"podSelector":{},"ingress":[{"from":[{}],"ports":[{"port":90,"endPort":80},{"endPort":5},{"protocol":"ICMP"}]}]})");
  CHECK_FALSE(closed.ingress[0].anybody);
  CHECK_FALSE(closed.ingress[0].any_port);
  CHECK(closed.ingress[0].pods.empty());
  CHECK(closed.ingress[0].ports.empty());
  CHECK(
      closed.problem ==
      "spec.ingress[0].from[0]: names no peer; it admits nobody; spec.ingress[0].ports[0]: 90-80 is no range of ports; "
      "it opens nothing; spec.ingress[0].ports[1]: endPort without a numeric port; it opens nothing; "
      "spec.ingress[0].ports[2].protocol: \"ICMP\" is none; it opens nothing");
}

TEST_CASE("stored prefixes are read as upstream reads them") {
  CHECK(blocks("10.0.0.5/24") == "10.0.0.0/24");
  CHECK(blocks("010.000.0.0/08") == "10.0.0.0/8");
  CHECK(blocks("::ffff:10.0.0.0/104") == "10.0.0.0/8");
  CHECK(blocks("::ffff:10.0.0.0/24") == "::/24");  // Go: a prefix of IPv6; never 10.0.0.0/24
  CHECK(blocks("10.0.0.0/8", "10.1.0.7/16") == "10.0.0.0/8 except 10.1.0.0/16");
  CHECK(blocks("10.0.0.0/33").starts_with("nobody: spec.ingress[0].from[0].ipBlock.cidr: "));
  CHECK(blocks("10.0.0.0/8", "10.1.0.0").starts_with("nobody: spec.ingress[0].from[0].ipBlock.except: "));
}

TEST_CASE("a policy whose own selector cannot be read isolates its namespace and admits nothing") {
  const Policy policy =
      read(R"({"podSelector":{"matchExpressions":[{"key":"a","operator":"Sometimes"}]},"ingress":[{}],"egress":[{}]})");
  CHECK(policy.subject.pods.matches_everything());
  CHECK(policy.concerns_ingress);
  CHECK(policy.concerns_egress);
  CHECK(policy.ingress.empty());
  CHECK(policy.egress.empty());
  CHECK(policy.problem.ends_with("every Pod of the namespace is isolated"));
}

TEST_CASE("a selector of a peer means its own namespace, or those that namespaceSelector selects") {
  const Policy policy = read(R"({"podSelector":{},"egress":[{"to":[
      {"podSelector":{"matchLabels":{"a":""}}}, {"namespaceSelector":{}},
      {"namespaceSelector":{"matchLabels":{"team":"red"}},"podSelector":{"matchExpressions":[{"key":"b","operator":"NotIn","values":["1","0"]}]}}],
      "ports":[{},{"port":"dns","protocol":"UDP"},{"port":80,"endPort":90,"protocol":"SCTP"}]}]})");
  std::string text;
  for (const PodPeer& peer : policy.egress[0].pods) text += to_string(peer) + "\n";
  for (const PolicyPort& port : policy.egress[0].ports) text += to_string(port) + "\n";
  CHECK(text ==
        "Pods a= of namespace x\n"
        "all Pods of all namespaces\n"
        "Pods b notin (0,1) of namespaces team=red\n"
        "every tcp port\n"
        "port \"dns\"/udp\n"
        "80-90/sctp\n");
}

TEST_CASE("a policy that comes back to its old value is no change") {
  Model model;
  const Policy first = read(R"({"podSelector":{}})");
  model.put(first);
  model.take_changes();
  model.put(read(R"({"podSelector":{},"ingress":[{}]})"));
  CHECK(model.changed());
  model.put(first);
  CHECK_FALSE(model.changed());
  model.remove(first.key);
  auto changes = model.take_changes();
  CHECK(changes.policies.at(first.key)->key == first.key);
  CHECK(model.policies().empty());
}

TEST_CASE("a Pod keeps the named ports of its first container that has the name, and says when it has ended") {
  kube::Pod pod;
  pod.spec.containers = {{.name = "a", .ports = {{.name = "http", .container_port = 8080}}},
                         {.name = "b",
                          .ports = {{.name = "http", .container_port = 9090},
                                    {.name = "http", .container_port = 53, .protocol = "UDP"},
                                    {.container_port = 1}}}};
  pod.spec.init_containers = {
      {.name = "i", .ports = {{.name = "once", .container_port = 1}}},
      {.name = "s", .ports = {{.name = "side", .container_port = 2}}, .restart_policy = "Always"}};
  const Pod out = project(pod);
  CHECK(out.ports ==
        std::vector<NamedPort>{{"http", Protocol::Tcp, 8080}, {"http", Protocol::Udp, 53}, {"side", Protocol::Tcp, 2}});
  CHECK_FALSE(out.finished);
  pod.status.phase = "Succeeded";
  CHECK(project(pod).finished);
}
