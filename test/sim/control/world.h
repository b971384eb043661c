// A whole small cluster on virtual time: the embedded API server in memory, the controllers, and a stand-in for
// kubelet.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <memory>
#include <string>

#include "apiserver/server.h"
#include "async/virtual_loop.h"
#include "base/log.h"
#include "control/controllers.h"

namespace causeway::control {

// A client's way to the server without a socket. Counts what would change something.
class Direct final : public http::Transport {
 public:
  explicit Direct(http::Handler& server) : server_(server) {}

  Task<Result<http::Response>> send(http::Request request) override {
    note(request);
    Whole writer;
    auto served = co_await server_.serve(std::move(request), writer);
    if (!served) co_return fail(std::move(served.error()));
    co_return std::move(writer.response);
  }
  Task<Result<http::Response>> stream(http::Request request, std::move_only_function<Status(std::string_view)> on_data,
                                      Duration) override {
    Whole writer;
    writer.on_data = std::move(on_data);
    auto served = co_await server_.serve(std::move(request), writer);
    if (!served) co_return fail(std::move(served.error()));
    if (writer.response.status / 100 == 2 && !writer.response.body.empty())
      CO_TRY(writer.on_data(std::exchange(writer.response.body, {})));
    co_return std::move(writer.response);
  }

  // "POST pods", "PATCH nodes": how often each was sent.
  std::map<std::string, int> writes;

 private:
  struct Whole final : http::ResponseWriter {
    Task<Status> send(http::Response answer) override {
      response = std::move(answer);
      co_return ok();
    }
    Task<Status> begin(int status, http::Headers headers) override {
      response.status = status;
      response.headers = std::move(headers);
      co_return ok();
    }
    Task<Status> write(std::string chunk) override {
      if (on_data && response.status / 100 == 2) co_return on_data(chunk);
      response.body += chunk;
      co_return ok();
    }
    http::Response response;
    std::move_only_function<Status(std::string_view)> on_data;
  };

  void note(const http::Request& request) {
    if (request.method == "GET") return;
    auto path = request.target.substr(0, request.target.find('?'));
    // The plural: behind the version, or behind the namespace.
    std::vector<std::string> parts;
    for (size_t at = 0; at != std::string::npos;) {
      auto next = path.find('/', at + 1);
      parts.push_back(path.substr(at + 1, next == std::string::npos ? next : next - at - 1));
      at = next;
    }
    size_t index = parts[0] == "api" ? 2 : 3;
    if (parts.size() > index + 2 && parts[index] == "namespaces") index += 2;
    if (parts[index] == "events") return;
    std::string what = request.method + " " + parts[index];
    if (parts.size() > index + 2) what += "/" + parts[index + 2];
    ++writes[what];
  }

  http::Handler& server_;
};

class World {
 public:
  VirtualLoop loop;
  std::unique_ptr<apiserver::Server> server;
  std::unique_ptr<Direct> user_transport, transport, kubelet_transport;
  std::unique_ptr<kube::Client> user;
  size_t pods_made = 0;
  Duration boot = 100ms;  // from bound to Ready

  World() {
    log::set_level(log::Level::Error);
    server = *apiserver::Server::open(
        loop,
        {.threads = 0, .service_ranges = {*Cidr::parse("10.96.0.0/16"), *Cidr::parse("fd00:96::/112")}, .seed = 7});
    Scope scope(loop);
    scope.spawn("start", server->start());
    loop.run_ready();
    user_transport = std::make_unique<Direct>(*server);
    kubelet_transport = std::make_unique<Direct>(*server);
    user = std::make_unique<kube::Client>(loop, *user_transport);
    start_kubelet();
    start();
  }
  ~World() {
    kill();
    kubelet_.reset();
  }

  // The controllers' process.
  void start() {
    transport = std::make_unique<Direct>(*server);
    process_ = std::make_unique<Process>(loop, *transport);
    process_->controllers.start();
  }
  void kill() { process_.reset(); }
  void run(Duration time) { loop.advance(time); }

  void node(std::string name, std::string labels = "{}") {
    must(
        "POST", "/api/v1/nodes",
        fmt::format(
            R"({{"metadata":{{"name":"{}","labels":{}}},"status":{{"conditions":[{{"type":"Ready","status":"True"}}]}}}})",
            name, labels));
    must("PATCH", "/api/v1/nodes/" + name + "/status",
         R"({"status":{"conditions":[{"type":"Ready","status":"True"}]}})");
  }
  static std::string deployment(std::string name, int replicas, std::string image, std::string extra = "") {
    return fmt::format(
        R"({{"metadata":{{"name":"{0}","namespace":"default"}},"spec":{{"replicas":{1},{3}"selector":{{"matchLabels":{{"app":"{0}"}}}},)"
        R"("template":{{"metadata":{{"labels":{{"app":"{0}"}}}},"spec":{{"containers":[{{"name":"c","image":"{2}"}}]}}}}}}}})",
        name, replicas, image, extra);
  }
  void create(std::string json) { must("POST", "/apis/apps/v1/namespaces/default/deployments", std::move(json)); }
  // Merge patch of a Deployment.
  void change(std::string name, std::string patch) {
    must("PATCH", "/apis/apps/v1/namespaces/default/deployments/" + name, std::move(patch));
  }
  std::string patch_strategic(std::string target, std::string body) {
    return must("PATCH", std::move(target), std::move(body), "application/strategic-merge-patch+json");
  }
  std::string must(std::string method, std::string target, std::string body = {}, std::string type = {}) {
    std::optional<Result<std::string>> answer;
    Scope scope(loop);
    if (type.empty()) type = method == "PATCH" ? "application/merge-patch+json" : "application/json";
    scope.spawn(
        "user",
        [](kube::Client& api, std::string method, std::string target, std::string body, std::string type,
           std::optional<Result<std::string>>& answer) -> Task<void> {
          answer.emplace(co_await api.request(std::move(method), std::move(target), std::move(body), std::move(type)));
        }(*user, method, target, std::move(body), type, answer));
    loop.run_ready();
    REQUIRE_MESSAGE(answer.has_value(), "no answer: " << method << " " << target);
    REQUIRE_MESSAGE(answer->has_value(), (*answer ? "" : answer->error().message()));
    return **answer;
  }

  template <class T>
  std::vector<T> all() {
    std::vector<T> items;
    auto meta = kube::decode_list_items<T>(must("GET", kube::collection_path(T::kKind)),
                                           [&](T&& item) { items.push_back(std::move(item)); });
    REQUIRE(meta);
    return items;
  }
  // The slices of a Service, in the order of their families: "IPv4 http:80/TCP 10.0.0.1 web-a ready serving\n".
  std::string slices(const std::string& service) {
    std::vector<std::string> texts;
    for (const auto& slice : all<kube::EndpointSlice>()) {
      const auto label = slice.metadata.labels.find(kServiceNameLabel);
      if (label == slice.metadata.labels.end() || label->second != service) continue;
      std::string text = slice.address_type;
      for (const auto& port : slice.ports)
        text += fmt::format(" {}:{}/{}", port.name.value_or(""), port.port.value_or(0), port.protocol.value_or(""));
      std::vector<std::string> endpoints;
      for (const auto& endpoint : slice.endpoints) endpoints.push_back(" " + endpoint_text(endpoint));
      std::ranges::sort(endpoints);
      for (const auto& endpoint : endpoints) text += endpoint;
      texts.push_back(text + "\n");
    }
    std::ranges::sort(texts);
    return fmt::format("{}", fmt::join(texts, ""));
  }
  // "10.0.0.1(web-a)" and, unless it is plainly ready: "!" not ready, "s" serving, "t" terminating; "@zone" hints.
  static std::string endpoint_text(const kube::SliceEndpoint& endpoint) {
    std::string text = endpoint.addresses.empty() ? "-" : endpoint.addresses[0];
    if (endpoint.target_ref) text += fmt::format("({})", endpoint.target_ref->name);
    const auto& conditions = endpoint.conditions;
    if (!conditions.ready.value_or(true)) text += "!";
    if (!conditions.ready.value_or(true) && conditions.serving.value_or(false)) text += "s";
    if (conditions.terminating.value_or(false)) text += "t";
    if (endpoint.hostname) text += "=" + *endpoint.hostname;
    if (endpoint.hints) {
      for (const auto& zone : endpoint.hints->for_zones) text += "@" + zone.name;
      for (const auto& node : endpoint.hints->for_nodes) text += "@@" + node.name;
    }
    return text;
  }
  // A Pod that runs as its status says: no kubelet touches it.
  void pod(const std::string& name, const std::string& node, const std::string& ip, bool ready = true,
           const std::string& spec = R"("containers":[{"name":"c","image":"x"}])",
           const std::string& labels = R"({"app":"web"})") {
    must("POST", "/api/v1/namespaces/default/pods",
         fmt::format(R"({{"metadata":{{"name":"{}","labels":{},"finalizers":["test/held"]}},)"
                     R"("spec":{{"nodeName":"{}",{}}}}})",
                     name, labels, node, spec));
    status(name, ip, ready);
  }
  void status(const std::string& name, const std::string& ips, bool ready) {
    std::string list, first;
    for (size_t at = 0; at < ips.size();) {
      const auto end = std::min(ips.find(',', at), ips.size());
      const auto ip = ips.substr(at, end - at);
      if (first.empty()) first = ip;
      list += fmt::format("{}{{\"ip\":\"{}\"}}", list.empty() ? "" : ",", ip);
      at = end + 1;
    }
    must(
        "PATCH", "/api/v1/namespaces/default/pods/" + name + "/status",
        fmt::format(
            R"({{"status":{{"phase":"Running","podIP":"{}","podIPs":[{}],"conditions":[{{"type":"Ready","status":"{}","lastTransitionTime":"{}"}}]}}}})",
            first, list, ready ? "True" : "False",
            kube::format_time(std::chrono::time_point_cast<std::chrono::microseconds>(loop.wall_now()))));
  }
  void service(const std::string& name, const std::string& spec) {
    must("POST", "/api/v1/namespaces/default/services",
         fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{{}}}}})", name, spec));
  }
  // "node-1 10.0.0.0/24\n"
  std::string nodes() {
    std::string text;
    for (const auto& node : all<kube::Node>())
      text += fmt::format("{} {}\n", node.metadata.name, fmt::join(node.spec.pod_cidrs, ","));
    return text;
  }
  // How many Pods each node has: "node-1:2 node-2:1".
  std::string spread() {
    std::map<std::string, int> counts;
    for (const auto& pod : all<kube::Pod>()) ++counts[pod.spec.node_name.empty() ? "-" : pod.spec.node_name];
    std::string text;
    for (const auto& [node, count] : counts) text += fmt::format("{}{}:{}", text.empty() ? "" : " ", node, count);
    return text;
  }
  // As kubectl shows it: "web 3/3 3 3 Available=True generation 1/1".
  std::string deployments() {
    std::string text;
    for (const auto& item : all<kube::Deployment>()) {
      const auto* available = kube::find_condition(item.status.conditions, "Available");
      text +=
          fmt::format("{} {}/{} {} {} Available={} generation {}/{}\n", item.metadata.name, item.status.ready_replicas,
                      item.spec.replicas.value_or(1), item.status.updated_replicas, item.status.available_replicas,
                      available ? available->status : "?", item.status.observed_generation, item.metadata.generation);
    }
    return text;
  }
  // "r1: 0/0 r2: 3/3": revision, ready and wanted Pods of each ReplicaSet.
  std::string sets() {
    std::map<int64_t, std::string> by_revision;
    for (const auto& set : all<kube::ReplicaSet>()) {
      auto revision = revision_of(set.metadata);
      by_revision[revision] +=
          fmt::format("r{}: {}/{}", revision, set.status.ready_replicas, set.spec.replicas.value_or(1));
    }
    std::string text;
    for (const auto& [revision, line] : by_revision) text += (text.empty() ? "" : " ") + line;
    return text;
  }
  std::string events(std::string reason) {
    std::string text;
    for (const auto& event : all<kube::Event>())
      if (event.reason == reason) text += event.message + "\n";
    return text;
  }

 private:
  struct Process {
    Process(Loop& loop, http::Transport& transport)
        : api(loop, transport),
          controllers(
              loop, api,
              {.enabled = {std::begin(kAllControllers), std::end(kAllControllers)},
               .node_cidrs = *NodeCidrs::make({.allocate_node_cidrs = true, .cluster_cidr = "10.0.0.0/22,fd00::/56"}),
               .host = "test"}) {}
    kube::Client api;
    Controllers controllers;
  };

  // Makes every bound Pod Ready after `boot`, and lets go of the deleted ones.
  struct Kubelet {
    Kubelet(Loop& loop, http::Transport& transport) : api(loop, transport), pods(api), scope(loop) {}
    kube::Client api;
    kube::Cache<kube::Pod> pods;
    Scope scope;
  };
  void start_kubelet() {
    kubelet_ = std::make_unique<Kubelet>(loop, *kubelet_transport);
    kubelet_->pods.on_change([this](const kube::Pod* old, const kube::Pod* now) {
      if (!old && now) ++pods_made;
      if (!now || now->spec.node_name.empty() || !now->metadata.finalizers.empty()) return;
      if (now->metadata.deletion_timestamp && (!old || !old->metadata.deletion_timestamp))
        kubelet_->scope.spawn("remove", remove(kubelet_->api, kube::ref_of(now->metadata)));
      else if (!now->metadata.deletion_timestamp && now->status.phase == "Pending" &&
               (!old || old->spec.node_name.empty()))
        kubelet_->scope.spawn("ready", ready(kubelet_->api, kube::ref_of(now->metadata), boot));
    });
    kubelet_->pods.start();
    loop.run_ready();
  }
  static Task<Status> ready(kube::Client& api, kube::Ref ref, Duration boot) {
    CO_TRY(co_await api.loop().sleep(boot));
    auto now = kube::format_time(std::chrono::time_point_cast<std::chrono::microseconds>(api.loop().wall_now()));
    auto done = co_await api.patch<kube::Pod>(
        ref, kube::PatchType::StrategicMerge,
        fmt::format(
            R"({{"status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"True","lastTransitionTime":"{}"}}]}}}})",
            now),
        "status");
    if (!done && done.error().code() != Errc::NotFound) co_return fail(std::move(done.error()));
    co_return ok();
  }
  static Task<Status> remove(kube::Client& api, kube::Ref ref) {
    CO_TRY(co_await api.loop().sleep(50ms));
    (void)co_await api.remove<kube::Pod>(ref, {.grace_period_seconds = 0});
    co_return ok();
  }

  std::unique_ptr<Kubelet> kubelet_;
  std::unique_ptr<Process> process_;
};

}  // namespace causeway::control
