#include "service/show.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::service;
using cluster::Source;

namespace {

Ip ip(std::string_view text) { return Ip::parse(text).value(); }

struct World {
  cluster::Model model;
  Desired desired{{}};

  World() {
    cluster::NodeFacts facts{.name = "n1", .addresses = {ip("192.0.2.1")}};
    model.set_facts(std::move(facts));
    model.put(cluster::Node{.name = "n1", .zone = "east"});
    for (Source source : {Source::Nodes, Source::Services, Source::EndpointSlices}) model.set_synced(source);
  }
  cluster::Service service() {
    cluster::Service web{.key = {"shop", "web"}};
    web.cluster_ips = {ip("10.96.0.1")};
    web.ports = {{"", Protocol::Tcp, 80, 0}};
    return web;
  }
  void endpoints(std::vector<cluster::SliceEndpoint> endpoints) {
    cluster::EndpointSlice slice{.key = {"shop", "web-1"}, .service = "web", .ports = {{"", Protocol::Tcp, 8080}}};
    slice.endpoints = std::move(endpoints);
    model.put(std::move(slice));
  }
  std::string show(std::string_view name) {
    desired.update(model.take_changes(), model);
    const auto shown = service::show(name, desired, model);
    return shown ? shown->text : fmt::format("{}: {}\n", to_string(shown.error().code()), shown.error().message());
  }
  std::string left_out() {
    const std::string text = show("shop/web");
    const auto at = text.find("endpoints without new flows:\n");
    return at == text.npos ? "" : text.substr(text.find('\n', at) + 1);
  }
};

}  // namespace

TEST_CASE("every endpoint without new flows is shown with its reason") {
  World w;
  w.model.put(w.service());
  w.endpoints({{.ip = ip("10.1.0.1"), .ready = true, .serving = true, .node = "n1"},
               {.ip = ip("10.1.0.2"), .serving = true, .terminating = true, .node = "n2"},
               {.ip = ip("10.1.0.3"), .terminating = true, .node = "n2"},
               {.ip = ip("10.1.0.4"), .node = "n2"},
               {.ip = ip("10.1.0.5"), .ready = true, .serving = true},
               {.ip = ip("127.0.0.1"), .ready = true, .serving = true}});
  w.model.set_unhealthy({"shop", "web"}, {{ip("10.1.0.5"), 8080}});
  CHECK(w.left_out() ==
        "  10.1.0.2:8080/tcp on n2: terminating, while others are ready\n"
        "  10.1.0.3:8080/tcp on n2: terminating, and serves no more\n"
        "  10.1.0.4:8080/tcp on n2: not ready\n"
        "  10.1.0.5:8080/tcp: its health check fails\n"
        "  127.0.0.1:8080/tcp: a loopback address\n");
}

TEST_CASE("hints and traffic policies are reasons, where they keep an endpoint out") {
  World w;
  cluster::Service web = w.service();
  w.model.put(web);
  const auto zone = [](const char* name) {
    return std::make_shared<const cluster::SliceHints>(cluster::SliceHints{.zones = {Name(name)}});
  };
  w.endpoints({{.ip = ip("10.1.0.1"), .ready = true, .node = "n1", .hints = zone("east")},
               {.ip = ip("10.1.0.2"), .ready = true, .node = "n2", .hints = zone("west")}});
  CHECK(w.left_out() == "  10.1.0.2:8080/tcp on n2: hinted for zone west\n");
  w.endpoints(
      {{.ip = ip("10.1.0.1"), .ready = true, .node = "n1"}, {.ip = ip("10.1.0.2"), .ready = true, .node = "n2"}});
  CHECK(w.left_out() == "");
  web.internal_local = true;
  w.model.put(web);
  CHECK(w.left_out() == "  10.1.0.2:8080/tcp on n2: internalTrafficPolicy Local: on another node\n");
  web.internal_local = false;
  web.external_local = true;
  web.ports[0].node_port = 30080;
  w.model.put(web);
  CHECK(w.left_out() == "  10.1.0.2:8080/tcp on n2: externalTrafficPolicy Local: on another node\n");
}

TEST_CASE("of two endpoints with one address the one that stays is served, the other is named") {
  World w;
  w.model.put(w.service());
  w.endpoints({{.ip = ip("10.1.0.1"), .serving = true, .terminating = true, .node = "n2"},
               {.ip = ip("10.1.0.1"), .ready = true, .serving = true, .node = "n1"}});
  CHECK(w.left_out() == "  10.1.0.1:8080/tcp on n2: EndpointSlice web-1: another one has this address\n");
}

TEST_CASE("every annotation that cannot be obeyed is shown") {
  World w;
  cluster::Service web = w.service();
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"})
    web.annotations.emplace_back(Name(std::string(cluster::kServiceAnnotations) + name), Name("x"));
  w.model.put(web);
  const std::string text = w.show("shop/web");
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"})
    CHECK(text.find(fmt::format("annotation service.causeway.io/{} is unknown", name)) != text.npos);
}

TEST_CASE("a Service that is not balanced says why; one that is not there is an error that says what to do") {
  World w;
  CHECK(World()
            .show("shop/web")
            .starts_with("not found: no Service shop/web is known on node n1: `kubectl get service -n shop web"));
  w.model.put(cluster::Service{.key = {"shop", "out"}, .type = cluster::ServiceType::ExternalName});
  w.model.put(cluster::Service{.key = {"default", "db"}});
  CHECK(w.show("shop/out") == "Service shop/out is of type ExternalName: a name for DNS, no packet is balanced\n");
  CHECK(w.show("db") == "Service default/db is headless (clusterIP None): DNS names its Pods, no packet is balanced\n");
  for (const char* bad : {"", "/", "shop/", "/web", "shop/web/80"})
    CHECK(w.show(bad) == fmt::format("invalid: \"{}\" is no Service: write [NAMESPACE/]NAME\n", bad));
  World waiting;
  cluster::Model empty;
  const Desired nothing{{}};
  CHECK(service::show("shop/web", nothing, empty).error().code() == Errc::Unavailable);
}
