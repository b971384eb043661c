#include <doctest/doctest.h>

#include "apiserver/server_fixture.h"

namespace causeway::apiserver {
namespace {

// A kubelet that answers what it is told to, in pieces, and remembers what it was asked.
class FakeKubelet final : public http::Transport {
 public:
  struct Script {
    std::vector<std::string> pieces;
    int status = 200;
    std::string asked;
    bool away = false;
  };
  FakeKubelet(std::string url, Script& script) : url_(std::move(url)), script_(script) {}

  Task<Result<http::Response>> send(http::Request) override { co_return fail(Errc::Internal, "logs are streamed"); }
  Task<Result<http::Response>> stream(http::Request request, std::move_only_function<Status(std::string_view)> on_data,
                                      Duration) override {
    script_.asked = url_ + request.target;
    if (script_.away) co_return fail(Errc::Unavailable, "connection refused");
    if (script_.status != 200) co_return http::Response{.status = script_.status, .body = script_.pieces.front()};
    for (const std::string& piece : script_.pieces) CO_TRY(on_data(piece));
    co_return http::Response{};
  }

 private:
  std::string url_;
  Script& script_;
};

struct LogFixture {
  LogFixture() {
    f = std::make_unique<ServerFixture>([this](ServerOptions& options) { options.logs = &proxy; });
    proxy.fixture = f.get();
    proxy.script = &script;
    f->post("/api/v1/nodes",
            R"({"metadata":{"name":"n1"},"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.5"}],)"
            R"("daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}})");
    f->post(
        "/api/v1/namespaces/default/pods",
        R"({"metadata":{"name":"web"},"spec":{"nodeName":"n1","containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]}})");
  }
  std::string log(std::string query) {
    auto response = f->request("GET", "/api/v1/namespaces/default/pods/web/log" + query);
    if (response.status == 200) return "200 " + response.body;
    return f->message(response);
  }

  // The server is made before the loop of the fixture can be named.
  struct Proxy final : LogSource {
    Task<Status> send(LogRequest request, http::ResponseWriter& writer) override {
      auto source = make_kubelet_log_source(
          fixture->loop, [this](std::string url) { return std::make_unique<FakeKubelet>(std::move(url), *script); });
      co_return co_await source->send(std::move(request), writer);
    }
    ServerFixture* fixture = nullptr;
    FakeKubelet::Script* script = nullptr;
  };
  FakeKubelet::Script script{.pieces = {"one\n", "two\n"}};
  Proxy proxy;
  std::unique_ptr<ServerFixture> f;
};

TEST_CASE("a log is asked of the kubelet of the Pod's node, with its options, and passed on as it comes") {
  LogFixture l;
  CHECK(l.log("?container=b&tailLines=5&follow=true") == "200 one\ntwo\n");
  CHECK(l.script.asked == "http://10.0.0.5:10250/containerLogs/default/web/b?tailLines=5&follow=true");
}

TEST_CASE("a log that cannot be says which container, which node and why") {
  LogFixture l;
  CHECK(l.log("") == "400 a container name must be specified for pod web, choose one of: [a b]");
  CHECK(l.log("?container=x") == "400 container x is not valid for pod web, choose one of: [a b]");
  CHECK(l.log("?container=a&tailLines=-1") == "400 option tailLines: \"-1\" is no whole number of 0 or more");
  l.script = {.pieces = {"container a is waiting to start\n"}, .status = 404};
  CHECK(l.log("?container=a") == "400 container a is waiting to start");
  l.script.away = true;
  CHECK(l.log("?container=a") ==
        "503 the node of pod default/web does not answer at 10.0.0.5:10250: connection refused");
  l.f->remove("/api/v1/nodes/n1");
  CHECK(l.log("?container=a") == "503 node n1 does not exist any more");
}

}  // namespace
}  // namespace causeway::apiserver
