#include "lab/nodelet/not_done.h"

#include <doctest/doctest.h>

using namespace causeway::lab;

TEST_CASE("what a Pod asks for in vain is said, by container and matter") {
  CHECK(not_done(R"({"spec":{
          "volumes":[{"name":"data","emptyDir":{}}],
          "securityContext":{"sysctls":[],"runAsUser":1000},
          "initContainers":[{"name":"init","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}],
          "containers":[{"name":"web","volumeMounts":[{"name":"data","mountPath":"/v"},{"name":"cfg","mountPath":"/c"}],
                         "lifecycle":{"preStop":{}},"securityContext":{"privileged":true}}]}})") ==
        std::vector<std::string>{
            "container init: the lab enforces no limits: cpu, memory",
            "container web: the lab mounts no volumes: /v (data), /c (cfg)",
            "container web: the lab runs no lifecycle hooks: preStop",
            "container web: the lab applies no securityContext: privileged",
            "the lab applies nothing of the Pod's securityContext but sysctls: runAsUser",
        });
}

TEST_CASE("a Pod that asks for nothing special causes no words") {
  CHECK(not_done(R"({"spec":{"securityContext":{"sysctls":[]},"volumes":[{"name":"a"}],
                     "containers":[{"name":"web","resources":{"requests":{"cpu":"1"}},"volumeMounts":[]}]}})")
            .empty());
  CHECK(not_done("[]").empty());
  CHECK(not_done("{").empty());
}
