#include "lab/nodelet/not_done.h"

#include <doctest/doctest.h>

using namespace causeway::lab;

TEST_CASE("what a Pod asks for in vain is said, by container and matter") {
  CHECK(not_done(R"({"spec":{
          "volumes":[{"name":"data","emptyDir":{"sizeLimit":"1Gi"}}],
          "hostPID":true,"shareProcessNamespace":false,
          "affinity":{"podAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[]}},
          "securityContext":{"sysctls":[],"runAsUser":1000,"seccompProfile":{"type":"RuntimeDefault"}},
          "initContainers":[{"name":"init","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}],
          "containers":[{"name":"web","volumeMounts":[{"name":"data","mountPath":"/v","mountPropagation":"Bidirectional"}],
                         "lifecycle":{"preStop":{}},"securityContext":{"privileged":true,"procMount":"Unmasked"}}]}})") ==
        std::vector<std::string>{
            "container init: the lab enforces no limits: cpu, memory",
            "container web: the lab does not apply securityContext.procMount",
            "container web: the lab does not propagate mounts: /v",
            "the lab does not apply the Pod's securityContext.seccompProfile",
            "the lab does not do spec.hostPID",
            "the scheduler here does not do spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution",
            "volume data: the lab does not enforce sizeLimit",
        });
}

TEST_CASE("a probe that the lab cannot make keeps its container from starting") {
  causeway::kube::Container web{.name = "web"};
  CHECK(refused(web) == "");
  web.liveness_probe.emplace().grpc.emplace().port = 1;
  CHECK(refused(web) == "livenessProbe: the lab does not ask by gRPC; use exec, httpGet or tcpSocket");
  web.liveness_probe.reset();
  web.lifecycle.emplace().pre_stop.emplace().http_get.emplace().scheme = "HTTPS";
  CHECK(refused(web).starts_with("lifecycle.preStop: the lab asks by HTTP, not HTTPS"));
}

TEST_CASE("a Pod that asks for nothing special causes no words") {
  CHECK(not_done(R"({"spec":{"securityContext":{"sysctls":[]},"volumes":[{"name":"a"}],
                     "containers":[{"name":"web","resources":{"requests":{"cpu":"1"}},"volumeMounts":[]}]}})")
            .empty());
  CHECK(not_done("[]").empty());
  CHECK(not_done("{").empty());
}
