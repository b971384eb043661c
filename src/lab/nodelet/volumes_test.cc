#include "lab/nodelet/volumes.h"

#include <doctest/doctest.h>

#include "lab/nodelet/capabilities.h"
#include "lab/nodelet/identity.h"

using namespace causeway;
using namespace causeway::lab;

namespace {
ContainerFacts facts() {
  ContainerFacts facts;
  facts.config_maps["settings"] = {{"a.conf", "A"}, {"b.conf", "B"}};
  facts.secrets["login"] = {{"password", "s3cret"}};
  facts.node_milli_cpu = 2000;
  return facts;
}
std::string text(const kube::Volume& volume, const kube::Pod& pod = {}) {
  auto files = compile_volume(pod, volume, facts());
  if (!files) return files.error().message();
  std::string out;
  for (const auto& file : *files) out += fmt::format("{}={} {:o}\n", file.path, file.content, file.mode);
  return out;
}
}  // namespace

TEST_CASE("a ConfigMap's keys are files; items choose, rename and set modes") {
  kube::Volume volume{.name = "v", .config_map = kube::ObjectVolume{.name = "settings", .default_mode = 0640}};
  CHECK(text(volume) == "a.conf=A 640\nb.conf=B 640\n");
  volume.config_map->items = {{.key = "b.conf", .path = "sub/b", .mode = 0400}};
  CHECK(text(volume) == "sub/b=B 400\n");
  volume.config_map->items[0].key = "none";
  CHECK(text(volume) == "configmap \"/settings\" references non-existent configmap key: none");
  volume.config_map->optional = true;
  CHECK(text(volume) == "");
  volume.config_map->items = {{.key = "a.conf", .path = "../../etc/passwd"}};
  CHECK(text(volume) == "\"../../etc/passwd\" is no path inside a volume");
}

TEST_CASE("what does not exist is an error unless it is optional") {
  kube::Volume volume{.name = "v", .secret = kube::SecretVolume{.name = "none"}};
  CHECK(text(volume) == "secret \"none\" not found");
  volume.secret->optional = true;
  CHECK(text(volume) == "");
}

TEST_CASE("a projection puts ConfigMap, Secret and the Pod's own facts into one folder") {
  kube::Pod pod;
  pod.metadata.name = "web-0";
  pod.metadata.labels = {{"app", "web"}, {"quote", "a\"b"}};
  pod.spec.containers.push_back({.name = "web"});
  kube::Volume volume{.name = "v"};
  auto& sources = volume.projected.emplace().sources;
  sources.push_back({.config_map = kube::ObjectVolume{.name = "settings", .items = {{.key = "a.conf", .path = "a"}}}});
  sources.push_back({.secret = kube::ObjectVolume{.name = "login"}});
  sources.push_back(
      {.downward_api = kube::DownwardApiVolume{
           .items = {{.path = "labels", .field_ref = kube::ObjectFieldSelector{.field_path = "metadata.labels"}},
                     {.path = "cpu",
                      .resource_field_ref = kube::ResourceFieldSelector{
                          .container_name = "web", .resource = "limits.cpu", .divisor = "1m"}}}}});
  CHECK(text(volume, pod) == "a=A 644\ncpu=2000 644\nlabels=app=\"web\"\nquote=\"a\\\"b\" 644\npassword=s3cret 644\n");
}

TEST_CASE("a volume that the lab has not is named") {
  CHECK(unsupported({.name = "v", .persistent_volume_claim = kube::ClaimVolume{"data"}}) ==
        "persistentvolumeclaim \"data\" not found: the lab has no persistent volumes");
  CHECK(unsupported({.name = "v", .empty_dir = kube::EmptyDirVolume{}}) == "");
  CHECK(unsupported({.name = "v"}).starts_with("the lab has volumes of the types"));
}

TEST_CASE("capabilities: the runtimes' default, and what is added and dropped") {
  const uint64_t raw = 1ULL << 13, admin = 1ULL << 12, bind = 1ULL << 10;
  CHECK((default_capabilities() & (raw | admin)) == raw);
  kube::SecurityContext context;
  auto& changes = context.capabilities.emplace();
  changes = {.add = {"NET_ADMIN"}, .drop = {"CAP_NET_RAW"}};
  CHECK((*compile_capabilities(&context) & (raw | admin)) == admin);
  changes = {.add = {"NET_BIND_SERVICE"}, .drop = {"ALL"}};
  CHECK(*compile_capabilities(&context) == bind);
  changes = {.add = {"NONSENSE"}};
  CHECK(compile_capabilities(&context).error().message() ==
        "securityContext.capabilities.add: unknown capability \"NONSENSE\"");
  context.privileged = true;
  CHECK(*compile_capabilities(&context) == ~0ULL);
}

TEST_CASE("who a container is: its own word, the Pod's, its image's; never root where that is forbidden") {
  kube::PodSpec pod;
  kube::Container web{.name = "web"};
  constexpr const char* kPasswd = "root:x:0:0::/root:/bin/sh\nweb:x:101:102::/srv:/bin/sh\n";
  const ImageConfig image{.user = "web"};
  CHECK(compile_identity(pod, web, &image, kPasswd, "")->identity.uid == 101);
  CHECK(compile_identity(pod, web, nullptr, kPasswd, "")->home == "/root");
  auto& shared = pod.security_context.emplace();
  shared.run_as_user = 2000;
  shared.fs_group = 3000;
  auto person = compile_identity(pod, web, &image, kPasswd, "");
  CHECK(person->identity.uid == 2000);
  CHECK(person->identity.groups == std::vector<gid_t>{3000});
  web.security_context.emplace().run_as_user = 0;
  shared.run_as_non_root = true;
  CHECK(compile_identity(pod, web, &image, kPasswd, "").error().message() ==
        "container's runAsUser breaks non-root policy (container: web)");
  shared.run_as_user.reset();
  web.security_context->run_as_user.reset();
  CHECK(compile_identity(pod, web, nullptr, kPasswd, "")->identity.uid == kNobodyInParticular);
  const ImageConfig root;
  CHECK(compile_identity(pod, web, &root, kPasswd, "").error().message() ==
        "container has runAsNonRoot and image will run as root (container: web)");
}
