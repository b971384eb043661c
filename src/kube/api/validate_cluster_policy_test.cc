#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "kube/api/cluster_policy.h"
#include "kube/api/schema.h"
#include "kube/api/validation.h"

using namespace causeway::kube;
namespace json = boost::json;

namespace {

std::string create(const std::string& spec) {
  std::string text;
  for (const FieldError& error : validate_create(
           ClusterNetworkPolicy::kKind, json::parse(R"({"metadata":{"name":"p"},"spec":)" + spec + "}").as_object()))
    text += to_string(error) + "\n";
  return text;
}
std::string head(const std::string& more = "") {
  return R"({"tier":"Admin","priority":0,"subject":{"namespaces":{}})" + more + "}";
}
std::string egress(const std::string& to, const std::string& more = "") {
  return create(head(R"(,"egress":[{"action":"Deny","to":[)" + to + "]" + more + "}]"));
}
std::string protocol(const std::string& protocol) {
  return egress(R"({"namespaces":{}})", R"(,"protocols":[)" + protocol + "]");
}
std::string repeated(const std::string& what, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += (i ? "," : "") + what;
  return text;
}

}  // namespace

TEST_CASE("a ClusterNetworkPolicy within the CRD's bounds is taken") {
  CHECK(create(head()) == "");
  CHECK(create(R"({"tier":"Baseline","priority":1000,"subject":{"pods":{"podSelector":{}}},
    "ingress":[{"name":"a","action":"Pass","from":[{"pods":{"namespaceSelector":{},"podSelector":{}}},{"namespaces":{}}]}],
    "egress":[{"action":"Accept","to":[{"networks":["10.0.0.7/8","fd00::/8","0.0.0.0/0"]},{"nodes":{}},{"domainNames":["*.example.com","a.b."]}],
      "protocols":[{"tcp":{"destinationPort":{"number":80}}},{"udp":{"destinationPort":{"range":{"start":1,"end":65535}}}},{"sctp":{"destinationPort":{"number":9}}}]},
      {"action":"Deny","to":[{"namespaces":{}}],"protocols":[{"destinationNamedPort":"web"}]}]})") == "");
}

TEST_CASE("what a ClusterNetworkPolicy must have, and how far its numbers go") {
  CHECK(create("{}") == "spec.tier: Required value\nspec.priority: Required value\nspec.subject: Required value\n");
  CHECK(create(R"({"tier":"Top","priority":1001,"subject":{}})") ==
        "spec.tier: Unsupported value: \"Top\": supported values: \"Admin\", \"Baseline\"\n"
        "spec.priority: Invalid value: 1001: should be less than or equal to 1000\n"
        "spec.subject: Invalid value: 0: should have exactly 1 of namespaces, pods: it has none\n");
  CHECK(create(R"({"tier":"Admin","priority":-1,"subject":{"namespaces":{},"pods":{}}})") ==
        "spec.priority: Invalid value: -1: should be greater than or equal to 0\n"
        "spec.subject: Invalid value: 2: should have exactly 1 of namespaces, pods: it has more\n"
        "spec.subject.pods.podSelector: Required value\n");
  const std::string rule = R"({"action":"Deny","from":[{"namespaces":{}}]})";
  CHECK(create(head(R"(,"ingress":[)" + repeated(rule, 25) + "]")) == "");
  CHECK(create(head(R"(,"ingress":[)" + repeated(rule, 26) + "]")) ==
        "spec.ingress: Too many: 26: must have at most 25 items\n");
  CHECK(create(head(R"(,"ingress":[{"name":")" + std::string(101, 'n') +
                    R"(","action":"Log","from":[]},{"action":"Deny"}])")) ==
        "spec.ingress[0].action: Unsupported value: \"Log\": supported values: \"Accept\", \"Deny\", \"Pass\"\n"
        "spec.ingress[0].name: Too long: may not be more than 100 bytes\n"
        "spec.ingress[0].from: Invalid value: 0: should have at least 1 item\n"
        "spec.ingress[1].from: Required value\n");
}

TEST_CASE("a peer has exactly one field; networks and names are prefixes and domains, each once") {
  const std::string at = "spec.egress[0].to[0]";
  CHECK(
      egress("{}") ==
      at +
          ": Invalid value: 0: should have exactly 1 of namespaces, pods, nodes, networks, domainNames: it has none\n");
  CHECK(
      egress(R"({"namespaces":{},"nodes":{}})") ==
      at +
          ": Invalid value: 2: should have exactly 1 of namespaces, pods, nodes, networks, domainNames: it has more\n");
  CHECK(create(head(R"(,"ingress":[{"action":"Deny","from":[{"networks":["10.0.0.0/8"]}]}])"))
            .starts_with("spec.ingress[0].from[0]: Invalid value: 0: should have exactly 1 of namespaces, pods"));
  CHECK(egress(repeated(R"({"namespaces":{}})", 26)) ==
        "spec.egress[0].to: Too many: 26: must have at most 25 items\n");
  for (const char* bad : {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "010.0.0.0/8", "::ffff:10.0.0.0/104", "fd00::/129",
                          "x/8", "/8", "10.0.0.0/"}) {
    CAPTURE(bad);
    CHECK(egress(fmt::format(R"({{"networks":["{}"]}})", bad)) ==
          fmt::format("{}.networks[0]: Invalid value: \"{}\": Invalid CIDR format provided\n", at, bad));
  }
  CHECK(egress(R"({"networks":[]})") == at + ".networks: Invalid value: 0: should have at least 1 item\n");
  CHECK(egress(R"({"networks":["10.0.0.0/8","10.0.0.0/8"]})") ==
        at + ".networks[1]: Duplicate value: \"10.0.0.0/8\"\n");
  for (const char* bad : {"example", "*.", "a*.example.com", "-a.example.com", ""}) {
    CAPTURE(bad);
    CHECK(egress(fmt::format(R"({{"domainNames":["{}"]}})", bad)).starts_with(at + ".domainNames[0]: Invalid value: "));
  }
  CHECK(egress(R"({"domainNames":[")" + std::string(100000, 'a') + R"("]})").starts_with(at + ".domainNames[0]: "));
  CHECK(egress(R"({"nodes":{"matchExpressions":[{"key":"a","operator":"Sometimes"}]}})")
            .starts_with(at + ".nodes.matchExpressions[0].operator: "));
}

TEST_CASE("a protocol has exactly one field, a port is a number or a range, and names are of Pods") {
  const std::string at = "spec.egress[0].protocols[0]";
  CHECK(protocol("{}") ==
        at + ": Invalid value: 0: should have exactly 1 of tcp, udp, sctp, destinationNamedPort: it has none\n");
  CHECK(protocol(R"({"tcp":{}})") == at + ".tcp.destinationPort: Required value: tcp without a port names nothing\n");
  CHECK(protocol(R"({"tcp":{"destinationPort":{}}})")
            .starts_with(at + ".tcp.destinationPort: Invalid value: 0: should have exactly 1"));
  CHECK(protocol(R"({"udp":{"destinationPort":{"number":65536}}})") ==
        at + ".udp.destinationPort.number: Invalid value: 65536: should be less than or equal to 65535\n");
  CHECK(protocol(R"({"sctp":{"destinationPort":{"range":{"start":9,"end":9}}}})") ==
        at + ".sctp.destinationPort.range: Invalid value: {\"start\":9,\"end\":9}: Start port must be less than End "
             "port\n");
  CHECK(create(head(R"(,"egress":[{"action":"Deny","to":[{"namespaces":{}}],"protocols":[]}])")) ==
        "spec.egress[0].protocols: Invalid value: 0: should have at least 1 item\n");
  CHECK(egress(R"({"networks":["10.0.0.0/8"]})", R"(,"protocols":[{"destinationNamedPort":"web"}])")
            .find("peer cannot be set with namedPorts") != std::string::npos);
}

TEST_CASE("fields that a ClusterNetworkPolicy does not have are known as such") {
  const auto report =
      check_schema(*schema_of(ClusterNetworkPolicy::kKind),
                   json::parse(R"({"spec":{"tier":"Admin","egress":[{"to":[{"pod":{}}]}]}})").as_object());
  REQUIRE(report.unknown.size() == 1);
  CHECK(report.unknown[0].path == "spec.egress[0].to[0].pod");
  CHECK(report.wrong.empty());
}
