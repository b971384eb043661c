#include <doctest/doctest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>

#include "apiserver/server_fixture.h"

namespace causeway::apiserver {
namespace {

TEST_CASE("the Service kubernetes, its Endpoints and slice come back when they are deleted or changed") {
  ServerFixture f([](ServerOptions& options) { options.advertise = {{*Ip::parse("192.0.2.1"), 6443}}; });
  const std::string service = "/api/v1/namespaces/default/services/kubernetes",
                    endpoints = "/api/v1/namespaces/default/endpoints/kubernetes",
                    slice = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";
  const auto address = [&] { return f.tree(slice).at("endpoints").at(0).at("addresses").at(0); };
  for (const auto& target : {service, endpoints, slice}) f.remove(target);
  CHECK(f.request("GET", service).status == 404);
  f.loop.advance(2s);
  CHECK(std::string_view(f.tree(service).at("spec").at("clusterIP").as_string()) == "10.96.0.1");
  CHECK(address() == "192.0.2.1");
  CHECK(f.request("GET", endpoints).status == 200);
  f.patch(slice, "merge-patch+json", R"({"endpoints":[{"addresses":["192.0.2.9"]}]})");
  CHECK(address() == "192.0.2.9");
  f.loop.advance(2s);
  CHECK(address() == "192.0.2.1");
  const auto settled = f.tree(slice).at("metadata").at("resourceVersion");
  f.loop.advance(60s);
  CHECK(f.tree(slice).at("metadata").at("resourceVersion") == settled);
}

TEST_CASE("the Service kubernetes waits for its address while another Service has it") {
  ServerFixture f;
  const std::string services = "/api/v1/namespaces/default/services";
  f.remove(services + "/kubernetes");
  CHECK(f.request("POST", services,
                  R"({"metadata":{"name":"thief"},"spec":{"clusterIP":"10.96.0.1","ports":[{"port":80}]}})")
            .status == 201);
  f.loop.advance(5s);
  CHECK(f.request("GET", services + "/kubernetes").status == 404);
  f.remove(services + "/thief");
  f.loop.advance(11s);
  CHECK(f.request("GET", services + "/kubernetes").status == 200);
}

TEST_CASE("an IPAddress that the disk refuses is written when it can be") {
  char folder[] = "/tmp/causeway-apiserver-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  const std::string file = std::string(folder) + "/store.db";
  {
    ServerFixture f([&](ServerOptions& options) { options.store_path = file; });
    // What a full disk is to a write, for the rows of one kind only.
    const auto sql = [&](const std::string& text) {
      sqlite3* other = nullptr;
      REQUIRE(sqlite3_open(file.c_str(), &other) == SQLITE_OK);
      CHECK(sqlite3_exec(other, text.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
      sqlite3_close(other);
    };
    sql("CREATE TRIGGER refuse BEFORE INSERT ON log WHEN NEW.resource LIKE 'ipaddresses%' "
        "BEGIN SELECT RAISE(ABORT, 'refused'); END");
    const std::string address = "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.50";
    CHECK(f.request("POST", "/api/v1/namespaces/default/services",
                    R"({"metadata":{"name":"a"},"spec":{"clusterIP":"10.96.0.50","ports":[{"port":80}]}})")
              .status == 201);
    f.loop.advance(5s);
    CHECK(f.request("GET", address).status == 404);
    sql("DROP TRIGGER refuse");
    f.loop.advance(2s);
    CHECK(f.request("GET", address).status == 200);
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("an address that a ServiceCIDR had is refused with the cause while the range is being deleted") {
  ServerFixture f([](ServerOptions& options) { options.service_ranges = {*Cidr::parse("10.96.0.0/29")}; });
  const std::string ranges = "/apis/networking.k8s.io/v1/servicecidrs",
                    services = "/api/v1/namespaces/default/services";
  const auto make = [&](std::string name, std::string spec) {
    return f.message(
        f.request("POST", services,
                  fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{{}"ports":[{{"port":80}}]}}}})", name, spec)));
  };
  f.post(ranges, R"({"metadata":{"name":"extra"},"spec":{"cidrs":["10.97.0.0/24","fd00:97::/112"]}})");
  f.request("POST", services,
            R"({"metadata":{"name":"holds"},"spec":{"clusterIP":"10.97.0.9","ports":[{"port":80}]}})");
  f.remove(ranges + "/extra");
  const std::string why = "; ServiceCIDR extra (10.97.0.0/24) is being deleted and gives no more addresses";
  CHECK(make("a", R"("clusterIP":"10.97.0.10",)").ends_with("The range of valid IPs is 10.96.0.0/29" + why));
  for (int i = 0; i < 5; ++i)
    f.post(services, fmt::format(R"({{"metadata":{{"name":"s{}"}},"spec":{{"ports":[{{"port":80}}]}}}})", i));
  CHECK(make("b", "").ends_with("the range 10.96.0.0/29 is full" + why));
  CHECK(
      make("c", R"("ipFamilies":["IPv6"],)")
          .ends_with("not configured on this cluster; ServiceCIDR extra (fd00:97::/112) is being deleted and gives no "
                     "more addresses"));
  CHECK(make("d", R"("clusterIP":"10.98.0.1",)").ends_with("The range of valid IPs is 10.96.0.0/29"));
}

}  // namespace
}  // namespace causeway::apiserver
