#include "lab/nodelet/environment.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::lab;

namespace {
std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += part + "\n";
  return out;
}
ContainerFacts facts() {
  return {.pod_ips = {*Ip::parse("10.244.1.5"), *Ip::parse("fd10::5")},
          .host_ips = {*Ip::parse("172.30.1.11")},
          .hostname = "web-1",
          .config_maps = {{"settings", {{"colour", "blue"}}}}};
}
kube::Pod pod() {
  kube::Pod out;
  out.metadata.name = "web-1";
  out.metadata.ns = "shop";
  out.metadata.labels = {{"app", "web"}};
  out.spec.node_name = "node-1";
  return out;
}
}  // namespace

TEST_CASE("references expand, unknown ones stay, a doubled dollar is one") {
  CHECK(expand("$(A)-$(B)-$$(A)-$A-$(", {{"A", "a"}}) == "a-$(B)-$(A)-$A-$(");
}

TEST_CASE("a container starts with what kubelet would give it") {
  kube::Container container{.name = "c", .command = {"serve", "$(COLOUR)"}, .args = {"--ip=$(IP)"}};
  container.env = {
      {.name = "IP", .value_from = kube::EnvVarSource{.field_ref = kube::ObjectFieldSelector{"", "status.podIP"}}},
      {.name = "IPS", .value_from = kube::EnvVarSource{.field_ref = kube::ObjectFieldSelector{"", "status.podIPs"}}},
      {.name = "APP",
       .value_from = kube::EnvVarSource{.field_ref = kube::ObjectFieldSelector{"", "metadata.labels['app']"}}},
      {.name = "COLOUR",
       .value_from = kube::EnvVarSource{.config_map_key_ref = kube::KeySelector{"settings", "colour", {}}}},
      {.name = "ALL", .value = "$(APP) on $(IP)"}};
  const auto image = compile_process(pod(), container, facts());
  REQUIRE(image);
  CHECK(join(image->argv) == "serve\nblue\n--ip=10.244.1.5\n");
  CHECK(
      join(image->env) ==
      "ALL=web on 10.244.1.5\nAPP=web\nCOLOUR=blue\nHOME=/root\nHOSTNAME=web-1\nIP=10.244.1.5\nIPS=10.244.1.5,fd10::5\n"
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
}

TEST_CASE("a key that is missing is said as kubelet says it, unless it is optional") {
  kube::Container container{.name = "c"};
  container.env = {
      {.name = "X", .value_from = kube::EnvVarSource{.config_map_key_ref = kube::KeySelector{"settings", "size", {}}}}};
  CHECK(compile_process(pod(), container, facts()).error().message() ==
        "couldn't find key size in configmap shop/settings");
  container.env[0].value_from->config_map_key_ref->optional = true;
  CHECK(compile_process(pod(), container, facts()));
  container.env[0].value_from = kube::EnvVarSource{.field_ref = kube::ObjectFieldSelector{"", "spec.secret"}};
  CHECK(compile_process(pod(), container, facts()).error().message() ==
        "env X: fieldPath \"spec.secret\" is not one that a Pod's environment may use");
}
