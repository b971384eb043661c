#include <doctest/doctest.h>

#include "apiserver/server_fixture.h"

namespace causeway::apiserver {
namespace {

constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";

std::string config_map(std::string_view name, std::string_view value) {
  return fmt::format(R"({{"metadata":{{"name":"{}"}},"data":{{"k":"{}"}}}})", name, value);
}

TEST_CASE("a new server has the four namespaces and the Service kubernetes with the first address") {
  ServerFixture f([](ServerOptions& options) { options.advertise = {{*Ip::parse("192.0.2.1"), 6443}}; });
  std::string names;
  for (const auto& item : f.tree("/api/v1/namespaces")["items"].as_array())
    names += fmt::format("{} ", std::string_view(item.as_object().at("metadata").at("name").as_string()));
  CHECK(names == "default kube-node-lease kube-public kube-system ");
  auto service = f.tree("/api/v1/namespaces/default/services/kubernetes");
  CHECK(boost::json::serialize(service["spec"].at("clusterIPs")) == R"(["10.96.0.1"])");
  auto slice = f.tree("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes");
  CHECK(boost::json::serialize(slice["endpoints"]) == R"([{"addresses":["192.0.2.1"],"conditions":{"ready":true}}])");
  CHECK(f.get("/readyz") == "200 ok");
}

TEST_CASE("create, read, update and delete keep the contract of resourceVersion") {
  ServerFixture f;
  CHECK(
      f.post(kMaps, config_map("a", "1")) ==
      R"(201 {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"default","uid":"U","creationTimestamp":"T","resourceVersion":"11"},"data":{"k":"1"}})");
  CHECK(f.message(f.request("POST", kMaps, config_map("a", "1"))) == "409 configmaps \"a\" already exists");
  CHECK(
      f.put(std::string(kMaps) + "/a", R"({"metadata":{"name":"a","resourceVersion":"11"},"data":{"k":"2"}})") ==
      R"(200 {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"12","namespace":"default","uid":"U","creationTimestamp":"T"},"data":{"k":"2"}})");
  // The same again changes nothing and keeps the revision.
  CHECK(f.put(std::string(kMaps) + "/a", R"({"metadata":{"name":"a"},"data":{"k":"2"}})")
            .find(R"("resourceVersion":"12")") != std::string::npos);
  CHECK(f.message(f.request("PUT", std::string(kMaps) + "/a",
                            R"({"metadata":{"name":"a","resourceVersion":"11"},"data":{"k":"3"}})")) ==
        "409 Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your "
        "changes to the "
        "latest version and try again");
  CHECK(f.message(f.request("DELETE", std::string(kMaps) + "/a", R"({"preconditions":{"uid":"other"}})"))
            .starts_with("409 "));
  CHECK(
      f.remove(std::string(kMaps) + "/a") ==
      R"(200 {"apiVersion":"v1","kind":"Status","metadata":{},"status":"Success","details":{"name":"a","kind":"configmaps","uid":"U"},"code":200})");
  CHECK(f.message(f.request("GET", std::string(kMaps) + "/a")) == "404 configmaps \"a\" not found");
}

// kubectl reads them without a look whether they are there (kubectl debug).
TEST_CASE("a Status says by its details what it is about, and for a path that is not there names no object") {
  ServerFixture f;
  auto details = [&](const std::string& method, const std::string& path) {
    auto status = boost::json::parse(f.request(method, path, "{}").body);
    auto* found = status.as_object().if_contains("details");
    return found == nullptr ? "none" : boost::json::serialize(*found);
  };
  CHECK(details("PATCH", "/api/v1/namespaces/default/pods/a/ephemeralcontainers") ==
        R"({"kind":"pods","causes":[{"reason":"UnexpectedServerResponse","message":"404 page not found"}]})");
  CHECK(
      details("GET", "/apis/apps/v1/namespaces/default/deployments/a/nothing") ==
      R"({"group":"apps","kind":"deployments","causes":[{"reason":"UnexpectedServerResponse","message":"404 page not found"}]})");
  CHECK(details("GET", "/apis/nothing/v1/things") ==
        R"({"causes":[{"reason":"UnexpectedServerResponse","message":"404 page not found"}]})");
  CHECK(details("PUT", kMaps) == R"({"kind":"configmaps"})");
  CHECK(details("GET", std::string(kMaps) + "/a") == R"({"name":"a","kind":"configmaps"})");
  const auto failure = internal("why").error().status;
  REQUIRE(failure.details);
  CHECK(failure.details->causes == std::vector{cause("", "", "why")});
}

TEST_CASE("a refusal is a Status that names object, field and reason") {
  ServerFixture f;
  CHECK(
      f.post(kMaps, R"({"metadata":{"name":"Bad_Name"}})")
          .starts_with(
              R"(422 {"apiVersion":"v1","kind":"Status","metadata":{},"status":"Failure","message":"ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\":)"));
  CHECK(f.message(f.request("POST", "/api/v1/namespaces/nowhere/configmaps", config_map("a", "1"))) ==
        "404 namespaces \"nowhere\" not found");
  CHECK(f.message(f.request("POST", kMaps, R"({"kind":"Secret","metadata":{"name":"a"}})")) ==
        "400 the kind in the data (Secret) does not match the expected kind (ConfigMap)");
  CHECK(
      f.message(f.request("POST", std::string(kMaps) + "?fieldValidation=Strict",
                          R"({"metadata":{"name":"a"},"dat":{},"data":{},"data":{}})")) ==
      "400 ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"dat\", "
      "duplicate field \"data\"");
  CHECK(f.message(f.request("POST", kMaps, "k8s\0x", {{"Content-Type", "application/vnd.kubernetes.protobuf"}}))
            .starts_with("415 the body is protobuf, which this server does not read; send JSON"));
  CHECK(f.message(f.request("GET", "/apis/nothing/v1/things")) ==
        "404 the server could not find the requested resource (/apis/nothing/v1/things)");
  CHECK(f.request("PUT", kMaps, "{}").status == 405);
  CHECK(f.request("GET", kMaps, "", {{"Accept", "application/vnd.kubernetes.protobuf"}}).status == 406);
  CHECK(f.request("POST", kMaps, R"({"metadata":)").status == 400);
}

TEST_CASE("an unknown field is dropped with a warning unless it is to be ignored") {
  ServerFixture f;
  auto warned = f.request("POST", kMaps, R"({"metadata":{"name":"a"},"dat":{}})");
  CHECK(warned.headers.at("Warning") == R"(299 - "unknown field \"dat\"")");
  CHECK(warned.body.find("dat\"") == std::string::npos);
  CHECK(!f.request("POST", std::string(kMaps) + "?fieldValidation=Ignore", R"({"metadata":{"name":"b"},"dat":{}})")
             .headers.contains("Warning"));
}

TEST_CASE("generateName makes names, dryRun stores nothing") {
  ServerFixture f;
  auto made = boost::json::parse(f.request("POST", kMaps, R"({"metadata":{"generateName":"x-"}})").body);
  CHECK(made.at("metadata").at("name").as_string().size() == 7);
  CHECK(f.request("POST", std::string(kMaps) + "?dryRun=All", config_map("dry", "1")).status == 201);
  CHECK(f.request("GET", std::string(kMaps) + "/dry").status == 404);
}

TEST_CASE("without a token of the server a request is refused, but for health and version") {
  ServerFixture f([](ServerOptions& options) { options.users = {{"admin", "secret"}}; });
  CHECK(f.message(f.request("GET", kMaps)) == "401 Unauthorized: the request carries no bearer token");
  CHECK(f.request("GET", kMaps, "", {{"Authorization", "Bearer wrong!"}}).status == 401);
  CHECK(f.request("GET", kMaps, "", {{"Authorization", "Bearer secret"}}).status == 200);
  CHECK(f.request("GET", "/version").status == 200);
  CHECK(f.request("GET", "/readyz").status == 200);
}

TEST_CASE("the status is written through its subresource only, and generation counts changes of the spec") {
  ServerFixture f;
  const std::string deployments = "/apis/apps/v1/namespaces/default/deployments";
  const std::string body =
      R"({"metadata":{"name":"web"},"spec":{"replicas":2,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}},"status":{"replicas":9}})";
  REQUIRE(f.request("POST", deployments, body).status == 201);
  auto get = [&] { return f.tree(deployments + "/web"); };
  CHECK(get()["status"] == boost::json::object{});
  CHECK(get()["metadata"].at("generation") == 1);
  CHECK(f.request("PATCH", deployments + "/web/status", R"({"status":{"replicas":2},"spec":{"replicas":7}})",
                  {{"Content-Type", "application/merge-patch+json"}})
            .status == 200);
  CHECK(get()["status"].at("replicas") == 2);
  CHECK(get()["spec"].at("replicas") == 2);
  CHECK(get()["metadata"].at("generation") == 1);
  CHECK(
      f.patch(deployments + "/web/scale", "merge-patch+json", R"({"spec":{"replicas":5}})") ==
      R"(200 {"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"web","namespace":"default","uid":"U","resourceVersion":"13","creationTimestamp":"T"},"spec":{"replicas":5},"status":{"replicas":2,"selector":"a=b"}})");
  CHECK(get()["metadata"].at("generation") == 2);
  CHECK(get()["status"].at("replicas") == 2);
}

TEST_CASE("finalizers hold a deleted object until they are gone") {
  ServerFixture f;
  const std::string url = std::string(kMaps) + "/held";
  f.post(kMaps, R"({"metadata":{"name":"held","finalizers":["example.com/x"]}})");
  CHECK(f.request("DELETE", url).status == 200);
  CHECK(f.tree(url)["metadata"].as_object().contains("deletionTimestamp"));
  CHECK(
      f.request("PATCH", url, R"({"metadata":{"finalizers":null}})", {{"Content-Type", "application/merge-patch+json"}})
          .status == 200);
  CHECK(f.request("GET", url).status == 404);
}

TEST_CASE("a Pod with scheduling gates says so, is bound to no node until the last is removed, and gains none") {
  ServerFixture f;
  const std::string pods = "/api/v1/namespaces/default/pods";
  const auto pod = [](std::string_view name, std::string_view spec) {
    return fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{{}"containers":[{{"name":"c","image":"i"}}]}}}})", name,
                       spec);
  };
  const std::string merge = "application/merge-patch+json";
  REQUIRE(f.request("POST", pods, pod("a", R"("schedulingGates":[{"name":"example.com/x"},{"name":"y"}],)")).status ==
          201);
  const auto condition = f.tree(pods + "/a")["status"].at("conditions").at(0);
  CHECK(condition.at("type") == "PodScheduled");
  CHECK(condition.at("status") == "False");
  CHECK(condition.at("reason") == "SchedulingGated");
  const std::string binding = R"({"target":{"kind":"Node","name":"n1"}})";
  CHECK(f.message(f.request("POST", pods + "/a/binding", binding)) ==
        "409 Operation cannot be fulfilled on pods/binding \"a\": pod a has non-empty .spec.schedulingGates");
  CHECK(f.message(f.request("PATCH", pods + "/a", R"({"spec":{"schedulingGates":[{"name":"z"}]}})",
                            {{"Content-Type", merge}}))
            .contains("spec.schedulingGates[0]: Forbidden: only deletion is allowed, but found new scheduling gate"));
  CHECK(f.request("PATCH", pods + "/a", R"({"spec":{"schedulingGates":[{"name":"y"}]}})", {{"Content-Type", merge}})
            .status == 200);
  CHECK(f.request("PATCH", pods + "/a", R"({"spec":{"schedulingGates":[]}})", {{"Content-Type", merge}}).status == 200);
  CHECK(f.request("POST", pods + "/a/binding", binding).status == 201);
  CHECK(
      f.message(f.request("POST", pods, pod("b", R"("nodeName":"n1","schedulingGates":[{"name":"y"},{"name":"y"}],)")))
          .contains(
              "spec.schedulingGates[1].name: Duplicate value: \"y\", spec.nodeName: Forbidden: cannot be set until "
              "all schedulingGates have been cleared"));
}

TEST_CASE("a Pod on a node is given its grace period, one on no node goes at once") {
  ServerFixture f;
  const std::string pods = "/api/v1/namespaces/default/pods";
  auto pod = [](std::string_view name) {
    return fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"containers":[{{"name":"c","image":"i"}}]}}}})", name);
  };
  REQUIRE(f.request("POST", pods, pod("a")).status == 201);
  REQUIRE(f.request("POST", pods, pod("b")).status == 201);
  CHECK(f.request("POST", pods + "/a/binding", R"({"target":{"kind":"Node","name":"n1"}})").status == 201);
  CHECK(f.tree(pods + "/a")["spec"].at("nodeName") == "n1");
  CHECK(f.message(f.request("POST", pods + "/a/binding", R"({"target":{"kind":"Node","name":"n2"}})")) ==
        "409 Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"n1\"");
  CHECK(f.request("DELETE", pods + "/b").status == 200);
  CHECK(f.request("GET", pods + "/b").status == 404);
  CHECK(f.request("DELETE", pods + "/a").status == 200);
  auto going = f.tree(pods + "/a");
  CHECK(going["metadata"].at("deletionGracePeriodSeconds") == 30);
  CHECK(f.request("DELETE", pods + "/a", R"({"gracePeriodSeconds":0})").status == 200);
  CHECK(f.request("GET", pods + "/a").status == 404);
}

TEST_CASE("a deleted namespace takes its objects with it, and no new ones") {
  ServerFixture f;
  f.post("/api/v1/namespaces", R"({"metadata":{"name":"shop"}})");
  f.post("/api/v1/namespaces/shop/configmaps", R"({"metadata":{"name":"held","finalizers":["example.com/x"]}})");
  f.post("/api/v1/namespaces/shop/configmaps", config_map("free", "1"));
  CHECK(f.request("DELETE", "/api/v1/namespaces/shop").status == 200);
  CHECK(f.tree("/api/v1/namespaces/shop")["status"].at("phase") == "Terminating");
  CHECK(f.request("GET", "/api/v1/namespaces/shop/configmaps/free").status == 404);
  CHECK(f.message(f.request("POST", "/api/v1/namespaces/shop/configmaps", config_map("late", "1"))) ==
        "403 configmaps \"late\" is forbidden: unable to create new content in namespace shop because it is being "
        "terminated");
  f.patch("/api/v1/namespaces/shop/configmaps/held", "merge-patch+json", R"({"metadata":{"finalizers":null}})");
  f.loop.advance(10s);
  CHECK(f.request("GET", "/api/v1/namespaces/shop").status == 404);
  CHECK(f.request("DELETE", "/api/v1/namespaces/default").status == 403);
}

TEST_CASE("Services get free addresses of their families, and give them back") {
  ServerFixture f([](ServerOptions& options) {
    options.service_ranges = {*Cidr::parse("10.96.0.0/24"), *Cidr::parse("fd00::/112")};
  });
  const std::string services = "/api/v1/namespaces/default/services";
  auto ips = [&](std::string_view name) {
    return boost::json::serialize(f.tree(fmt::format("{}/{}", services, name))["spec"].at("clusterIPs"));
  };
  f.post(services, R"({"metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}})");
  f.post(services, R"({"metadata":{"name":"b"},"spec":{"ipFamilyPolicy":"PreferDualStack","ports":[{"port":80}]}})");
  f.post(services, R"({"metadata":{"name":"c"},"spec":{"clusterIP":"None","ports":[{"port":80}]}})");
  CHECK(ips("a") == R"(["10.96.0.17"])");
  CHECK(ips("b") == R"(["10.96.0.18","fd00::101"])");
  CHECK(ips("c") == R"(["None"])");
  CHECK(f.message(f.request("POST", services,
                            R"({"metadata":{"name":"d"},"spec":{"clusterIP":"10.96.0.17","ports":[{"port":80}]}})")) ==
        "422 Service \"d\" is invalid: spec.clusterIPs[0]: Invalid value: \"10.96.0.17\": failed to allocate IP: "
        "provided IP is "
        "already allocated");
  f.remove(services + "/a");
  CHECK(f.request("POST", services,
                  R"({"metadata":{"name":"d"},"spec":{"clusterIP":"10.96.0.17","ports":[{"port":80}]}})")
            .status == 201);
}

TEST_CASE("the second family of a Service comes and goes with its policy, the first stays") {
  ServerFixture f([](ServerOptions& options) {
    options.service_ranges = {*Cidr::parse("10.96.0.0/24"), *Cidr::parse("fd00::/112")};
  });
  const std::string services = "/api/v1/namespaces/default/services", web = services + "/web";
  const auto spec = [&](std::string_view field) { return boost::json::serialize(f.tree(web).at("spec").at(field)); };
  const auto patch = [&](std::string body) {
    return f.request("PATCH", web, std::move(body), {{"Content-Type", "application/merge-patch+json"}});
  };
  f.post(services, R"({"metadata":{"name":"web"},"spec":{"ipFamilies":["IPv6"],"ports":[{"port":80}]}})");
  const auto first = spec("clusterIP");
  CHECK(spec("ipFamilyPolicy") == R"("SingleStack")");
  CHECK(patch(R"({"spec":{"ipFamilyPolicy":"RequireDualStack"}})").status == 200);
  CHECK(spec("ipFamilies") == R"(["IPv6","IPv4"])");
  CHECK(spec("clusterIP") == first);
  CHECK(f.tree("/apis/networking.k8s.io/v1/ipaddresses").at("items").as_array().size() == 3);
  CHECK(f.message(patch(R"({"spec":{"ipFamilies":["IPv6"]}})"))
            .ends_with("must be 'SingleStack' to release the secondary IP family"));
  CHECK(patch(R"({"spec":{"ipFamilyPolicy":"SingleStack"}})").status == 200);
  CHECK(spec("clusterIPs") == "[" + first + "]");
  CHECK(f.tree("/apis/networking.k8s.io/v1/ipaddresses").at("items").as_array().size() == 2);
  CHECK(patch(R"({"spec":{"clusterIP":null,"clusterIPs":["fd00::9"]}})").status == 422);
}

TEST_CASE("each cluster IP has an IPAddress that says whose it is, and it goes with the Service") {
  ServerFixture f;
  const std::string addresses = "/apis/networking.k8s.io/v1/ipaddresses",
                    services = "/api/v1/namespaces/default/services";
  f.post(services, R"({"metadata":{"name":"a"},"spec":{"clusterIP":"10.96.0.50","ports":[{"port":80}]}})");
  const auto made = f.tree(addresses + "/10.96.0.50");
  CHECK(boost::json::serialize(made.at("spec")) ==
        R"({"parentRef":{"group":"","resource":"services","namespace":"default","name":"a"}})");
  CHECK(made.at("metadata").at("labels").at("ipaddress.kubernetes.io/managed-by") == "ipallocator.k8s.io");
  f.remove(addresses + "/10.96.0.50");  // made again: the Service has it
  CHECK(f.request("GET", addresses + "/10.96.0.50").status == 200);
  f.remove(services + "/a");
  CHECK(f.request("GET", addresses + "/10.96.0.50").status == 404);
  // One that somebody else reserves is not given to a Service.
  CHECK(f.request("POST", addresses, R"({"metadata":{"name":"10.96.0.60"},
    "spec":{"parentRef":{"group":"gateway.networking.k8s.io","resource":"gateways","namespace":"infra","name":"edge"}}})")
            .status == 201);
  CHECK(f.message(f.request("POST", services,
                            R"({"metadata":{"name":"b"},"spec":{"clusterIP":"10.96.0.60","ports":[{"port":80}]}})"))
            .ends_with("provided IP is already allocated"));
}

TEST_CASE("ServiceCIDRs give more addresses, and stay until nothing has one of theirs") {
  ServerFixture f([](ServerOptions& options) { options.service_ranges = {*Cidr::parse("10.96.0.0/29")}; });
  const std::string ranges = "/apis/networking.k8s.io/v1/servicecidrs",
                    services = "/api/v1/namespaces/default/services";
  const auto ready = [&](std::string_view name) {
    const auto range = f.tree(fmt::format("{}/{}", ranges, name));
    const auto& condition = range.at("status").at("conditions").at(0);
    return fmt::format("{} {}", std::string_view(condition.at("status").as_string()),
                       std::string_view(condition.at("reason").as_string()));
  };
  CHECK(ready("kubernetes") == "True ");
  CHECK(boost::json::serialize(f.tree(ranges + "/kubernetes").at("spec").at("cidrs")) == R"(["10.96.0.0/29"])");
  for (int i = 0; i < 5; ++i)
    CHECK(f.request("POST", services,
                    fmt::format(R"({{"metadata":{{"name":"s{}"}},"spec":{{"ports":[{{"port":80}}]}}}})", i))
              .status == 201);
  const std::string one_more = R"({"metadata":{"name":"more"},"spec":{"ports":[{"port":80}]}})";
  CHECK(f.message(f.request("POST", services, one_more))
            .ends_with("failed to allocate IP: the range 10.96.0.0/29 is full"));
  CHECK(f.request("POST", ranges, R"({"metadata":{"name":"extra"},"spec":{"cidrs":["10.97.0.0/24"]}})").status == 201);
  CHECK(ready("extra") == "True ");
  CHECK(f.request("POST", services, one_more).status == 201);
  CHECK(std::string_view(f.tree(services + "/more").at("spec").at("clusterIP").as_string()).starts_with("10.97.0."));
  f.remove(ranges + "/extra");
  CHECK(ready("extra") == "False Terminating");
  CHECK(f.request("POST", services, R"({"metadata":{"name":"late"},"spec":{"ports":[{"port":80}]}})").status == 422);
  f.loop.advance(20s);
  CHECK(f.request("GET", ranges + "/extra").status == 200);
  f.remove(services + "/more");
  // What happens meanwhile does not make it forget.
  f.loop.advance(2s);
  f.remove(services + "/s0");
  f.loop.advance(12s);
  CHECK(f.request("GET", ranges + "/extra").status == 404);
}

TEST_CASE("node ports are given, kept, refused twice and given back") {
  ServerFixture f([](ServerOptions& options) { options.node_ports = {31000, 31003}; });
  const std::string services = "/api/v1/namespaces/default/services";
  const auto make = [&](std::string name, std::string spec) {
    return f.request("POST", services, fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{{}}}}})", name, spec));
  };
  const auto ports = [&](const std::string& name) {
    std::string text;
    const auto service = f.tree(services + "/" + name);
    for (const auto& port : service.at("spec").at("ports").as_array())
      text += port.as_object().contains("nodePort") ? fmt::format("{} ", port.at("nodePort").as_int64()) : "- ";
    if (auto* health = service.at("spec").as_object().if_contains("healthCheckNodePort"))
      text += fmt::format("health {}", health->as_int64());
    return text;
  };
  // The same number by two protocols; a number of one's own choice.
  CHECK(
      make(
          "a",
          R"("type":"NodePort","ports":[{"name":"t","port":53,"nodePort":31001},{"name":"u","port":53,"protocol":"UDP"}])")
          .status == 201);
  CHECK(ports("a") == "31001 31001 ");
  CHECK(
      f.message(make("b", R"("type":"NodePort","ports":[{"port":80,"nodePort":31001}])")) ==
      "422 Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 31001: provided port is already allocated");
  CHECK(f.message(make("b", R"("type":"NodePort","ports":[{"port":80,"nodePort":80}])")) ==
        "422 Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid "
        "range. The range of valid ports is 31000-31003");
  // Where health checks are answered no port of the Service can be.
  const auto both = [&](int port, int health) {
    return fmt::format(
        R"("type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":{},"ports":[{{"port":80,"nodePort":{}}}])",
        health, port);
  };
  CHECK(f.message(make("c", both(31002, 31002))) ==
        "422 Service \"c\" is invalid: spec.ports[0].nodePort: Invalid value: 31002: provided port is the "
        "healthCheckNodePort of this Service");
  CHECK(make("c", both(31003, 31002)).status == 201);
  CHECK(ports("c") == "31003 health 31002");
  CHECK(f.request("PATCH", services + "/c", R"({"spec":{"ports":[{"port":80,"nodePort":31002}]}})",
                  {{"Content-Type", "application/merge-patch+json"}})
            .status == 422);
  f.remove(services + "/c");
  CHECK(make("c", R"("type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":80}])").status == 201);
  CHECK(ports("c").find("health 31") != std::string::npos);
  CHECK(make("d", R"("type":"NodePort","ports":[{"port":80}])").status == 201);
  CHECK(f.message(make("e", R"("type":"NodePort","ports":[{"port":80}])")).ends_with("range 31000-31003 is full"));
  CHECK(make("e", R"("type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[{"port":80}])").status ==
        201);
  CHECK(ports("e") == "- ");
  // An update that does not mention them keeps them; another type gives them back.
  const auto before = ports("c");
  f.put(
      services + "/c",
      R"({"metadata":{"name":"c"},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":81}]}})");
  CHECK(ports("c") == before);
  f.patch(services + "/c", "merge-patch+json", R"({"spec":{"type":"ClusterIP"}})");
  CHECK(ports("c") == "- ");
  CHECK(!f.tree(services + "/c").at("spec").as_object().contains("externalTrafficPolicy"));
  CHECK(!f.tree(services + "/c").at("spec").as_object().contains("allocateLoadBalancerNodePorts"));
  CHECK(make("f", R"("type":"NodePort","ports":[{"port":80}])").status == 201);
  f.remove(services + "/a");
  CHECK(make("g", R"("type":"NodePort","ports":[{"port":80,"nodePort":31001}])").status == 201);
}

TEST_CASE("a Service changes its type, and what the type has no use for goes") {
  ServerFixture f;
  const std::string services = "/api/v1/namespaces/default/services", web = services + "/web";
  const auto patch = [&](std::string body) {
    return f.request("PATCH", web, body, {{"Content-Type", "application/merge-patch+json"}});
  };
  const auto spec = [&] { return boost::json::serialize(f.tree(web).at("spec")); };
  CHECK(f.request("POST", services,
                  R"({"metadata":{"name":"web"},"spec":{"type":"ExternalName","externalName":"example.com"}})")
            .status == 201);
  CHECK(patch(R"({"spec":{"type":"ClusterIP","externalName":null,"ports":[{"port":80}]}})").status == 200);
  CHECK(spec().find(R"("clusterIP":"10.96.)") != std::string::npos);
  CHECK(patch(R"({"spec":{"type":"NodePort"}})").status == 200);
  CHECK(spec().find("nodePort") != std::string::npos);
  CHECK(patch(R"({"spec":{"type":"ExternalName","externalName":"example.com"}})").status == 200);
  for (auto* field : {"nodePort", "clusterIP", "ipFamil", "externalTrafficPolicy"})
    CHECK(spec().find(field) == std::string::npos);
  CHECK(f.tree(web).at("spec").at("type") == "ExternalName");
  // The status of a load balancer goes with the type.
  CHECK(patch(R"({"spec":{"type":"LoadBalancer","externalName":null}})").status == 200);
  CHECK(f.request("PATCH", web + "/status", R"({"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.9"}]}}})",
                  {{"Content-Type", "application/merge-patch+json"}})
            .status == 200);
  CHECK(boost::json::serialize(f.tree(web).at("status")) ==
        R"({"loadBalancer":{"ingress":[{"ip":"192.0.2.9","ipMode":"VIP"}]}})");
  CHECK(patch(R"({"spec":{"type":"ClusterIP"}})").status == 200);
  CHECK(boost::json::serialize(f.tree(web).at("status")) == R"({"loadBalancer":{}})");
  CHECK(f.message(f.request("PATCH", web + "/status", R"({"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.9"}]}}})",
                            {{"Content-Type", "application/merge-patch+json"}})) ==
        "422 Service \"web\" is invalid: status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is "
        "'LoadBalancer'");
}

TEST_CASE("server-side apply and unknown patches get a 415 that lists what is taken") {
  ServerFixture f;
  f.post(kMaps, config_map("a", "1"));
  auto apply = f.request("PATCH", std::string(kMaps) + "/a", "{}", {{"Content-Type", "application/apply-patch+yaml"}});
  CHECK(f.message(apply).starts_with("415 server-side apply (application/apply-patch+yaml) is not served"));
  CHECK(f.request("PATCH", std::string(kMaps) + "/nobody", "{}", {{"Content-Type", "application/apply-patch+yaml"}})
            .status == 415);
  CHECK(f.request("PATCH", std::string(kMaps) + "/a", "{}", {{"Content-Type", "text/plain"}}).status == 415);
}

TEST_CASE("Events can be read as events.k8s.io/v1, and expire after an hour") {
  ServerFixture f;
  const std::string event =
      R"({"metadata":{"name":"e1"},"involvedObject":{"kind":"Pod","namespace":"default","name":"web"},"reason":"Pulled","message":"got it","type":"Normal"})";
  REQUIRE(f.request("POST", "/api/v1/namespaces/default/events", event).status == 201);
  auto view = f.tree("/apis/events.k8s.io/v1/namespaces/default/events/e1");
  CHECK(view["note"] == "got it");
  CHECK(view["regarding"].at("name") == "web");
  CHECK(f.tree("/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dweb")["items"].as_array().size() == 1);
  CHECK(f.tree("/api/v1/events?fieldSelector=involvedObject.name%3Dother")["items"].as_array().empty());
  CHECK(f.request("DELETE", "/apis/events.k8s.io/v1/namespaces/default/events/e1").status == 405);
  f.loop.advance(std::chrono::minutes(62));
  CHECK(f.request("GET", "/api/v1/namespaces/default/events/e1").status == 404);
}

}  // namespace
}  // namespace causeway::apiserver
