// Kept addresses against the embedded API server: given back when nobody will make their Pods again, and not before.
#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include "../control/world.h"
#include "kube/api/causeway.h"

using namespace causeway;
using namespace causeway::control;

namespace {

constexpr const char* kReservations = "/apis/causeway.io/v1alpha1/addressreservations";
constexpr const char* kSets = "/apis/apps/v1/namespaces/default/statefulsets";

void keep(World& world, const std::string& address, const std::string& pod, const std::string& owner) {
  world.must("POST", kReservations,
             fmt::format(R"({{"metadata":{{"name":"{0}"}},"spec":{{"address":"{0}","podNamespace":"default",)"
                         R"("podName":"{1}","nodeName":"a","podUID":"u"{2}}}}})",
                         address, pod, owner));
}
std::string owned_by(const std::string& kind, const std::string& name) {
  return fmt::format(R"(,"owner":{{"kind":"{}","name":"{}","uid":"u"}})", kind, name);
}
// "10.0.0.5 10.0.0.6"
std::string kept(World& world) {
  std::vector<std::string> names;
  for (const auto& one : world.all<kube::AddressReservation>()) names.push_back(one.metadata.name);
  return fmt::format("{}", fmt::join(names, " "));
}
void make_set(World& world, int replicas) {
  world.must("POST", kSets,
             fmt::format(R"({{"metadata":{{"name":"db"}},"spec":{{"replicas":{},"serviceName":"db",)"
                         R"("selector":{{"matchLabels":{{"app":"db"}}}},"template":{{"metadata":{{"labels":)"
                         R"({{"app":"db"}}}},"spec":{{"containers":[{{"name":"c","image":"x"}}]}}}}}}}})",
                         replicas));
}
void scale(World& world, int replicas) {
  world.must("PATCH", std::string(kSets) + "/db", fmt::format(R"({{"spec":{{"replicas":{}}}}})", replicas));
}

}  // namespace

TEST_CASE("a StatefulSet's addresses are kept while it has the ordinal, for a while when it is smaller") {
  World world;
  world.node("a");
  make_set(world, 2);
  keep(world, "10.0.0.5", "db-0", owned_by("StatefulSet", "db"));
  keep(world, "10.0.0.6", "db-1", owned_by("StatefulSet", "db"));
  world.run(1h);
  CHECK(kept(world) == "10.0.0.5 10.0.0.6");
  // Between two lives of a Pod, however long the second does not come.
  world.must("DELETE", "/api/v1/namespaces/default/pods/db-1");
  world.must("PATCH", "/api/v1/nodes/a", R"({"spec":{"unschedulable":true}})");
  world.run(1h);
  CHECK(kept(world) == "10.0.0.5 10.0.0.6");
  // Scaled down, and up again in time; then for good.
  scale(world, 1);
  world.run(9min);
  CHECK(kept(world) == "10.0.0.5 10.0.0.6");
  scale(world, 2);
  world.run(1min);
  scale(world, 1);
  world.run(9min);
  CHECK(kept(world) == "10.0.0.5 10.0.0.6");
  world.run(90s);
  CHECK(kept(world) == "10.0.0.5");
}

TEST_CASE("the addresses of a StatefulSet that was deleted are free as soon as its Pods are gone, also after a kill") {
  World world;
  world.node("a");
  make_set(world, 1);
  keep(world, "10.0.0.5", "db-0", owned_by("StatefulSet", "db"));
  world.run(1min);
  // Its Pod stays: so does the address.
  world.must("DELETE", std::string(kSets) + "/db",
             R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"})");
  world.run(5min);
  CHECK(kept(world) == "10.0.0.5");
  world.must("DELETE", "/api/v1/namespaces/default/pods/db-0");
  world.run(15s);
  CHECK(kept(world) == "10.0.0.5");
  // A controller that starts anew knows no beginning: it waits once more.
  world.kill();
  world.start();
  world.run(25s);
  CHECK(kept(world) == "10.0.0.5");
  world.run(30s);
  CHECK(kept(world) == "");
}

TEST_CASE("a bare Pod's address waits for a Pod of its name, and what people promised is left to them") {
  World world;
  world.node("a");
  keep(world, "10.0.0.5", "bare", owned_by("Pod", "bare"));
  keep(world, "10.0.0.6", "nobody-yet", "");
  world.pod("bare", "a", "10.0.0.5");
  world.run(1h);
  CHECK(kept(world) == "10.0.0.5 10.0.0.6");
  world.must("PATCH", "/api/v1/namespaces/default/pods/bare", R"({"metadata":{"finalizers":null}})");
  world.must("DELETE", "/api/v1/namespaces/default/pods/bare");
  world.run(9min);
  CHECK(kept(world) == "10.0.0.5 10.0.0.6");
  world.run(90s);
  CHECK(kept(world) == "10.0.0.6");
  world.run(24h);
  CHECK(kept(world) == "10.0.0.6");
}
