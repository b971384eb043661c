#include "kube/api/schema.h"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>

#include "kube/api/types.h"

using namespace causeway::kube;

namespace {
std::string check(const KindInfo& kind, std::string_view json) {
  std::string text;
  auto report = check_schema(*schema_of(kind), boost::json::parse(json).as_object());
  for (const auto& fault : report.unknown) text += fault.message + "\n";
  for (const auto& fault : report.wrong) text += fault.message + "\n";
  return text;
}
}  // namespace

TEST_CASE("every typed kind has its schema") {
  for (const auto& kind :
       {Pod::kKind, Node::kKind, Namespace::kKind, Service::kKind, EndpointSlice::kKind, NetworkPolicy::kKind,
        Endpoints::kKind, ServiceCidr::kKind, IpAddress::kKind, ConfigMap::kKind, Secret::kKind, ReplicaSet::kKind,
        Deployment::kKind, Event::kKind, Lease::kKind})
    CHECK_MESSAGE(schema_of(kind), kind.kind);
  CHECK(schema_of("apps", "v1", "DaemonSet"));
  CHECK(!schema_of("apps", "v1beta1", "Deployment"));
  CHECK(!schema_of("policy", "v1", "PodDisruptionBudget"));
  CHECK(open_api_name(*schema_of(Pod::kKind)) == "io.k8s.api.core.v1.Pod");
  CHECK(open_api_name(*schema_of(Deployment::kKind)) == "io.k8s.api.apps.v1.Deployment");
  CHECK(open_api_name(*find_type("ObjectMeta")) == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
}

TEST_CASE("lists know how they are merged") {
  const auto& deployment = *schema_of(Deployment::kKind);
  CHECK(find_field(deployment, "spec.template.spec.containers")->merge_key == "name");
  CHECK(find_field(deployment, "spec.template.spec.containers[].ports")->merge_key == "containerPort");
  CHECK(find_field(deployment, "spec.template.spec.containers[0].ports")->list_keys ==
        std::vector<std::string_view>{"containerPort", "protocol"});
  CHECK(!find_field(deployment, "spec.template.spec.tolerations")->merge);
  CHECK(find_field(deployment, "metadata.finalizers")->merge);
  CHECK(find_field(deployment, "metadata.finalizers")->merge_key == "");
  CHECK(find_field(deployment, "spec.strategy")->retain_keys);
  CHECK(!find_field(deployment, "spec.nothing"));
}

TEST_CASE("unknown fields and wrong types are named with their paths") {
  CHECK(check(Pod::kKind, R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"x":"y"},"nam":1},
    "spec":{"containers":[{"name":"c","imagee":"x","resources":{"limits":{"cpu":2,"memory":"1Gi"}},
      "ports":[{"containerPort":"80"}]}],"volumes":null,"nodeSelector":{"a":5},"hostNetwork":"yes",
      "terminationGracePeriodSeconds":1.5}})") ==
        "unknown field \"metadata.nam\"\n"
        "unknown field \"spec.containers[0].imagee\"\n"
        "spec.containers[0].ports[0].containerPort: expected a 32-bit integer, found a string\n"
        "spec.nodeSelector.a: expected a string, found an integer\n"
        "spec.hostNetwork: expected true or false, found a string\n"
        "spec.terminationGracePeriodSeconds: expected an integer, found a number\n");
  CHECK(check(Deployment::kKind, R"({"spec":{"replicas":99999999999,"template":[],"strategy":{"rollingUpdate":
    {"maxSurge":"25%","maxUnavailable":1}}}})") ==
        "spec.replicas: expected a 32-bit integer, found an integer\n"
        "spec.template: expected an object, found a list\n");
}

TEST_CASE("members that stand twice are found wherever they are") {
  CHECK(duplicate_fields(R"({"a":1,"b":{"c":[{"d":1,"d":2,"d":3},{"d":1}]},"a":2})") ==
        std::vector<std::string>{"b.c[0].d", "a"});
  CHECK(duplicate_fields(R"([{"a":1},[{"x":1,"x":2}]])") == std::vector<std::string>{"[1][0].x"});
  CHECK(duplicate_fields(R"({"a":1,"a":)") == std::vector<std::string>{"a"});
  CHECK(duplicate_fields("").empty());
}
