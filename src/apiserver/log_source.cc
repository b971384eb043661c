#include "apiserver/log_source.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "apiserver/json_tree.h"
#include "apiserver/list.h"
#include "async/scope.h"
#include "base/ip.h"
#include "kube/api/codec.h"
#include "kube/api/node.h"

namespace causeway::apiserver {

namespace {

constexpr Duration kSilentAtMost = std::chrono::hours(4);  // as kubelet's streamingConnectionIdleTimeout
constexpr size_t kBacklog = 4 << 20;                       // of a client that reads slowly

class KubeletLogSource final : public LogSource {
 public:
  KubeletLogSource(Loop& loop, std::function<std::unique_ptr<http::Transport>(std::string)> connect)
      : loop_(loop), connect_(std::move(connect)) {}

  Task<Status> send(LogRequest request, http::ResponseWriter& writer) override;

 private:
  Loop& loop_;
  std::function<std::unique_ptr<http::Transport>(std::string)> connect_;
};

// What the task that reads from the kubelet shares with the one that writes to the client.
struct Relay {
  Channel<std::string> chunks;
  size_t queued = 0;
  std::optional<Result<http::Response>> end;
};

Task<void> read_kubelet(http::Transport& kubelet, http::Request request, Relay& relay) {
  auto take = [&relay](std::string_view data) -> Status {
    if (relay.queued > kBacklog)
      return fail(Errc::Exhausted, "the client reads its log too slowly: {} bytes wait for it", relay.queued);
    relay.queued += data.size();
    relay.chunks.push(std::string(data));
    return ok();
  };
  relay.end = co_await kubelet.stream(std::move(request), std::move(take), kSilentAtMost);
  relay.chunks.close(Error(Errc::Unavailable, "end of the log"));
}

http::Response status_response(const Failure& failure) {
  return {.status = failure.status.code,
          .headers = {{"Content-Type", "application/json"}},
          .body = kube::encode(failure.status) + "\n"};
}

Task<Status> KubeletLogSource::send(LogRequest request, http::ResponseWriter& writer) {
  auto kubelet = connect_(fmt::format("http://{}", to_string(request.kubelet)));
  http::Request get{.target = fmt::format("/containerLogs/{}/{}/{}{}{}", http::percent_encode(request.ns),
                                          http::percent_encode(request.pod), http::percent_encode(request.container),
                                          request.options.empty() ? "" : "?", request.options)};
  Relay relay{.chunks = Channel<std::string>(loop_)};
  Scope scope(loop_);
  scope.spawn("read the log", read_kubelet(*kubelet, std::move(get), relay));
  bool begun = false;
  const http::Headers text{{"Content-Type", "text/plain"}};
  while (true) {
    auto chunk = co_await relay.chunks.next();
    if (!chunk) {
      if (!relay.end) co_return fail(std::move(chunk.error()));  // cancelled: the client is gone
      break;
    }
    relay.queued -= chunk->size();
    if (!begun) CO_TRY(co_await writer.begin(200, text));
    begun = true;
    CO_TRY(co_await writer.write(std::move(*chunk)));
  }
  if (begun) {
    if (!*relay.end) co_return fail(std::move(relay.end->error()));  // a torn stream shows as one
    co_return ok();
  }
  if (!*relay.end)
    co_return co_await writer.send(
        status_response(unavailable(fmt::format("the node of pod {}/{} does not answer at {}: {}", request.ns,
                                                request.pod, to_string(request.kubelet), relay.end->error().message()))
                            .error()));
  http::Response& response = **relay.end;
  if (response.status / 100 == 2)
    co_return co_await writer.send({.status = 200, .headers = text, .body = response.body});
  // kubelet answers errors as plain text.
  while (!response.body.empty() && response.body.back() == '\n') response.body.pop_back();
  auto refusal = response.status >= 500 ? internal(response.body) : bad_request(response.body);
  co_return co_await writer.send(status_response(refusal.error()));
}

std::vector<std::string> container_names(const json::object& pod) {
  std::vector<std::string> names;
  for (std::string_view list : {"spec.containers", "spec.initContainers", "spec.ephemeralContainers"})
    for (const json::value& container : array_at(pod, list))
      if (container.is_object()) names.emplace_back(text_at(container.get_object(), "name"));
  return names;
}

// Which container: the one that is named, else the only one, else the one that the Pod calls its default.
ApiResult<std::string> choose_container(const Call& call, const json::object& pod) {
  const std::vector<std::string> names = container_names(pod);
  std::string wanted(call.option("container"));
  if (wanted.empty() && array_at(pod, "spec.containers").size() == 1)
    wanted = text_at(array_at(pod, "spec.containers")[0].as_object(), "name");
  if (wanted.empty())
    return bad_request(fmt::format("a container name must be specified for pod {}, choose one of: [{}]", call.name,
                                   fmt::join(names, " ")));
  if (std::find(names.begin(), names.end(), wanted) == names.end())
    return bad_request(fmt::format("container {} is not valid for pod {}, choose one of: [{}]", wanted, call.name,
                                   fmt::join(names, " ")));
  return wanted;
}

ApiResult<std::string> log_options(const Call& call) {
  std::string options;
  for (const auto& [name, value] : call.target.query) {
    if (name == "container") continue;
    if (name == "tailLines" || name == "sinceSeconds" || name == "limitBytes") TRY(int_option(call.target, name));
    if (name == "follow" || name == "previous" || name == "timestamps") TRY(bool_option(call.target, name));
    options +=
        fmt::format("{}{}={}", options.empty() ? "" : "&", http::percent_encode(name), http::percent_encode(value));
  }
  return options;
}

ApiResult<Endpoint> kubelet_of(Store& store, const std::string& node_name) {
  auto away = [&](std::string_view why) { return unavailable(fmt::format("node {} {}", node_name, why)); };
  const ObjectPtr node = store.shelf(kube::Node::kKind.plural).find({"", node_name});
  if (!node) return away("does not exist any more");
  auto tree = parse_object(node->json);
  const int64_t port = int_at(*tree, "status.daemonEndpoints.kubeletEndpoint.Port");
  if (port <= 0 || port > 65535) return away("publishes no kubelet port (status.daemonEndpoints.kubeletEndpoint.Port)");
  for (const json::value& address : array_at(*tree, "status.addresses")) {
    if (!address.is_object() || text_at(address.get_object(), "type") != "InternalIP") continue;
    if (auto ip = Ip::parse(text_at(address.get_object(), "address")))
      return Endpoint{*ip, static_cast<uint16_t>(port)};
  }
  return away("publishes no InternalIP");
}

}  // namespace

std::unique_ptr<LogSource> make_kubelet_log_source(
    Loop& loop, std::function<std::unique_ptr<http::Transport>(std::string url)> connect) {
  return std::make_unique<KubeletLogSource>(loop, std::move(connect));
}

ApiResult<LogRequest> plan_log(Store& store, const Call& call) {
  const ObjectPtr object = store.shelf(storage_of(*call.kind)).find(call.key());
  if (!object) return not_found(call.kind->info, call.name);
  auto pod = parse_object(object->json);
  LogRequest request{.ns = call.ns, .pod = call.name};
  request.container = TRY(choose_container(call, *pod));
  request.options = TRY(log_options(call));
  const std::string node(text_at(*pod, "spec.nodeName"));
  if (node.empty())
    return bad_request(fmt::format("container \"{}\" in pod \"{}\" is waiting to start: the pod is on no node yet",
                                   request.container, call.name));
  request.kubelet = TRY(kubelet_of(store, node));
  return request;
}

}  // namespace causeway::apiserver
