#include "kube/api/validation.h"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "kube/api/causeway.h"
#include "kube/api/names.h"
#include "kube/api/quantity.h"
#include "kube/api/types.h"

using namespace causeway::kube;
namespace json = boost::json;

namespace {

json::object object(std::string_view text) { return json::parse(text).as_object(); }

json::object defaulted(const KindInfo& kind, std::string_view text) {
  auto tree = object(text);
  set_defaults(kind, tree);
  auto again = tree;
  set_defaults(kind, again);
  CHECK_MESSAGE(again == tree, "defaulting is not idempotent");
  return tree;
}

std::string lines(const FieldErrors& errors) {
  std::string text;
  for (const auto& error : errors) text += to_string(error) + "\n";
  return text;
}

// What a POST of this is answered.
std::string create(const KindInfo& kind, std::string_view text) {
  return lines(validate_create(kind, defaulted(kind, text)));
}

std::string update(const KindInfo& kind, std::string_view old, std::string_view updated) {
  return lines(validate_update(kind, defaulted(kind, old), defaulted(kind, updated)));
}

constexpr KindInfo kDaemonSet{"apps", "v1", "DaemonSet", "daemonsets", true};

}  // namespace

TEST_CASE("a Pod gets the defaults that kubectl shows") {
  CHECK(
      json::serialize(defaulted(Pod::kKind, R"({"metadata":{"name":"a","labels":null},"spec":{"hostNetwork":true,
      "containers":[{"name":"c","image":"reg:5000/x","resources":{"limits":{"cpu":2}},"ports":[{"containerPort":80}],
      "readinessProbe":{"httpGet":{"port":80},"periodSeconds":1}}]}})")) ==
      R"({"metadata":{"name":"a"},"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"reg:5000/x",)"
      R"("resources":{"limits":{"cpu":"2"},"requests":{"cpu":"2"}},"ports":[{"containerPort":80,"protocol":"TCP",)"
      R"("hostPort":80}],"readinessProbe":{"httpGet":{"port":80,"path":"/","scheme":"HTTP"},"periodSeconds":1,)"
      R"("timeoutSeconds":1,"successThreshold":1,"failureThreshold":3},"imagePullPolicy":"Always",)"
      R"("terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],)"
      R"("restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},)"
      R"("schedulerName":"default-scheduler","enableServiceLinks":true},"status":{"phase":"Pending"}})");
}

TEST_CASE("the other kinds get theirs") {
  CHECK(json::serialize(defaulted(
            Service::kKind, R"({"spec":{"type":"LoadBalancer","ports":[{"port":80},{"port":81,"targetPort":"web"}],
      "sessionAffinity":"ClientIP"}})")) ==
        R"({"spec":{"type":"LoadBalancer","ports":[{"port":80,"protocol":"TCP","targetPort":80},{"port":81,)"
        R"("targetPort":"web","protocol":"TCP"}],"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":)"
        R"({"timeoutSeconds":10800}},"externalTrafficPolicy":"Cluster","internalTrafficPolicy":"Cluster",)"
        R"("allocateLoadBalancerNodePorts":true},"status":{"loadBalancer":{}}})");
  CHECK(
      json::serialize(
          defaulted(NetworkPolicy::kKind, R"({"spec":{"podSelector":{},"egress":[{"ports":[{"port":53}]}]}})")) ==
      R"({"spec":{"podSelector":{},"egress":[{"ports":[{"port":53,"protocol":"TCP"}]}],"policyTypes":["Ingress","Egress"]}})");
  CHECK(
      json::serialize(defaulted(Namespace::kKind, R"({"metadata":{"name":"shop"}})")) ==
      R"({"metadata":{"name":"shop","labels":{"kubernetes.io/metadata.name":"shop"}},"spec":{"finalizers":["kubernetes"]},)"
      R"("status":{"phase":"Active"}})");
  CHECK(json::serialize(
            defaulted(Namespace::kKind, R"({"metadata":{"name":"shop","uid":"1"},"spec":{}})").at("spec")) == "{}");
  CHECK(json::serialize(
            defaulted(Secret::kKind, R"({"stringData":{"a":"Causeway","b":"","c":"xy"},"data":{"a":"old"}})")) ==
        R"({"data":{"a":"Q2F1c2V3YXk=","b":"","c":"eHk="},"type":"Opaque"})");
  CHECK(
      json::serialize(defaulted(Deployment::kKind, R"({"spec":{"strategy":{"type":"Recreate"}}})")) ==
      R"({"spec":{"strategy":{"type":"Recreate"},"replicas":1,"revisionHistoryLimit":10,"progressDeadlineSeconds":600}})");
  CHECK(json::serialize(defaulted(Node::kKind, R"({"spec":{"podCIDR":"10.0.0.0/24"}})")) ==
        R"({"spec":{"podCIDR":"10.0.0.0/24","podCIDRs":["10.0.0.0/24"]}})");
}

TEST_CASE("a Pod that cannot run is refused with every reason") {
  CHECK(create(Pod::kKind, R"({"metadata":{"name":"Web_1","namespace":"shop"},"spec":{}})") ==
        "metadata.name: Invalid value: \"Web_1\": " + check_dns1123_subdomain("Web_1") +
            "\n"
            "spec.containers: Required value\n");
  CHECK(
      create(Pod::kKind,
             R"({"metadata":{"name":"a","namespace":"shop"},"spec":{"restartPolicy":"Sometimes","dnsPolicy":"None",
      "nodeSelector":{"a b":"c"},"tolerations":[{"operator":"Equal"}],"containers":[
      {"name":"c","image":"x","ports":[{"containerPort":0},{"containerPort":70000,"protocol":"ICMP"}],
       "env":[{"name":"A","value":"1","valueFrom":{"fieldRef":{"fieldPath":"spec.hostname"}}}],
       "readinessProbe":{},"volumeMounts":[{"name":"v","mountPath":"/x"}],
       "resources":{"limits":{"cpu":"1"},"requests":{"cpu":"1500m","memory":"much"}}},
      {"name":"c"}]}})") ==
      "spec.containers[0].ports[0].containerPort: Required value\n"
      "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive\n"
      "spec.containers[0].ports[1].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", "
      "\"UDP\"\n"
      "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.hostname\": supported values: "
      "\"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", "
      "\"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"\n"
      "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty\n"
      "spec.containers[0].volumeMounts[0].name: Not found: \"v\"\n"
      "spec.containers[0].readinessProbe: Required value: must specify a handler type\n"
      "spec.containers[0].resources.requests[memory]: Invalid value: \"much\": must be a quantity such as 500m or "
      "64Mi\n"
      "spec.containers[0].resources.requests: Invalid value: \"1500m\": must be less than or equal to cpu limit of 1\n"
      "spec.containers[1].name: Duplicate value: \"c\"\n"
      "spec.containers[1].image: Required value\n"
      "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"\n"
      "spec.nodeSelector: Invalid value: \"a b\": " +
          check_qualified_name("a b") +
          "\n"
          "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None\n"
          "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which "
          "means "
          "\"match all values and all keys\"\n");
  CHECK(
      create(Pod::kKind,
             R"({"metadata":{"generateName":"a-","namespace":"s","name":"a-x"},"spec":{"hostNetwork":true,"containers":[
      {"name":"c","image":"x","ports":[{"containerPort":80,"hostPort":81}]},{"name":"d","image":"x","ports":[{"containerPort":81}]}]}})") ==
      "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true\n"
      "spec.containers[1].ports[0].hostPort: Duplicate value: \"TCP/0.0.0.0/81\"\n");
}

TEST_CASE("of a Pod only what may change changes") {
  auto pod = [](std::string_view extra, std::string_view image) {
    return R"({"metadata":{"name":"a","namespace":"s"},"spec":{)" + std::string(extra) +
           R"("containers":[{"name":"c","image":")" + std::string(image) + R"("}]}})";
  };
  CHECK(update(Pod::kKind, pod("", "x:1"), pod("", "x:2")) == "");
  CHECK(update(Pod::kKind, pod("", "x"), pod(R"("tolerations":[{"operator":"Exists"}],)", "x")) == "");
  CHECK(
      update(Pod::kKind, pod("", "x"), pod(R"("nodeName":"n1",)", "x")).contains("found a change of spec.nodeName\n"));
  CHECK(update(Pod::kKind, pod(R"("hostname":"a",)", "x"), pod(R"("hostname":"b",)", "x"))
            .contains("found a change of spec.hostname\n"));
}

TEST_CASE("a Deployment's selector, template and strategy fit together") {
  CHECK(create(Deployment::kKind,
               R"({"metadata":{"name":"x","namespace":"s"},"spec":{"replicas":-1,"selector":{"matchLabels":{"app":"a"}},
      "strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":"0%"}},"template":{"metadata":{"labels":{"app":"b"}},"spec":{}}}})") ==
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0\n"
        "spec.template.metadata.labels: Invalid value: {\"app\":\"b\"}: `selector` does not match template `labels`\n"
        "spec.template.spec.containers: Required value\n"
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0\n");
  CHECK(create(Deployment::kKind, R"({"metadata":{"name":"x","namespace":"s"},"spec":{}})") ==
        "spec.selector: Required value\nspec.template: Required value\n");
  auto with = [](std::string app) {
    return R"({"metadata":{"name":"x","namespace":"s"},"spec":{"selector":{"matchLabels":{"app":")" + app +
           R"("}},"template":{"metadata":{"labels":{"app":")" + app +
           R"("}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";
  };
  CHECK(create(Deployment::kKind, with("a")) == "");
  CHECK(create(ReplicaSet::kKind, with("a")) == "");
  CHECK(create(kDaemonSet, with("a")) == "");
  CHECK(update(Deployment::kKind, with("a"), with("b")) ==
        "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable\n");
  auto errors = validate_create(Deployment::kKind,
                                defaulted(Deployment::kKind, R"({"metadata":{"name":"x","namespace":"s"},"spec":{}})"));
  CHECK(invalid_message("apps", "Deployment", "x", errors) ==
        "Deployment.apps \"x\" is invalid: [spec.selector: Required value, spec.template: Required value]");
}

TEST_CASE("a Service's ports and addresses are held to the rules") {
  CHECK(create(Service::kKind, R"({"metadata":{"name":"1st","namespace":"s"},"spec":{"ports":[{"port":80}]}})") == "");
  CHECK(create(Service::kKind, R"({"metadata":{"name":"a","namespace":"s"},"spec":{"clusterIP":"None"}})") == "");
  CHECK(create(Service::kKind, R"({"metadata":{"name":"a","namespace":"s"},"spec":{"type":"ExternalName"}})") ==
        "spec.externalName: Required value\n");
  CHECK(create(Service::kKind,
               R"({"metadata":{"name":"a","namespace":"s"},"spec":{"clusterIP":"010.0.0.1","ipFamilies":["IPv4","IPv4"],
      "ports":[{"port":80,"nodePort":30000},{"port":80,"name":"b","targetPort":"NO"}],"externalIPs":["127.0.0.1"],
      "trafficDistribution":"Near"}})") ==
        "spec.ports[0].name: Required value\n"
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'\n"
        "spec.ports[1].targetPort: Invalid value: \"NO\": must contain only alpha-numeric characters (a-z, 0-9), and "
        "hyphens (-); must contain at least one letter (a-z)\n"
        "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}\n"
        "spec.ipFamilies[1]: Duplicate value: \"IPv4\"\n"
        "spec.clusterIP: Invalid value: \"010.0.0.1\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\n"
        "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)\n"
        "spec.trafficDistribution: Unsupported value: \"Near\": supported values: \"PreferClose\", \"PreferSameNode\", "
        "\"PreferSameZone\"\n");
  auto with = [](std::string ip) {
    return R"({"metadata":{"name":"a","namespace":"s"},"spec":{"ports":[{"port":80}],"clusterIP":")" + ip +
           R"(","clusterIPs":[")" + ip + R"("]}})";
  };
  CHECK(update(Service::kKind, with("10.0.0.1"), with("10.0.0.2")) ==
        "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set\n");
}

TEST_CASE("a stored fault does not block an update that leaves it alone") {
  auto policy = [](std::string cidr, std::string label) {
    return R"({"metadata":{"name":"a","namespace":"s","labels":{"v":")" + label +
           R"("}},"spec":{"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":")" + cidr + R"("}}]}]}})";
  };
  CHECK(create(NetworkPolicy::kKind, policy("10.0.0.1/8", "1")) ==
        "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix "
        "length (should be \"10.0.0.0/8\")\n");
  CHECK(update(NetworkPolicy::kKind, policy("10.0.0.1/8", "1"), policy("10.0.0.1/8", "2")) == "");
  CHECK(update(NetworkPolicy::kKind, policy("10.0.0.1/8", "1"), policy("10.0.0.2/8", "1")) != "");
}

TEST_CASE("a NetworkPolicy's peers and ports are held to the rules") {
  CHECK(
      create(
          NetworkPolicy::kKind,
          R"({"metadata":{"name":"a","namespace":"s"},"spec":{"podSelector":{"matchExpressions":[{"key":"a","operator":"Is"}]},
      "policyTypes":["Both"],"ingress":[{"from":[{},{"podSelector":{},"ipBlock":{"cidr":"10.0.0.0/8","except":["10.0.0.0/8","11.0.0.0/9"]}}],
      "ports":[{"port":90,"endPort":80},{"endPort":1},{"port":"http","endPort":2},{"protocol":"ICMP"}]}]}})") ==
      "spec.podSelector.matchExpressions[0].operator: Invalid value: \"Is\": not a valid selector operator\n"
      "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`\n"
      "spec.ingress[0].ports[1].endPort: Invalid value: 1: may not be specified when `port` is not specified\n"
      "spec.ingress[0].ports[2].endPort: Invalid value: 2: may not be specified when `port` is non-numeric\n"
      "spec.ingress[0].ports[3].protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\"\n"
      "spec.ingress[0].from[0]: Required value: must specify a peer\n"
      "spec.ingress[0].from[1].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`\n"
      "spec.ingress[0].from[1].ipBlock.except[1]: Invalid value: \"11.0.0.0/9\": must be a strict subset of `cidr`\n"
      "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer\n"
      "spec.policyTypes[0]: Unsupported value: \"Both\": supported values: \"Ingress\", \"Egress\"\n");
}

TEST_CASE("an EndpointSlice takes only addresses that a packet can be sent to") {
  CHECK(create(EndpointSlice::kKind, R"({"metadata":{"name":"a","namespace":"s"},"addressType":"IPv6","endpoints":[
      {"addresses":["FD00::1"]},{"addresses":["10.0.0.1"]},{"addresses":["::1"]},{"addresses":[]}],"ports":[{"port":0},{}]})") ==
        "endpoints[0].addresses[0]: Invalid value: \"FD00::1\": must be in canonical form (\"fd00::1\")\n"
        "endpoints[1].addresses[0]: Invalid value: \"10.0.0.1\": must be an IPv6 address\n"
        "endpoints[2].addresses[0]: Invalid value: \"::1\": may not be in the loopback range (127.0.0.0/8, ::1/128)\n"
        "endpoints[3].addresses: Required value: must contain at least 1 address\n"
        "ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n"
        "ports[1].name: Duplicate value: \"\"\n");
}

TEST_CASE("Endpoints take only addresses that a packet can be sent to") {
  CHECK(create(Endpoints::kKind, R"({"metadata":{"name":"a","namespace":"s"},"subsets":[{"ports":[{"port":80}]},
      {"addresses":[{"ip":"127.0.0.1"},{"ip":"10.0.0.1","hostname":"a.b"}],"notReadyAddresses":[{"ip":"fe80::1"}],
       "ports":[{"port":80,"name":"a"},{"port":0,"protocol":"ICMP"}]}]})") ==
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`\n"
        "subsets[1].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, "
        "::1/128)\n"
        "subsets[1].addresses[1].hostname: Invalid value: \"a.b\": " +
            check_dns1123_label("a.b") +
            "\n"
            "subsets[1].notReadyAddresses[0].ip: Invalid value: \"fe80::1\": may not be in the link-local range "
            "(169.254.0.0/16, fe80::/10)\n"
            "subsets[1].ports[1].name: Required value\n"
            "subsets[1].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive\n"
            "subsets[1].ports[1].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", "
            "\"UDP\"\n");
}

TEST_CASE("a ServiceCIDR has one range of each family, and may only gain the second") {
  auto with = [](std::string cidrs) { return R"({"metadata":{"name":"a"},"spec":{"cidrs":[)" + cidrs + "]}}"; };
  CHECK(create(ServiceCidr::kKind, with(R"("10.0.0.0/24","fd00::/112")")) == "");
  CHECK(create(ServiceCidr::kKind, with("")) == "spec.cidrs: Required value: at least one CIDR required\n");
  CHECK(create(ServiceCidr::kKind, with(R"("10.0.0.1/24")")) ==
        "spec.cidrs[0]: Invalid value: \"10.0.0.1/24\": must not have bits set beyond the prefix length (should be "
        "\"10.0.0.0/24\")\n");
  CHECK(create(ServiceCidr::kKind, with(R"("FD00::/112")")) ==
        "spec.cidrs[0]: Invalid value: \"FD00::/112\": must be in canonical form (\"fd00::/112\")\n");
  CHECK(create(ServiceCidr::kKind, with(R"("10.0.0.0/24","10.1.0.0/24")")) ==
        "spec.cidrs: Invalid value: [\"10.0.0.0/24\",\"10.1.0.0/24\"]: may specify no more than one IP for each IP "
        "family, i.e 192.168.0.0/24 and 2001:db8::/64\n");
  const auto one = with(R"("10.0.0.0/24")"), both = with(R"("10.0.0.0/24","fd00::/112")");
  CHECK(update(ServiceCidr::kKind, one, both) == "");
  CHECK(update(ServiceCidr::kKind, both, one) == "spec.cidrs: Invalid value: [\"10.0.0.0/24\"]: field is immutable\n");
  CHECK(update(ServiceCidr::kKind, one, with(R"("10.1.0.0/24")")) ==
        "spec.cidrs[0]: Invalid value: \"10.1.0.0/24\": field is immutable\n");
}

TEST_CASE("an IPAddress is named by the address in its one form, and says whose it is") {
  auto with = [](std::string name, std::string parent) {
    return R"({"metadata":{"name":")" + name + R"("},"spec":{"parentRef":)" + parent + "}}";
  };
  const std::string parent = R"({"resource":"services","namespace":"s","name":"a"})";
  CHECK(create(IpAddress::kKind, with("fd00::1", parent)) == "");
  CHECK(create(IpAddress::kKind, with("fd00::0:1", parent)) ==
        "metadata.name: Invalid value: \"fd00::0:1\": must be in canonical form (\"fd00::1\")\n");
  CHECK(create(IpAddress::kKind, with("10.0.0.1", "null")) == "spec.parentRef: Required value\n");
  CHECK(create(IpAddress::kKind, with("10.0.0.1", "{}")) ==
        "spec.parentRef.resource: Required value\nspec.parentRef.name: Required value\n");
  CHECK(update(IpAddress::kKind, with("10.0.0.1", parent), with("10.0.0.1", R"({"resource":"x","name":"y"})")) ==
        "spec.parentRef: Invalid value: {\"resource\":\"x\",\"name\":\"y\"}: field is immutable\n");
}

TEST_CASE("an AddressReservation is named by its address, and whose it is never changes") {
  const auto name_of = [](const char* text) { return reservation_name(causeway::Ip::parse(text).value()); };
  CHECK(name_of("10.244.1.7") == "10.244.1.7");
  CHECK(name_of("fd10:244::7") == "fd10-244--7");
  CHECK(name_of("::1") == "0--1");
  CHECK(name_of("fd10::") == "fd10--0");
  const auto with = [](const std::string& name, const std::string& address, const std::string& pod = "db-0") {
    return R"({"metadata":{"name":")" + name + R"("},"spec":{"address":")" + address +
           R"(","podNamespace":"shop","podName":")" + pod + R"("}})";
  };
  const auto& kind = AddressReservation::kKind;
  CHECK(create(kind, with("10.244.1.7", "10.244.1.7")) == "");
  CHECK(create(kind, with("fd10--0", "fd10::")) == "");
  CHECK(create(kind, with("x", "10.244.1.7")) ==
        "metadata.name: Invalid value: \"x\": must be named after the address: \"10.244.1.7\"\n");
  CHECK(create(kind, with("fd10--7", "fd10:0::7")).find("must be in canonical form (\"fd10::7\")") !=
        std::string::npos);
  CHECK(create(kind, with("x", "here")).find("must be an IP address") != std::string::npos);
  CHECK(create(kind, with("10.244.1.7", "10.244.1.7", "")).find("spec.podName: Required value") != std::string::npos);
  CHECK(update(kind, with("10.244.1.7", "10.244.1.7"), with("10.244.1.7", "10.244.1.7", "db-1"))
            .find("field is immutable") != std::string::npos);
}

TEST_CASE("a Node's Pod CIDRs are given once") {
  auto with = [](std::string cidrs) { return R"({"metadata":{"name":"n"},"spec":{"podCIDRs":[)" + cidrs + "]}}"; };
  CHECK(create(Node::kKind, with(R"("10.0.0.0/24","fd00::/64")")) == "");
  CHECK(create(Node::kKind, with(R"("10.0.0.0/24","10.0.1.0/24")")) ==
        "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: may specify no more than one CIDR for each "
        "IP family\n");
  CHECK(update(Node::kKind, with(""), with(R"("10.0.0.0/24")")) == "");
  CHECK(update(Node::kKind, with(R"("10.0.0.0/24")"), with(R"("10.0.1.0/24")")) ==
        "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid\n");
}

TEST_CASE("what is immutable or doomed stays as it is") {
  CHECK(update(ConfigMap::kKind, R"({"metadata":{"name":"a","namespace":"s"},"immutable":true,"data":{"a":"1"}})",
               R"({"metadata":{"name":"a","namespace":"s"},"immutable":true,"data":{"a":"2"}})") ==
        "data: Forbidden: field is immutable when `immutable` is set\n");
  CHECK(
      update(
          ConfigMap::kKind,
          R"({"metadata":{"name":"a","namespace":"s","deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["a/b"]}})",
          R"({"metadata":{"name":"a","namespace":"s","deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["a/b","c/d"]}})") ==
      "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
      "finalizers [c/d]\n");
  CHECK(create(Secret::kKind,
               R"({"metadata":{"name":"a","namespace":"s"},"type":"kubernetes.io/tls","data":{"tls.crt":"!"}})") ==
        "data[tls.crt]: Invalid value: \"<value>\": must be base64\ndata[tls.key]: Required value\n");
}

TEST_CASE("names follow RFC 1123 and RFC 1035") {
  CHECK(check_dns1123_label("a-1") == "");
  for (auto* bad : {"", "-a", "a-", "A", "a.b", "a_b"}) CHECK(check_dns1123_label(bad) != "");
  CHECK(check_dns1123_label(std::string(63, 'a')) == "");
  CHECK(check_dns1123_label(std::string(64, 'a')) == "must be no more than 63 characters");
  CHECK(check_dns1123_subdomain("a.b-c.1") == "");
  for (auto* bad : {"a..b", ".a", "a.", "a.-b"}) CHECK(check_dns1123_subdomain(bad) != "");
  CHECK(check_dns1035_label("1a") != "");
  CHECK(check_qualified_name("example.com/My_name.1") == "");
  for (auto* bad : {"", "/a", "a/", "a/b/c", "Upper.com/a", "a b"}) CHECK(check_qualified_name(bad) != "");
  CHECK(check_label_value("") == "");
  CHECK(check_label_value("a.") != "");
  CHECK(check_port_name("http-1") == "");
  for (auto* bad : {"", "80", "a--b", "-a", "abcdefghijklmnop"}) CHECK(check_port_name(bad) != "");
  CHECK(check_config_map_key("..a") == "must not start with '..'");
}

TEST_CASE("quantities are read in thousandths and rounded up") {
  auto milli = [](std::string_view text) {
    auto value = parse_quantity_milli(text);
    return value ? *value : -1;
  };
  CHECK(milli("1") == 1000);
  CHECK(milli("500m") == 500);
  CHECK(milli("0.1") == 100);
  CHECK(milli("1n") == 1);
  CHECK(milli("1Ki") == 1024000);
  CHECK(milli("1.5Gi") == 1610612736000);
  CHECK(milli("2e3") == 2000000);
  CHECK(milli("1E") == 1000000000000000000LL * 9 + 223372036854775807LL);
  CHECK(milli("99999999999999999999999999999") == 9223372036854775807LL);
  for (auto* bad : {"", "x", "1x", "1.2.3", "Ki", "1e", "1kk", "--1", "1 "}) CHECK(milli(bad) == -1);
}
