#include "kube/api/codec.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::kube;

namespace {
template <class T>
std::string error_of(std::string_view json) {
  auto result = decode<T>(json);
  return result ? "decoded" : result.error().message();
}
template <class T>
T must(std::string_view json) {
  auto result = decode<T>(json);
  REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().message()));
  return *result;
}
}  // namespace

TEST_CASE("a Pod decodes to its fields, passes over what it does not know, and encodes to the API's field order") {
  auto pod = must<Pod>(R"({
    "kind": "Pod", "apiVersion": "v1", "x-unknown": [1, {"deep": [[]]}],
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": null,
      "managedFields": [{"manager": "kubectl"}], "creationTimestamp": "2026-01-02T03:04:05Z",
      "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": true}]},
    "spec": {"nodeName": "n1", "volumes": [{"name": "v"}], "containers": [{"name": "c", "image": "i\u00e9",
      "ports": [{"containerPort": 80}], "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
      "readinessProbe": {"httpGet": {"port": "http", "path": "/ok"}, "tcpSocket": {"port": 81}}}],
      "tolerations": [{"operator": "Exists"}]},
    "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
      "conditions": [{"type": "Ready", "status": "True"}]}})");
  CHECK(is_ready(pod));
  CHECK(full_name(pod.metadata) == "shop/web");
  REQUIRE(controller_of(pod.metadata));
  CHECK(controller_of(pod.metadata)->name == "web-1");
  CHECK(
      encode(pod) ==
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop",)"
      R"("creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"web"},"ownerReferences":[{"apiVersion":"apps/v1",)"
      R"("kind":"ReplicaSet","name":"web-1","uid":"u","controller":true}]},"spec":{"containers":[{"name":"c",)"
      R"("image":"ié","ports":[{"containerPort":80}],"env":[{"name":"N","valueFrom":{"fieldRef":)"
      R"({"fieldPath":"spec.nodeName"}}}],"readinessProbe":{"httpGet":{"path":"/ok","port":"http"},)"
      R"("tcpSocket":{"port":81}}}],"nodeName":"n1","tolerations":[{"operator":"Exists"}],"volumes":[{"name":"v"}]},)"
      R"("status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}})");
  CHECK(must<Pod>(encode(pod)) == pod);
}

TEST_CASE("empty is kept apart from absent where Kubernetes does") {
  auto policy = must<NetworkPolicy>(R"({"spec": {"podSelector": {}, "ingress": [{}, {"from": [{"podSelector": {}}]}],
    "policyTypes": []}})");
  REQUIRE(policy.spec.ingress.size() == 2);
  CHECK(policy.spec.ingress[0].from.empty());
  CHECK(policy.spec.ingress[1].from[0].pod_selector == LabelSelector{});
  CHECK(!policy.spec.ingress[1].from[0].namespace_selector);
  CHECK(policy.spec.policy_types == std::vector<std::string>{});
  CHECK(must<NetworkPolicy>(encode(policy)) == policy);
  CHECK(!must<NetworkPolicy>(R"({"spec": {"policyTypes": null}})").spec.policy_types);

  auto service = must<Service>(R"({"spec": {"selector": {}, "ports": [{"port": 80, "targetPort": 0}]}})");
  CHECK(service.spec.selector == StringMap{});
  CHECK(service.spec.ports[0].target_port == IntOrString{0});
  CHECK(must<Service>(encode(service)) == service);
}

TEST_CASE("the endpoints of a slice may be absent, null or empty") {
  for (auto* json : {R"({"addressType":"IPv4"})", R"({"addressType":"IPv4","endpoints":null,"ports":null})",
                     R"({"addressType":"IPv4","endpoints":[],"ports":[]})"}) {
    auto slice = must<EndpointSlice>(json);
    CHECK(slice.endpoints.empty());
    CHECK(encode(slice) == R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{},)"
                           R"("addressType":"IPv4","endpoints":[],"ports":[]})");
  }
  auto slice = must<EndpointSlice>(R"({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]})");
  CHECK(slice.endpoints[0].conditions.ready == false);
  CHECK(!slice.endpoints[0].conditions.serving);
}

TEST_CASE("a Pod template is handed on as its own text") {
  auto set = must<ReplicaSet>(R"({"spec": {"replicas": 0, "template" : {"spec": {"volumes": [ {"x": "}"} ]}} ,
    "selector": {"matchLabels": {"a": "b"}}}})");
  CHECK(set.spec.pod_template.text == R"({"spec": {"volumes": [ {"x": "}"} ]}})");
  CHECK(set.spec.replicas == 0);
  CHECK(set.spec.selector.match_labels == StringMap{{"a", "b"}});
}

TEST_CASE("what is wrong is named with its path") {
  CHECK(error_of<Pod>(R"({"spec": {"containers": [{"name": "a"}, {"image": 5}]}})") ==
        "Pod: spec.containers[1].image: not a string");
  CHECK(error_of<Pod>(R"({"kind": "Node"})") == R"(Pod: kind: "Node" where "Pod" is expected)");
  CHECK(error_of<ReplicaSet>(R"({"apiVersion": "apps/v1beta1"})") ==
        R"(ReplicaSet: apiVersion: "apps/v1beta1" where "apps/v1" is expected)");
  CHECK(error_of<Pod>(R"({"metadata": {"labels": {"a": 1}}})") == "Pod: metadata.labels.a: not a string");
  CHECK(error_of<Pod>(R"({"metadata": {"deletionTimestamp": "soon"}})") ==
        R"(Pod: metadata.deletionTimestamp: "soon" is no RFC 3339 time)");
  CHECK(error_of<ReplicaSet>(R"({"spec": {"replicas": 3000000000}})") ==
        "ReplicaSet: spec.replicas: does not fit 32 bits");
  CHECK(error_of<Pod>("[]") == "Pod: not an object");
  CHECK(error_of<Pod>("7") == "Pod: not an object");
  for (auto* broken : {"", "{", R"({"a")", R"({"metadata": {})", "{} {}", "{}x", "{\"a\":\"\xff\"}"})
    CHECK(error_of<Pod>(broken).starts_with("Pod: "));
}

TEST_CASE("a list hands over its items one by one, wherever its metadata stands") {
  std::string names;
  auto take = [&](Pod&& pod) { names += pod.metadata.name + " "; };
  auto meta = decode_list_items<Pod>(
      R"({"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}],)"
      R"("metadata":{"resourceVersion":"7","continue":"c","remainingItemCount":3}})",
      take);
  REQUIRE(meta);
  CHECK(names == "a b ");
  CHECK(*meta == ListMeta{"7", "c", 3});
  CHECK(decode_list_items<Pod>(R"({"kind":"PodList","items":null,"metadata":{}})", take).has_value());
  CHECK(decode_list_items<Pod>(R"({"kind":"NodeList","items":[]})", take).error().message() ==
        "PodList: kind: the answer is a NodeList");
  CHECK(decode_list_items<Pod>(R"({"items":[{},{"spec":[]}]})", take).error().message() ==
        "PodList: items[1].spec: not an object");
}

TEST_CASE("a watch event carries an object, a bookmark or a Status") {
  auto added = decode_watch_event<Pod>(R"({"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a"}}})");
  REQUIRE(added);
  CHECK(added->object.metadata.name == "a");
  auto bookmark = decode_watch_event<Pod>(
      R"({"object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}},"type":"BOOKMARK"})");
  REQUIRE(bookmark);
  CHECK(bookmark->type == WatchType::Bookmark);
  CHECK(bookmark->object.metadata.resource_version == "9");
  CHECK(bookmark->initial_events_end);
  auto gone = decode_watch_event<Pod>(
      R"({"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired","message":"too old"}})");
  REQUIRE(gone);
  CHECK(gone->error.code == 410);
  CHECK(gone->error.reason == "Expired");
  CHECK(decode_watch_event<Pod>(R"({"type":"EATEN","object":{}})").error().message() ==
        R"(watch event: type: unknown type "EATEN")");
  CHECK(!decode_watch_event<Pod>(R"({"type":"ADDED"})"));
}

TEST_CASE("times survive the wire in both forms, and leap days are days") {
  auto time = parse_time("2024-02-29T23:59:60.123456+01:30");
  REQUIRE(time);
  CHECK(format_micro_time(*time) == "2024-02-29T22:30:00.123456Z");
  CHECK(format_time(*time) == "2024-02-29T22:30:00Z");
  for (auto* bad : {"", "2023-02-29T00:00:00Z", "2024-01-01", "2024-01-01T00:00:00", "2024-01-01T24:00:00Z",
                    "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00Zz"})
    CHECK(!parse_time(bad));
  auto lease = must<Lease>(R"({"spec":{"renewTime":"2026-01-01T00:00:00.5Z","holderIdentity":""}})");
  CHECK(encode(lease) ==
        R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{},"spec":{"holderIdentity":"",)"
        R"("renewTime":"2026-01-01T00:00:00.500000Z"}})");
}

TEST_CASE("strings are quoted so that every reader agrees on them") {
  CHECK(json_quote("a\"\\\n\t\x01 é\xff\xed\xa0\x80z") ==
        "\"a\\\"\\\\\\n\\t\\u0001 é\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
}

TEST_CASE("paths follow group, version and namespace") {
  CHECK(collection_path(Pod::kKind) == "/api/v1/pods");
  CHECK(object_path(Pod::kKind, "shop", "web", "log") == "/api/v1/namespaces/shop/pods/web/log");
  CHECK(object_path(Deployment::kKind, "shop", "web") == "/apis/apps/v1/namespaces/shop/deployments/web");
  CHECK(object_path(Node::kKind, "ignored", "n1") == "/api/v1/nodes/n1");
}
