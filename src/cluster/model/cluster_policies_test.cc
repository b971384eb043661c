// ClusterNetworkPolicies of the API as the model has them.
#include <doctest/doctest.h>

#include "cluster/model/model.h"
#include "cluster/model/project.h"
#include "kube/api/codec.h"

using namespace causeway;
using namespace causeway::cluster;

namespace {

Policy read(std::string_view spec, std::string_view name = "p") {
  return project(kube::decode<kube::ClusterNetworkPolicy>(
                     fmt::format(R"({{"apiVersion":"policy.networking.k8s.io/v1alpha2",)"
                                 R"("kind":"ClusterNetworkPolicy","metadata":{{"name":"{}"}},"spec":{}}})",
                                 name, spec))
                     .value());
}

// Of one rule: "accept x, y -> ports"; what is wrong behind it.
std::string said(const PolicyRule& rule) {
  std::string text(to_string(rule.action));
  if (!rule.name.empty()) text += " \"" + rule.name + "\"";
  if (rule.anybody) text += " everybody";
  for (const PodPeer& peer : rule.pods) text += "; " + to_string(peer);
  for (const NodePeer& peer : rule.nodes) text += "; " + describe_nodes(peer);
  for (const PolicyBlock& block : rule.blocks) text += "; " + to_string(block);
  text += rule.any_port ? " -> all" : " ->";
  for (const PolicyPort& port : rule.ports) text += " " + to_string(port);
  return text;
}
std::string egress(std::string_view action, std::string_view to, std::string_view more = "") {
  const Policy policy = read(fmt::format(
      R"({{"tier":"Admin","priority":1,"subject":{{"namespaces":{{}}}},"egress":[{{"action":"{}","to":[{}]{}}}]}})",
      action, to, more));
  return said(policy.egress.at(0)) + (policy.problem.empty() ? "" : " | " + policy.problem);
}

constexpr std::string_view kNamespaces = R"({"namespaces":{}})";

}  // namespace

TEST_CASE("a ClusterNetworkPolicy is read with its tier, priority, subject, directions and named rules") {
  const Policy policy = read(R"({"tier":"Baseline","priority":7,
      "subject":{"pods":{"namespaceSelector":{"matchLabels":{"team":"x"}},"podSelector":{"matchLabels":{"app":"db"}}}},
      "ingress":[{"name":"from y","action":"Pass","from":[{"namespaces":{"matchLabels":{"team":"y"}}}]},
                 {"action":"Deny","from":[{"pods":{"podSelector":{}}}],"protocols":[{"tcp":{"destinationPort":{"number":80}}},
                  {"udp":{"destinationPort":{"range":{"start":53,"end":60}}}},{"sctp":{"destinationPort":{"number":9}}},
                  {"destinationNamedPort":"web"}]}]})");
  CHECK(to_string(policy.key) == "p");
  CHECK(policy.tier == Tier::Baseline);
  CHECK(policy.priority == 7);
  CHECK(to_string(policy.subject) == "Pods app=db of namespaces team=x");
  CHECK(policy.concerns_ingress);
  CHECK_FALSE(policy.concerns_egress);
  CHECK(said(policy.ingress.at(0)) == "pass \"from y\"; all Pods of namespaces team=y -> all");
  CHECK(said(policy.ingress.at(1)) ==
        "deny; all Pods of all namespaces -> 80/tcp 53-60/udp 9/sctp port \"web\"/any protocol");
  CHECK(policy.problem == "");
}

TEST_CASE("networks of an egress rule are prefixes, with host bits as they may stand there") {
  CHECK(egress("Deny", R"({"networks":["10.0.0.7/8","fd00::/8"]})") == "deny; 10.0.0.0/8; fd00::/8 -> all");
}

TEST_CASE("23: nodes of an egress rule are Nodes by labels; a selector that cannot be read closes") {
  CHECK(egress("Deny", R"({"nodes":{}},{"nodes":{"matchLabels":{"role":"edge"}}})") ==
        "deny; all Nodes; Nodes role=edge -> all");
  CHECK(egress("Accept", R"({"nodes":{"matchExpressions":[{"key":"a","operator":"In"}]}})")
            .starts_with("accept -> | spec.egress[0].to[0].nodes: "));
}

TEST_CASE("23: a Node's addresses are all of its status.addresses that are addresses, with its labels") {
  const Node node = project(kube::decode<kube::Node>(R"({"metadata":{"name":"n","labels":{"role":"edge"}},
      "status":{"addresses":[{"type":"Hostname","address":"n.example"},{"type":"InternalIP","address":"192.0.2.1"},
        {"type":"ExternalIP","address":"203.0.113.1"},{"type":"Hostname","address":"198.51.100.1"},
        {"type":"ExternalIP","address":"203.0.113.1"},{"type":"ExternalIP","address":"2001:db8::1"}]}})")
                                .value());
  CHECK(node.addresses == std::vector{Ip::parse("192.0.2.1").value()});
  CHECK(node.others.size() == 3);
  for (const std::string_view text : {"192.0.2.1", "203.0.113.1", "198.51.100.1", "2001:db8::1"})
    CHECK(has_address(node, Ip::parse(text).value()));
  CHECK_FALSE(has_address(node, Ip::parse("192.0.2.2").value()));
  CHECK(node.labels == Labels{{"role", "edge"}});
  CHECK(node.problem == "");
}

TEST_CASE("22: a rule of which anything is not known or not done accepts nothing, or denies everything") {
  const std::string at = "spec.egress[0].to[0]";
  CHECK(egress("Accept", R"({"services":{}})") ==
        "accept -> | " + at + ": no field is set that is known here; the rule accepts nothing");
  for (const std::string_view action : {"Deny", "Pass"})
    CHECK(egress(action, R"({"services":{}})") ==
          "deny everybody -> all | " + at + ": no field is set that is known here; the rule denies everything");
  // One of many is enough: nobody knows what the rule would have been without it.
  CHECK(egress("Accept", R"({"namespaces":{}},{"services":{}})").starts_with("accept -> | "));
  CHECK(egress("Accept", R"({"domainNames":["example.com"]})") ==
        "accept -> | " + at + ".domainNames: peers by domain names are not supported; the rule accepts nothing");
  CHECK(egress("Accept", R"({"networks":["10.0.0.0/33"]})").starts_with("accept -> | " + at + ".networks[0]: "));
  CHECK(egress("Accept", R"({"networks":[]})").starts_with("accept -> | "));
  CHECK(egress("Accept", "").starts_with("accept -> | spec.egress[0].to: names no peer"));
  CHECK(egress("Log", kNamespaces) ==
        "deny everybody -> all | spec.egress[0].action: \"Log\" is none; the rule denies everything");
  CHECK(egress("Deny", R"({"namespaces":{"matchExpressions":[{"key":"a","operator":"Sometimes"}]}})")
            .starts_with("deny everybody"));
}

TEST_CASE("22: so does one whose protocols are not known") {
  for (const std::string_view protocols :
       {R"([{"icmp":{}}])", R"([{"tcp":{}}])", R"([{"tcp":{"sourcePort":{"number":80}}}])",
        R"([{"tcp":{"destinationPort":{}}}])", R"([{"tcp":{"destinationPort":{"number":0}}}])",
        R"([{"udp":{"destinationPort":{"range":{"start":9,"end":8}}}}])", R"([])",
        R"([{"destinationNamedPort":""}])"}) {
    CAPTURE(protocols);
    CHECK(egress("Accept", kNamespaces, fmt::format(R"(,"protocols":{})", protocols)).starts_with("accept -> | "));
    CHECK(egress("Deny", kNamespaces, fmt::format(R"(,"protocols":{})", protocols))
              .starts_with("deny everybody -> all | "));
  }
}

TEST_CASE("a policy whose subject or tier is not known is judged first, of everybody, and only denies") {
  for (const std::string_view head : {R"("tier":"Baseline","priority":1,"subject":{"nodes":{}})",
                                      R"("tier":"Platform","priority":1,"subject":{"namespaces":{}})"}) {
    const Policy policy = read(fmt::format(
        R"({{{},"egress":[{{"action":"Accept","to":[{}]}},{{"action":"Pass","to":[{}]}},{{"action":"Deny","to":[{}]}}]}})",
        head, kNamespaces, kNamespaces, kNamespaces));
    CHECK(policy.tier == Tier::Admin);
    CHECK(policy.subject == PodPeer{});
    CHECK(said(policy.egress[0]) == "accept ->");
    CHECK(said(policy.egress[1]) == "accept ->");
    CHECK(said(policy.egress[2]) == "deny; all Pods of all namespaces -> all");
    CHECK(policy.problem.ends_with("; it is judged in tier Admin, and of its rules only those that deny"));
  }
}

TEST_CASE("policies of one tier and priority that judge one direction are named to each other") {
  const auto one = [](std::string_view tier, int priority, std::string_view direction) {
    return fmt::format(
        R"({{"tier":"{}","priority":{},"subject":{{"namespaces":{{}}}},"{}":[{{"action":"Deny","{}":[{}]}}]}})", tier,
        priority, direction, direction == "egress" ? "to" : "from", kNamespaces);
  };
  Model model;
  model.put(read(one("Admin", 1, "egress"), "a"));
  model.put(read(one("Admin", 1, "egress"), "b"));
  model.put(read(one("Admin", 1, "ingress"), "c"));
  model.put(read(one("Admin", 2, "egress"), "d"));
  model.put(read(one("Baseline", 1, "egress"), "e"));
  std::string text;
  for (const auto& [key, tie] : priority_ties(model.policies())) text += to_string(key) + ": " + tie + "\n";
  CHECK(text ==
        "a: tier Admin and priority 1 are also those of b: they are judged by name\n"
        "b: tier Admin and priority 1 are also those of a: they are judged by name\n");
}
