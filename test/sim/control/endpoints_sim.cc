// The controllers that list endpoints, against the embedded API server.
#include <doctest/doctest.h>

#include "control/endpoints_plan.h"
#include "control/trigger_time.h"
#include "world.h"

using namespace causeway;
using namespace causeway::control;

namespace {

const std::string kWeb = R"("selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":8080}])";

std::string write_counts(World& world) {
  std::string text;
  for (const auto& [what, count] : world.transport->writes)
    if (what.find("endpoint") != std::string::npos) text += fmt::format("{} {} ", what, count);
  return text;
}

// "10.0.0.1 10.0.0.2! http:8080/TCP\n": subsets of the Endpoints object, "!" not ready.
std::string endpoints(World& world, const std::string& name) {
  std::string text;
  for (const auto& object : world.all<kube::Endpoints>()) {
    if (object.metadata.name != name) continue;
    text = "";
    for (const auto& subset : object.subsets) {
      for (const auto& address : subset.addresses) text += address.ip + " ";
      for (const auto& address : subset.not_ready_addresses) text += address.ip + "! ";
      for (const auto& port : subset.ports) text += fmt::format("{}:{}/{}", port.name, port.port, port.protocol);
      text += "\n";
    }
    return text.empty() ? "none" : text;
  }
  return "no object";
}

}  // namespace

TEST_CASE("a Service's Pods are listed with what they are good for, from their start to their end") {
  World world;
  world.node("n1");
  world.service("web", kWeb);
  world.run(100ms);
  CHECK(world.slices("web") == "IPv4\n");  // nothing yet, and that is said
  CHECK(endpoints(world, "web") == "none");
  world.pod("a", "n1", "10.0.0.1", false);
  world.run(10ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)!\n");
  CHECK(endpoints(world, "web") == "10.0.0.1! http:8080/TCP\n");
  world.status("a", "10.0.0.1", true);
  world.run(10ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)\n");
  CHECK(endpoints(world, "web") == "10.0.0.1 http:8080/TCP\n");
  world.must("DELETE", "/api/v1/namespaces/default/pods/a", R"({"gracePeriodSeconds":30})");
  world.run(10ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)!st\n");
  CHECK(endpoints(world, "web") == "none");
  world.status("a", "10.0.0.1", false);
  world.run(10ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)!t\n");
  world.must("PATCH", "/api/v1/namespaces/default/pods/a", R"({"metadata":{"finalizers":null}})");
  world.must("DELETE", "/api/v1/namespaces/default/pods/a", R"({"gracePeriodSeconds":0})");
  world.run(1s);
  CHECK(world.slices("web") == "IPv4\n");
  CHECK(world.all<kube::EndpointSlice>().size() == 1);  // one slice all along, next to none for `kubernetes`
}

TEST_CASE("publishNotReadyAddresses lists a Pod as ready whatever it is, and also one whose Node is unknown") {
  World world;
  world.service("web", kWeb + R"(,"publishNotReadyAddresses":true)");
  world.pod("a", "nowhere", "10.0.0.1", false);
  world.run(100ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)\n");
  CHECK(endpoints(world, "web") == "10.0.0.1 http:8080/TCP\n");
}

TEST_CASE("a Pod on an unknown Node is left out until the Node is there") {
  World world;
  world.service("web", kWeb);
  world.pod("a", "n1", "10.0.0.1");
  world.run(1s);
  CHECK(world.slices("web") == "IPv4\n");
  world.node("n1", R"({"topology.kubernetes.io/zone":"z1"})");
  world.run(10ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)\n");
  const auto slice = world.all<kube::EndpointSlice>().back();
  CHECK(slice.endpoints[0].zone == "z1");
  CHECK(slice.endpoints[0].node_name == "n1");
}

TEST_CASE("named ports are each Pod's own: those with other numbers are in another slice") {
  World world;
  world.node("n1");
  world.service("web", R"("selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":"web"},
    {"name":"admin","port":90,"targetPort":"admin"}])");
  const auto with = [](std::string ports, std::string sidecar = "") {
    return R"("containers":[{"name":"c","image":"x","ports":[)" + ports +
           R"(]}],"initContainers":[{"name":"s","image":"x","restartPolicy":"Always","ports":[)" + sidecar + "]}]";
  };
  world.pod("a", "n1", "10.0.0.1", true,
            with(R"({"name":"web","containerPort":8080},{"name":"admin","containerPort":9000})"));
  world.pod("b", "n1", "10.0.0.2", true,
            with(R"({"name":"web","containerPort":8081})", R"({"name":"admin","containerPort":9001})"));
  world.pod("c", "n1", "10.0.0.3", true, with(R"({"name":"web","containerPort":8080})"));
  world.run(100ms);
  CHECK(world.slices("web") ==
        "IPv4 http:8080/TCP 10.0.0.3(c)\n"
        "IPv4 http:8080/TCP admin:9000/TCP 10.0.0.1(a)\n"
        "IPv4 http:8081/TCP admin:9001/TCP 10.0.0.2(b)\n");
}

TEST_CASE("a headless Service without ports lists addresses and host names, of both families") {
  World world;
  world.node("n1");
  world.service("web", R"("selector":{"app":"web"},"clusterIP":"None","ipFamilyPolicy":"PreferDualStack")");
  world.pod("a", "n1", "10.0.0.1,fd00::1", true,
            R"("hostname":"one","subdomain":"web","containers":[{"name":"c","image":"x"}])");
  world.pod("b", "n1", "10.0.0.2,fd00::2", true,
            R"("hostname":"two","subdomain":"other","containers":[{"name":"c","image":"x"}])");
  world.run(100ms);
  CHECK(world.slices("web") == "IPv4 10.0.0.1(a)=one 10.0.0.2(b)\nIPv6 fd00::1(a)=one fd00::2(b)\n");
  const auto labels = world.all<kube::EndpointSlice>().back().metadata.labels;
  CHECK(labels.contains(kHeadlessLabel));
  CHECK(labels.at(kManagedByLabel) == kSliceController);
}

TEST_CASE("labels follow the Service, and what somebody else writes into a slice is put right") {
  World world;
  world.node("n1");
  world.service("web", kWeb);
  world.pod("a", "n1", "10.0.0.1");
  world.run(100ms);
  world.must("PATCH", "/api/v1/namespaces/default/services/web", R"({"metadata":{"labels":{"team":"blue"}}})");
  world.run(10ms);
  auto slice = world.all<kube::EndpointSlice>().back();
  CHECK(slice.metadata.labels.at("team") == "blue");
  const auto path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/" + slice.metadata.name;
  world.must("PATCH", path, R"({"metadata":{"annotations":{"mine":"1"},"labels":{"team":"red"}},"endpoints":[]})");
  world.run(3s);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)\n");
  slice = world.all<kube::EndpointSlice>().back();
  CHECK(slice.metadata.labels.at("team") == "blue");
  CHECK(slice.metadata.annotations.at("mine") == "1");
  world.must("DELETE", path);
  world.run(3s);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)\n");
}

TEST_CASE("the annotation says when the change began: the Service's making, then a Pod's readiness") {
  World world;
  world.node("n1");
  world.service("web", kWeb);
  world.run(10ms);
  const auto time_of = [&] {
    const auto slice = world.all<kube::EndpointSlice>().back();
    const auto found = slice.metadata.annotations.find(kTriggerTime);
    return found == slice.metadata.annotations.end() ? "none" : found->second;
  };
  CHECK(time_of() == kube::format_time(*world.all<kube::Service>().back().metadata.creation_timestamp));
  world.run(30s);
  world.pod("a", "n1", "10.0.0.1");
  const auto ready = kube::format_time(std::chrono::time_point_cast<std::chrono::microseconds>(world.loop.wall_now()));
  world.run(10ms);
  CHECK(time_of() == ready);
  world.run(30s);
  world.must("PATCH", "/api/v1/namespaces/default/services/web", R"({"metadata":{"labels":{"team":"blue"}}})");
  world.run(10ms);
  CHECK(time_of() == "none");
}

TEST_CASE("trafficDistribution becomes hints, and they go with it") {
  World world;
  world.node("n1", R"({"topology.kubernetes.io/zone":"z1"})");
  world.node("n2", R"({"topology.kubernetes.io/zone":"z2"})");
  world.service("web", kWeb + R"(,"trafficDistribution":"PreferSameNode")");
  world.pod("a", "n1", "10.0.0.1");
  world.pod("b", "n2", "10.0.0.2");
  world.pod("c", "n2", "10.0.0.3", false);
  world.run(100ms);
  const std::string path = "/api/v1/namespaces/default/services/web";
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)@z1@@n1 10.0.0.2(b)@z2@@n2 10.0.0.3(c)!\n");
  world.must("PATCH", path, R"({"spec":{"trafficDistribution":"PreferSameZone"}})");
  world.run(100ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a)@z1 10.0.0.2(b)@z2 10.0.0.3(c)!\n");
  world.must("PATCH", path, R"({"spec":{"trafficDistribution":null}})");
  world.run(100ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)!\n");
}

TEST_CASE("topology-mode deals endpoints out by the zones' CPUs, and says why when it cannot") {
  World world;
  const auto cpus = [&](std::string name, std::string zone, int cpu) {
    world.node(name, fmt::format(R"({{"topology.kubernetes.io/zone":"{}"}})", zone));
    world.must("PATCH", "/api/v1/nodes/" + name + "/status",
               fmt::format(R"({{"status":{{"capacity":{{"cpu":"{0}"}},"allocatable":{{"cpu":"{0}"}}}}}})", cpu));
  };
  cpus("n1", "z1", 4);
  world.service("web", kWeb);
  world.must("PATCH", "/api/v1/namespaces/default/services/web",
             R"({"metadata":{"annotations":{"service.kubernetes.io/topology-mode":"Auto"}}})");
  for (int i = 1; i <= 4; ++i) world.pod(fmt::format("p{}", i), "n1", fmt::format("10.0.0.{}", i));
  world.run(100ms);
  CHECK(world.slices("web") == "IPv4 http:8080/TCP 10.0.0.1(p1) 10.0.0.2(p2) 10.0.0.3(p3) 10.0.0.4(p4)\n");
  CHECK(world.events("TopologyAwareHintsDisabled")
            .starts_with("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, "
                         "addressType: IPv4\n"));
  cpus("n2", "z2", 4);
  for (int i = 5; i <= 6; ++i) world.pod(fmt::format("p{}", i), "n1", fmt::format("10.0.0.{}", i));
  world.run(100ms);
  // All are in z1; half of the CPUs are in z2, which gets what z1 has too much.
  CHECK(world.slices("web") ==
        "IPv4 http:8080/TCP 10.0.0.1(p1)@z2 10.0.0.2(p2)@z2 10.0.0.3(p3)@z2 10.0.0.4(p4)@z1 10.0.0.5(p5)@z1 "
        "10.0.0.6(p6)@z1\n");
  CHECK(world.events("TopologyAwareHintsEnabled") == "Topology Aware Hints has been enabled, addressType: IPv4\n");
  world.must("PATCH", "/api/v1/namespaces/default/services/web",
             R"({"metadata":{"annotations":{"service.kubernetes.io/topology-mode":null}}})");
  world.run(100ms);
  CHECK(world.slices("web") ==
        "IPv4 http:8080/TCP 10.0.0.1(p1) 10.0.0.2(p2) 10.0.0.3(p3) 10.0.0.4(p4) 10.0.0.5(p5) 10.0.0.6(p6)\n");
}

TEST_CASE("Endpoints that somebody writes are mirrored, and follow the Service in the end") {
  World world;
  world.service("db", R"("ports":[{"port":5432}])");
  world.run(100ms);
  CHECK(world.slices("db") == "");
  const std::string path = "/api/v1/namespaces/default/endpoints";
  world.must("POST", path,
             R"({"metadata":{"name":"db","labels":{"tier":"data"},"annotations":{"why":"outside"}},
    "subsets":[{"addresses":[{"ip":"10.9.0.1"},{"ip":"fd09::1"}],"notReadyAddresses":[{"ip":"10.9.0.2"}],
    "ports":[{"port":5432}]}]})");
  world.run(100ms);
  CHECK(world.slices("db") == "IPv4 :5432/TCP 10.9.0.1 10.9.0.2!\nIPv6 :5432/TCP fd09::1\n");
  const auto slice = world.all<kube::EndpointSlice>().back();
  CHECK(slice.metadata.labels.at("tier") == "data");
  CHECK(slice.metadata.labels.at(kManagedByLabel) == kMirrorController);
  CHECK(slice.metadata.annotations.at("why") == "outside");
  CHECK(slice.metadata.owner_references[0].kind == "Endpoints");
  world.must("PATCH", path + "/db", R"({"metadata":{"labels":{"endpointslice.kubernetes.io/skip-mirror":"true"}}})");
  world.run(100ms);
  CHECK(world.slices("db") == "");
  world.must("PATCH", path + "/db", R"({"metadata":{"labels":{"endpointslice.kubernetes.io/skip-mirror":null}}})");
  world.run(100ms);
  CHECK(world.slices("db") == "IPv4 :5432/TCP 10.9.0.1 10.9.0.2!\nIPv6 :5432/TCP fd09::1\n");
  world.must("DELETE", "/api/v1/namespaces/default/services/db");
  world.run(2s);
  CHECK(endpoints(world, "db") == "no object");
  CHECK(world.slices("db") == "");
}

TEST_CASE("two hundred and fifty Pods are three slices, and one more Pod touches one") {
  World world;
  world.node("n1");
  world.service("web", kWeb);
  world.kill();
  for (int i = 0; i < 250; ++i) world.pod(fmt::format("p{}", i), "n1", fmt::format("10.0.{}.{}", i / 250, i % 250 + 1));
  world.start();
  world.run(1s);
  const auto sizes = [&] {
    std::vector<size_t> sizes;
    for (const auto& slice : world.all<kube::EndpointSlice>()) sizes.push_back(slice.endpoints.size());
    std::ranges::sort(sizes);
    return sizes;
  };
  CHECK(sizes() == std::vector<size_t>{50, 100, 100});
  world.transport->writes.clear();
  world.pod("one-more", "n1", "10.0.2.1", true);
  world.run(1s);
  CHECK(sizes() == std::vector<size_t>{51, 100, 100});
  CHECK(write_counts(world).find("PUT endpointslices 1 ") != std::string::npos);
}

TEST_CASE("more Pods than Endpoints hold: it says so, and slices hold them all") {
  std::vector<kube::Pod> pods(1200);
  std::vector<const kube::Pod*> all;
  for (size_t i = 0; i < pods.size(); ++i) {
    pods[i].metadata.name = fmt::format("p{}", i);
    pods[i].metadata.ns = "default";
    pods[i].status.pod_ip = fmt::format("10.0.{}.{}", i / 250, i % 250 + 1);
    if (i < 900) pods[i].status.conditions = {{.type = "Ready", .status = "True"}};
    all.push_back(&pods[i]);
  }
  kube::Service service;
  service.metadata.name = "web";
  service.metadata.ns = "default";
  service.spec = {.ports = {{.port = 80}}, .selector = kube::StringMap{{"app", "web"}}, .cluster_ip = "10.96.0.9"};
  const auto plan = plan_endpoints(service, all, nullptr);
  CHECK(plan->metadata.annotations.at(kOverCapacity) == "truncated");
  CHECK(plan->subsets[0].addresses.size() == 900);
  CHECK(plan->subsets[0].not_ready_addresses.size() == 100);
  CHECK(!plan_endpoints(service, all, &*plan));
}

TEST_CASE("killed at any moment, the controllers converge on the same slices and then write nothing") {
  for (int moment = 0; moment < 20; ++moment) {
    CAPTURE(moment);
    World world;
    world.node("n1");
    world.service("web", kWeb);
    for (int i = 1; i <= 5; ++i) world.pod(fmt::format("p{}", i), "n1", fmt::format("10.0.0.{}", i));
    for (int turn = 0; turn < moment; ++turn) world.run(0ms);
    world.kill();
    world.start();
    world.run(2s);
    CHECK(world.slices("web") ==
          "IPv4 http:8080/TCP 10.0.0.1(p1) 10.0.0.2(p2) 10.0.0.3(p3) 10.0.0.4(p4) 10.0.0.5(p5)\n");
    world.kill();
    world.start();
    world.run(1min);
    CHECK(write_counts(world) == "");
  }
}
