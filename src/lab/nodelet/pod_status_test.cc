#include "lab/nodelet/pod_status.h"

#include <doctest/doctest.h>

#include "lab/nodelet/files.h"
#include "lab/nodelet/log_server.h"

using namespace causeway;
using namespace causeway::lab;

namespace {

struct World {
  kube::Pod pod;
  PodView view;
  explicit World(std::string policy, int containers = 1) {
    pod.metadata.name = "p";
    pod.spec.restart_policy = std::move(policy);
    for (int i = 0; i < containers; ++i) pod.spec.containers.push_back({.name = "c" + std::to_string(i), .image = "i"});
    view.pod = &pod;
    view.sandbox = true;
    for (const auto& container : pod.spec.containers) view.containers.push_back({.spec = &container});
  }
  World(const World&) = delete;
  World& running(size_t i, bool ready = true) {
    view.containers[i].state = {.running = kube::ContainerStateRunning{}};
    view.containers[i].ready = ready;
    return *this;
  }
  World& ended(size_t i, int code) {
    view.containers[i].state = {.terminated = kube::ContainerStateTerminated{.exit_code = code}};
    return *this;
  }
};

std::string conditions(const kube::PodStatus& status) {
  std::string out;
  for (const auto& condition : status.conditions)
    out += condition.type + "=" + condition.status + (condition.reason.empty() ? "" : " " + condition.reason) + "\n";
  return out;
}

}  // namespace

TEST_CASE("the phase follows the containers and the restart policy") {
  CHECK(phase_of(World("Always").view) == "Pending");
  CHECK(phase_of(World("Always").running(0).view) == "Running");
  CHECK(phase_of(World("Always").ended(0, 1).view) == "Running");
  CHECK(phase_of(World("Never").ended(0, 0).view) == "Succeeded");
  CHECK(phase_of(World("Never").ended(0, 1).view) == "Failed");
  CHECK(phase_of(World("OnFailure").ended(0, 1).view) == "Running");
  CHECK(phase_of(World("Never", 2).ended(0, 1).running(1).view) == "Running");
  CHECK(phase_of(World("Never", 2).ended(0, 1).view) == "Pending");
}

TEST_CASE("a Pod is Ready when every container is") {
  CHECK(conditions(build_status(World("Always", 2).running(0).running(1, false).view)) ==
        "PodReadyToStartContainers=True\nInitialized=True\nReady=False ContainersNotReady\nContainersReady=False "
        "ContainersNotReady\nPodScheduled=True\n");
  CHECK(conditions(build_status(World("Always", 2).running(0).running(1).view)) ==
        "PodReadyToStartContainers=True\nInitialized=True\nReady=True\nContainersReady=True\nPodScheduled=True\n");
  CHECK(conditions(build_status(World("Never").ended(0, 0).view)) ==
        "PodReadyToStartContainers=True\nInitialized=True PodCompleted\nReady=False "
        "PodCompleted\nContainersReady=False PodCompleted\nPodScheduled=True\n");
}

TEST_CASE("a readiness gate and conditions of others are honoured and kept") {
  World world("Always");
  world.running(0);
  world.pod.spec.readiness_gates = {{"example.com/ok"}};
  CHECK(conditions(build_status(world.view)).find("Ready=False ReadinessGatesNotReady") != std::string::npos);
  world.pod.status.conditions = {{.type = "example.com/ok", .status = "True"}};
  CHECK(conditions(build_status(world.view)) ==
        "PodReadyToStartContainers=True\nInitialized=True\nReady=True\nContainersReady=True\nPodScheduled="
        "True\nexample.com/ok=True\n");
}

TEST_CASE("a refused Pod is Failed with the reason and shows no container") {
  World world("Always");
  world.view.sandbox = false;
  world.view.failed_reason = "SysctlForbidden";
  const auto status = build_status(world.view);
  CHECK(status.phase == "Failed");
  CHECK(status.reason == "SysctlForbidden");
  CHECK(status.container_statuses.empty());
}

TEST_CASE("the hosts file names the Pod by its hostname and subdomain") {
  kube::Pod pod;
  pod.metadata.name = "web-1";
  pod.metadata.ns = "shop";
  pod.spec.subdomain = "web";
  pod.spec.host_aliases = {{"10.0.0.9", {"a", "b"}}};
  const std::string file = hosts_file(pod, "", {*Ip::parse("10.244.0.2")}, "node-1");
  CHECK(file.find("10.244.0.2\tweb-1.web.shop.svc.cluster.local\tweb-1\n") != std::string::npos);
  CHECK(file.ends_with("\n# Entries added by HostAliases.\n10.0.0.9\ta\tb\n"));
}

TEST_CASE("the last lines of a log") {
  const std::string_view log = "one\ntwo\nthree\n";
  CHECK(log.substr(tail_offset(log, 1)) == "three\n");
  CHECK(log.substr(tail_offset(log, 2)) == "two\nthree\n");
  CHECK(log.substr(tail_offset(log, 9)) == log);
  CHECK(log.substr(tail_offset(log, 0)).empty());
  CHECK(tail_offset("", 3) == 0);
}
