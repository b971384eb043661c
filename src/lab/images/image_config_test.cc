#include "lab/images/image_config.h"

#include <doctest/doctest.h>

#include "lab/images/archive.h"

using namespace causeway;
using namespace causeway::lab;

TEST_CASE("the process of an image is read from its configuration, and what is no configuration is refused") {
  const auto config = parse_image_config(R"({"architecture":"amd64","config":{"User":"web:www","Env":["A=1"],
      "Entrypoint":["/entry"],"Cmd":null,"WorkingDir":"/srv","StopSignal":"SIGQUIT"}})");
  REQUIRE(config);
  CHECK(*config == ImageConfig{.entrypoint = {"/entry"},
                               .cmd = {},
                               .env = {"A=1"},
                               .user = "web:www",
                               .working_dir = "/srv",
                               .stop_signal = "SIGQUIT",
                               .architecture = "amd64",
                               .os = ""});
  CHECK(*parse_image_config("{}") == ImageConfig{});
  CHECK(parse_image_config("[]").error().message() == "the image's configuration is not a JSON object");
  CHECK(parse_image_config(R"({"config":{"Cmd":"sh"}})").error().message() == "config.Cmd is not a list");
}

TEST_CASE("an image for another machine is refused with both names") {
  const auto why = [](const char* architecture, const char* os, const char* machine) {
    ImageConfig image;
    image.architecture = architecture;
    image.os = os;
    const auto good = check_platform(image, machine);
    return good ? std::string() : good.error().message();
  };
  CHECK(why("amd64", "linux", "x86_64") == "");
  CHECK(why("", "", "x86_64") == "");
  CHECK(why("arm64", "linux", "aarch64") == "");
  CHECK(why("arm64", "linux", "x86_64") ==
        "the image is for linux/arm64, and this machine is linux/amd64: build or save it for that");
  CHECK(why("amd64", "windows", "x86_64") ==
        "the image is for windows/amd64, and this machine is linux/amd64: build or save it for that");
}

TEST_CASE("names of images are completed as every runtime completes them") {
  for (const auto& [name, full] :
       {std::pair{"nginx", "docker.io/library/nginx:latest"}, std::pair{"nginx:1.27", "docker.io/library/nginx:1.27"},
        std::pair{"me/app", "docker.io/me/app:latest"}, std::pair{"localhost/app:1", "localhost/app:1"},
        std::pair{"registry:5000/app", "registry:5000/app:latest"},
        std::pair{"registry.k8s.io/pause:3.10@sha256:ab", "registry.k8s.io/pause@sha256:ab"}})
    CHECK_MESSAGE(*full_reference(name) == full, name);
  for (const auto* bad : {"", "a b", "app:", "../x y"}) CHECK_MESSAGE(!full_reference(bad), bad);
}

TEST_CASE("users and groups are found by name and by number in the image's own files") {
  constexpr const char* kPasswd = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:Web:/srv/web:/bin/false\nshort\n";
  constexpr const char* kGroup = "root:x:0:\nwww:x:33:web,other\ndata:x:50:other\n";
  CHECK(*find_user("", kPasswd, kGroup) == UserIds{.home = "/root"});
  CHECK(*find_user("web", kPasswd, kGroup) == UserIds{.uid = 101, .gid = 102, .groups = {33}, .home = "/srv/web"});
  CHECK(*find_user("101:data", kPasswd, kGroup) == UserIds{.uid = 101, .gid = 50, .home = "/srv/web"});
  CHECK(*find_user("4000", kPasswd, kGroup) == UserIds{.uid = 4000});
  CHECK(find_user("nobody", kPasswd, kGroup).error().code() == Errc::NotFound);
  CHECK(find_user("web:none", kPasswd, kGroup).error().code() == Errc::NotFound);
}

TEST_CASE("signals by name and number") {
  CHECK(signal_number("SIGQUIT") == 3);
  CHECK(signal_number("TERM") == 15);
  CHECK(signal_number("9") == 9);
  CHECK(signal_number("SIGRTMIN+3") == 37);
  CHECK(signal_number("SIGNOTHING") == 0);
}

TEST_CASE("archives of both kinds say which images they have") {
  CHECK(*parse_docker_manifest("/a", R"([{"Config":"x.json","RepoTags":["web:1","web:2"]},{"RepoTags":null}])") ==
        std::vector<ArchivedImage>{{"docker-archive:/a:@0", {"web:1", "web:2"}}, {"docker-archive:/a:@1", {}}});
  CHECK(*parse_oci_index("/a", R"({"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"latest"}}]})") ==
        std::vector<ArchivedImage>{{"oci-archive:/a", {}}});
  CHECK(*parse_oci_index("/a", R"({"manifests":[
          {"annotations":{"org.opencontainers.image.ref.name":"1","io.containerd.image.name":"docker.io/library/a:1"}},
          {"annotations":{"org.opencontainers.image.ref.name":"localhost/b:2"}}]})") ==
        std::vector<ArchivedImage>{{"oci-archive:/a:1", {"docker.io/library/a:1"}},
                                   {"oci-archive:/a:localhost/b:2", {"localhost/b:2"}}});
  CHECK(parse_docker_manifest("/a", "{").error().message().starts_with("its manifest.json is not JSON"));
  CHECK(parse_oci_index("/a", R"({"manifests":[]})").error().message() == "its index.json lists no image");
}
