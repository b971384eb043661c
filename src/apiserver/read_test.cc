#include <doctest/doctest.h>

#include "apiserver/server_fixture.h"

namespace causeway::apiserver {
namespace {

constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";

void put(ServerFixture& f, std::string_view name, std::string_view label = "x") {
  REQUIRE(f.request("POST", kMaps, fmt::format(R"({{"metadata":{{"name":"{}","labels":{{"l":"{}"}}}}}})", name, label))
              .status == 201);
}

// "a b | rv=13 more=1"
std::string names(ServerFixture& f, std::string target) {
  auto tree = f.tree(std::move(target));
  if (tree.contains("code"))
    return fmt::format("{} {}", tree["code"].as_int64(), std::string_view(tree["reason"].as_string()));
  std::string text;
  for (const auto& item : tree["items"].as_array())
    text += fmt::format("{} ", std::string_view(item.as_object().at("metadata").at("name").as_string()));
  text += fmt::format("| rv={}", std::string_view(tree["metadata"].at("resourceVersion").as_string()));
  if (auto* more = tree["metadata"].as_object().if_contains("remainingItemCount"))
    text += fmt::format(" more={}", more->as_int64());
  return text;
}
std::string token(ServerFixture& f, std::string target) {
  return std::string(f.tree(std::move(target))["metadata"].at("continue").as_string());
}

// The events of a watch in short: "ADDED a@12, BOOKMARK @13".
std::string events(ServerFixture::Stream& stream) {
  std::string text;
  std::string body = stream.writer.take();
  for (size_t at = 0; at < body.size();) {
    const size_t end = body.find('\n', at);
    auto event = boost::json::parse(body.substr(at, end - at)).as_object();
    at = end + 1;
    auto& object = event["object"].as_object();
    const std::string_view type = event["type"].as_string();
    if (!text.empty()) text += ", ";
    if (type == "ERROR") {
      text += fmt::format("ERROR {}", object["code"].as_int64());
      continue;
    }
    auto& metadata = object["metadata"].as_object();
    text +=
        fmt::format("{} {}@{}", type, metadata.contains("name") ? std::string_view(metadata["name"].as_string()) : "",
                    std::string_view(metadata["resourceVersion"].as_string()));
    if (metadata.contains("annotations")) text += " end";
  }
  return text;
}

TEST_CASE("the pages of a list show one revision, whatever is written between them") {
  ServerFixture f;
  for (const char* name : {"a", "b", "c", "d", "e"}) put(f, name);
  CHECK(names(f, std::string(kMaps) + "?limit=2") == "a b | rv=15 more=3");
  const std::string next = token(f, std::string(kMaps) + "?limit=2");
  f.request("DELETE", std::string(kMaps) + "/c");
  put(f, "bb");
  put(f, "f");
  CHECK(names(f, std::string(kMaps) + "?limit=2&continue=" + next) == "c d | rv=15 more=1");
  CHECK(names(f, std::string(kMaps) + "?continue=" + next) == "c d e | rv=15");
  CHECK(names(f, kMaps) == "a b bb d e f | rv=18");
  CHECK(names(f, std::string(kMaps) + "?continue=nonsense") == "400 BadRequest");
}

TEST_CASE("a continue token that is too old comes back as 410 with one that goes on with today's list") {
  ServerFixture f([](ServerOptions& options) { options.retention = {.at_least = 0, .age = 1min}; });
  for (const char* name : {"a", "b", "c"}) put(f, name);
  const std::string next = token(f, std::string(kMaps) + "?limit=1");
  put(f, "bb");
  f.loop.advance(5min);
  auto expired = f.tree(std::string(kMaps) + "?limit=1&continue=" + next);
  CHECK(expired["code"] == 410);
  CHECK(expired["reason"] == "Expired");
  const std::string fresh(expired["metadata"].at("continue").as_string());
  CHECK(names(f, std::string(kMaps) + "?continue=" + fresh) == "b bb c | rv=14");
}

TEST_CASE("resourceVersion and resourceVersionMatch choose the state of a list") {
  ServerFixture f;
  put(f, "a");                                     // 7
  put(f, "b");                                     // 8
  f.request("DELETE", std::string(kMaps) + "/a");  // 9
  CHECK(names(f, std::string(kMaps) + "?resourceVersion=0") == "b | rv=13");
  CHECK(names(f, std::string(kMaps) + "?resourceVersion=12&resourceVersionMatch=Exact") == "a b | rv=12");
  CHECK(names(f, std::string(kMaps) + "?resourceVersion=12&resourceVersionMatch=NotOlderThan") == "b | rv=13");
  CHECK(names(f, std::string(kMaps) + "?resourceVersion=12&limit=1") == "a | rv=12 more=1");
  CHECK(names(f, std::string(kMaps) + "?resourceVersion=103") == "504 Timeout");
  CHECK(names(f, std::string(kMaps) + "?resourceVersion=x") == "400 BadRequest");
  CHECK(names(f, std::string(kMaps) + "?resourceVersionMatch=Exact") == "400 BadRequest");
}

TEST_CASE("selectors choose by labels and fields, and refuse fields that the kind has not") {
  ServerFixture f;
  put(f, "a", "one");
  put(f, "b", "two");
  CHECK(names(f, std::string(kMaps) + "?labelSelector=l%20in%20(two,three)") == "b | rv=12");
  CHECK(names(f, std::string(kMaps) + "?labelSelector=l!%3Dtwo") == "a | rv=12");
  CHECK(names(f, "/api/v1/configmaps?fieldSelector=metadata.name%3Db") == "b | rv=12");
  CHECK(f.message(f.request("GET", std::string(kMaps) + "?fieldSelector=spec.x%3Db")) ==
        "400 fieldSelector: field label not supported: spec.x (configmaps can be selected by metadata.name)");
}

TEST_CASE("a watch begins where it is told to, and misses and doubles nothing") {
  ServerFixture f;
  put(f, "a");  // 7
  put(f, "b");  // 8
  auto from_7 = f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=11");
  auto from_any = f.open("GET", std::string(kMaps) + "?watch=1");
  auto from_now = f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=12");
  CHECK(events(*from_7) == "ADDED b@12");
  CHECK(events(*from_any) == "ADDED a@11, ADDED b@12");
  CHECK(events(*from_now) == "");
  f.patch(std::string(kMaps) + "/a", "merge-patch+json", R"({"data":{"x":"y"}})");
  f.request("DELETE", std::string(kMaps) + "/b");
  for (auto* stream : {&from_7, &from_any, &from_now}) CHECK(events(**stream) == "MODIFIED a@13, DELETED b@14");
}

TEST_CASE("what leaves a selector is DELETED with the state that the client knew, what enters it ADDED") {
  ServerFixture f;
  put(f, "a", "in");  // 7
  auto watch = f.open("GET", std::string(kMaps) + "?watch=true&labelSelector=l%3Din&resourceVersion=11");
  f.patch(std::string(kMaps) + "/a", "merge-patch+json", R"({"metadata":{"labels":{"l":"out"}}})");
  CHECK(watch->writer.response.body.find(R"("l":"in")") != std::string::npos);
  CHECK(events(*watch) == "DELETED a@12");
  f.patch(std::string(kMaps) + "/a", "merge-patch+json", R"({"data":{"k":"v"}})");
  CHECK(events(*watch) == "");
  f.patch(std::string(kMaps) + "/a", "merge-patch+json", R"({"metadata":{"labels":{"l":"in"}}})");
  CHECK(events(*watch) == "ADDED a@14");
}

TEST_CASE("bookmarks come every minute to who asked, and before the end of the watch") {
  ServerFixture f;
  auto watch =
      f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=10&allowWatchBookmarks=true&timeoutSeconds=90");
  f.loop.advance(59s);
  CHECK(events(*watch) == "");
  f.request("POST", "/api/v1/namespaces", R"({"metadata":{"name":"elsewhere"}})");
  f.loop.advance(2s);
  CHECK(events(*watch) == "BOOKMARK @11");
  f.loop.advance(30s);
  CHECK(events(*watch) == "BOOKMARK @11");
  CHECK(watch->ended.has_value());
}

TEST_CASE("a streaming list ends with a marked bookmark") {
  ServerFixture f;
  put(f, "a");
  const std::string options = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  auto watch = f.open("GET", std::string(kMaps) + "?watch=true" + options);
  CHECK(events(*watch) == "ADDED a@11, BOOKMARK @11 end");
  put(f, "b");
  CHECK(events(*watch) == "ADDED b@12");
  CHECK(f.request("GET", std::string(kMaps) + "?watch=true&sendInitialEvents=true").status == 422);
}

TEST_CASE("a watch from a forgotten revision is one ERROR with a Status of 410") {
  ServerFixture f([](ServerOptions& options) { options.retention = {.at_least = 0, .age = 1min}; });
  put(f, "a");
  f.loop.advance(5min);
  auto old = f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=3");
  CHECK(events(*old) == "ERROR 410");
  CHECK(old->ended.has_value());
  // As is one from a store that is gone.
  CHECK(events(*f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=1000")) == "ERROR 410");
  auto ahead = f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=1000");
  CHECK(ahead->writer.response.body.contains("resource version 1000 is not of this server's store, which is at "));
  CHECK(events(*f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=11")) == "");
}

TEST_CASE("a client that does not read holds up no writer and is disconnected") {
  ServerFixture f([](ServerOptions& options) { options.watch.behind_at_most = 50; });
  auto slow = f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=10");
  auto quick = f.open("GET", std::string(kMaps) + "?watch=true&resourceVersion=10");
  slow->writer.stalled = true;
  for (int i = 0; i < 60; ++i) put(f, fmt::format("m{:02}", i));
  f.loop.advance(10s);
  REQUIRE(slow->ended.has_value());
  CHECK(slow->ended->error().message() ==
        "watch of configmaps: the client is more than 50 changes behind; it is disconnected");
  CHECK(!quick->ended.has_value());
  CHECK(events(*quick).ends_with("ADDED m59@70"));
}

TEST_CASE("tables show the columns of the kind, in lists and watches") {
  ServerFixture f;
  const http::Headers table{{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}};
  f.request("POST", "/api/v1/namespaces/default/pods",
            R"({"metadata":{"name":"web"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}})");
  f.patch(
      "/api/v1/namespaces/default/pods/web/status", "merge-patch+json",
      R"({"status":{"phase":"Running","podIP":"10.244.0.5","containerStatuses":[{"name":"c","image":"i","imageID":"","ready":false,"restartCount":3,"lastState":{"terminated":{"exitCode":1,"finishedAt":"2023-11-14T22:12:20Z"}},"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}})");
  auto list = boost::json::parse(f.request("GET", "/api/v1/pods", "", table).body).as_object();
  CHECK(list["kind"] == "Table");
  CHECK(boost::json::serialize(list["rows"].as_array()[0].as_object()["cells"]) ==
        R"j(["web","0/1","CrashLoopBackOff","3 (60s ago)","0s","10.244.0.5","n1","<none>","<none>"])j");
  CHECK(list["columnDefinitions"].as_array().size() == 9);
  auto watch = f.open("GET", "/api/v1/pods?watch=true&resourceVersion=11", "", table);
  f.patch("/api/v1/namespaces/default/pods/web", "merge-patch+json", R"({"metadata":{"labels":{"a":"b"}}})");
  const std::string lines = watch->writer.take();
  CHECK(lines.find("columnDefinitions\":[{") == lines.rfind("columnDefinitions\":[{"));
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 2);
  auto partial = f.request("GET", "/api/v1/namespaces/default/pods/web", "",
                           {{"Accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}});
  CHECK(partial.body.find("\"spec\"") == std::string::npos);
  CHECK(partial.body.find("\"kind\":\"PartialObjectMetadata\"") != std::string::npos);
}

TEST_CASE("discovery answers in the form and version that was asked for") {
  ServerFixture f;
  auto type = [&](std::string accept) {
    return f.request("GET", "/apis", "", {{"Accept", std::move(accept)}}).headers.at("Content-Type");
  };
  CHECK(type("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/"
             "json;g=apidiscovery.k8s.io;v=v2beta1;as="
             "APIGroupDiscoveryList,application/json") ==
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  CHECK(type("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json") ==
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
  CHECK(type("application/json") == "application/json");
  std::string groups;
  for (const auto& group : f.tree("/apis")["groups"].as_array())
    groups += fmt::format("{} ", std::string_view(group.at("name").as_string()));
  CHECK(groups ==
        "apps coordination.k8s.io discovery.k8s.io networking.k8s.io causeway.io policy.networking.k8s.io "
        "k8s.cni.cncf.io "
        "events.k8s.io ");
  CHECK(f.tree("/apis/apps/v1")["resources"].as_array().size() == 12);
}

TEST_CASE("OpenAPI documents have hashed addresses that may be cached") {
  ServerFixture f;
  auto index = f.tree("/openapi/v3");
  const std::string url(index["paths"].at("apis/apps/v1").at("serverRelativeURL").as_string());
  auto document = f.request("GET", url);
  CHECK(document.status == 200);
  CHECK(document.headers.at("Cache-Control").find("immutable") != std::string::npos);
  CHECK(f.request("GET", url, "", {{"If-None-Match", document.headers.at("ETag")}}).status == 304);
  auto tree = boost::json::parse(document.body).as_object();
  CHECK(tree["paths"].as_object().contains("/apis/apps/v1/namespaces/{namespace}/deployments/{name}"));
  CHECK(tree["components"].at("schemas").as_object().contains("io.k8s.api.apps.v1.Deployment"));
  CHECK(f.request("GET", "/openapi/v2").body.empty());
}

TEST_CASE("deletecollection takes what the selector names") {
  ServerFixture f;
  put(f, "a", "one");
  put(f, "b", "two");
  CHECK(f.request("DELETE", std::string(kMaps) + "?labelSelector=l%3Done").status == 200);
  CHECK(names(f, kMaps) == "b | rv=13");
}

}  // namespace
}  // namespace causeway::apiserver
