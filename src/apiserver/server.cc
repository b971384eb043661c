#include "apiserver/server.h"

#include <boost/json.hpp>

#include "apiserver/background.h"
#include "apiserver/discovery.h"
#include "apiserver/list.h"
#include "apiserver/scale.h"
#include "base/log.h"
#include "kube/api/codec.h"
#include "kube/api/pod.h"

namespace causeway::apiserver {

namespace {

http::Response status_response(const kube::ApiStatus& status) {
  http::Response response{
      .status = status.code, .headers = {{"Content-Type", "application/json"}}, .body = kube::encode(status) + "\n"};
  if (status.code == 401) response.headers["WWW-Authenticate"] = "Bearer";
  if (status.details && status.details->retry_after_seconds > 0)
    response.headers["Retry-After"] = std::to_string(status.details->retry_after_seconds);
  return response;
}

http::Response text_response(int status, std::string body) {
  return {.status = status, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}, .body = std::move(body)};
}

std::vector<Cidr> ranges_or_default(std::vector<Cidr> ranges) {
  if (ranges.empty()) ranges.push_back(*Cidr::parse("10.96.0.0/16"));
  return ranges;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::open(Loop& loop, ServerOptions options) {
  auto index = [](std::string_view resource, const std::string& text) -> Result<Index> {
    auto tree = TRY(parse_object(text));
    const Kind* kind = find_kind(resource);
    if (!kind)
      return fail(Errc::Unsupported, "this program serves no {}; use the newer program that stored them", resource);
    return apiserver::index_of(*kind, tree);
  };
  auto store = TRY(Store::open(
      loop,
      {.path = options.store_path, .threads = options.threads, .retention = options.retention, .index_of = index}));
  return std::make_unique<Server>(loop, std::move(options), std::move(store));
}

Server::Server(Loop& loop, ServerOptions options, std::unique_ptr<Store> store)
    : loop_(loop),
      options_(std::move(options)),
      store_(std::move(store)),
      authenticator_(options_.users),
      random_(options_.seed ? *options_.seed : Random::fresh_seed()),
      addresses_(ranges_or_default(options_.service_ranges)),
      ports_(options_.node_ports),
      scope_(loop) {
  service_objects_.emplace(context());
  kubernetes_.emplace(context(), options_.advertise);
  const auto observe = [this](const Event& event) {
    addresses_.observe(event);
    ports_.observe(event);
    service_objects_->observe(event);
    kubernetes_->observe(event);
  };
  for (const kube::KindInfo& kind : {kube::Service::kKind, kube::ServiceCidr::kKind, kube::IpAddress::kKind})
    for (const auto& [key, object] : store_->shelf(storage_of(kind_of(kind))).current()) observe({.object = object});
  store_->on_event(observe);
}

Task<Status> Server::start() {
  CO_TRY(co_await bootstrap(context(), options_.advertise), "prepare a new cluster");
  scope_.spawn("service objects", service_objects_->run());
  scope_.spawn("Service kubernetes", kubernetes_->run());
  scope_.spawn("namespaces", empty_namespaces(context()));
  scope_.spawn("events", expire_events(context(), options_.event_lifetime));
  ready_ = true;
  co_return ok();
}

Task<Status> Server::serve(http::Request request, http::ResponseWriter& writer) {
  auto target = http::parse_target(request.target);
  if (!target) co_return co_await writer.send(status_response(bad_request(target.error().message()).error().status));
  if (auto allowed = authenticator_.check(request, target->path); !allowed)
    co_return co_await writer.send(status_response(allowed.error().status));
  if (auto root = serve_root(request, *target)) co_return co_await writer.send(std::move(*root));

  auto call = parse_call(request.method, std::move(*target));
  if (!call) co_return co_await writer.send(status_response(call.error().status));
  if (call->verb == Verb::Watch) {
    ApiResult<Accepted> accepted = negotiate(request);
    ApiResult<WatchPlan> plan =
        accepted ? plan_watch(*store_, *call, *accepted, options_.watch, random_.next()) : Refusal(accepted.error());
    if (!plan) co_return co_await writer.send(status_response(plan.error().status));
    co_return co_await serve_watch(loop_, *store_, *call->kind, std::move(*plan), options_.watch, writer);
  }
  if (call->subresource == "log") {
    auto plan = plan_log(*store_, *call);
    if (plan && !options_.logs) plan = unavailable("this server reaches no node, so there are no logs");
    if (!plan) co_return co_await writer.send(status_response(plan.error().status));
    co_return co_await options_.logs->send(std::move(*plan), writer);
  }
  auto response = co_await answer(std::move(*call), std::move(request));
  if (!response) co_return co_await writer.send(status_response(response.error().status));
  co_return co_await writer.send(std::move(*response));
}

Task<ApiResult<http::Response>> Server::answer(Call call, http::Request request) {
  const Accepted accepted = CO_TRY(negotiate(request));
  const IncludeObject include = CO_TRY(include_option(call));
  if (call.subresource == "scale") co_return co_await answer_scale(std::move(call), std::move(request));
  switch (call.verb) {
    case Verb::Get: co_return get_object(*store_, call, accepted, loop_.wall_now());
    case Verb::List: co_return list_objects(*store_, call, accepted, loop_.wall_now());
    case Verb::Watch: break;  // serve() has answered it
    case Verb::DeleteCollection: co_return co_await delete_collection(std::move(call), std::move(request));
    case Verb::Create:
    case Verb::Update:
    case Verb::Patch:
    case Verb::Delete: co_return co_await answer_write(std::move(call), std::move(request), accepted, include);
  }
  std::abort();
}

Task<ApiResult<Written>> Server::write(Call call, http::Request request) {
  if (call.verb == Verb::Delete) {
    DeleteOptions options = CO_TRY(read_delete_options(request, call.target));
    co_return co_await delete_object(context(), std::move(call), std::move(options));
  }
  const bool dry_run = CO_TRY(dry_run_option(call.target));
  if (call.verb == Verb::Patch)
    co_return co_await patch_object(context(), std::move(call), std::move(request), dry_run);
  if (call.subresource == "binding") {
    Body body = CO_TRY(read_body(request, call.target, {"", "v1", "Binding", "bindings", true}));
    co_return co_await bind_pod(context(), std::move(call), std::move(body.object), dry_run);
  }
  if (call.subresource == "eviction") {
    CO_TRY(require_json(request));
    auto eviction = parse_object(request.body);
    if (!eviction) {
      auto refusal = bad_request(fmt::format("the Eviction: {}", eviction.error().message()));
      co_return refusal;
    }
    DeleteOptions options;
    options.dry_run = dry_run;
    if (find_at(*eviction, "deleteOptions.gracePeriodSeconds"))
      options.grace_period_seconds = int_at(*eviction, "deleteOptions.gracePeriodSeconds");
    co_return co_await delete_object(context(), std::move(call), std::move(options));
  }
  Body body = CO_TRY(read_body(request, call.target, call.kind->info));
  if (call.verb == Verb::Create) co_return co_await create_object(context(), std::move(call), std::move(body), dry_run);
  co_return co_await update_object(context(), std::move(call), std::move(body), dry_run);
}

Task<ApiResult<http::Response>> Server::answer_write(Call call, http::Request request, Accepted accepted,
                                                     IncludeObject include) {
  const Kind& kind = *call.kind;
  const bool deletes = call.verb == Verb::Delete;
  const bool acts = call.subresource == "binding" || call.subresource == "eviction";
  const std::string name = call.name;
  Written written = CO_TRY(co_await write(std::move(call), std::move(request)));
  http::Response response;
  if (acts || (deletes && written.removed && kind.info.kind != "Pod" && kind.info.kind != "Service")) {
    kube::ApiStatus status = success(kind.info, name, written.object->index.uid);
    status.code = acts ? 201 : 200;
    response = status_response(status);
  } else {
    response = object_response(kind, written.status, *written.object, accepted, include, loop_.wall_now());
  }
  add_warnings(response, written.warnings);
  co_return response;
}

Task<ApiResult<http::Response>> Server::answer_scale(Call call, http::Request request) {
  const ObjectPtr object = store_->latest(storage_of(*call.kind), call.key());
  if (!object) {
    auto refusal = not_found(call.kind->info, call.name);
    co_return refusal;
  }
  auto workload = parse_object(object->json);
  auto respond = [](const json::object& tree) {
    return http::Response{.headers = {{"Content-Type", "application/json"}},
                          .body = json::serialize(scale_of(tree)) + "\n"};
  };
  if (call.verb == Verb::Get) co_return respond(*workload);

  json::object scale = scale_of(*workload);
  if (call.verb == Verb::Patch) {
    std::vector<std::string> duplicates;
    CO_TRY(apply_patch(scale, request, kScaleKind, duplicates));
  } else {
    scale = CO_TRY(read_body(request, call.target, kScaleKind)).object;
  }
  Body body{.object = *workload};
  CO_TRY(apply_scale(body.object, scale));
  const bool dry_run = CO_TRY(dry_run_option(call.target));
  call.subresource.clear();  // from here on it is an update of the workload
  Written written = CO_TRY(
      co_await commit_update(context(), std::move(call), object, std::move(*workload), std::move(body), dry_run));
  co_return respond(*parse_object(written.object->json));
}

Task<ApiResult<http::Response>> Server::delete_collection(Call call, http::Request request) {
  const DeleteOptions options = CO_TRY(read_delete_options(request, call.target));
  const Filter filter = CO_TRY(Filter::parse(call));
  const Page page = CO_TRY(read_page(*store_, call, filter));
  for (const ObjectPtr& object : page.objects) {
    Call one = call;
    one.ns = object->key.ns;
    one.name = object->key.name;
    auto deleted = co_await delete_object(context(), std::move(one), options);
    if (!deleted && deleted.error().status.code != 404) co_return Refusal(std::move(deleted.error()));
  }
  kube::ApiStatus status = success(call.kind->info, "", "");
  co_return status_response(status);
}

std::optional<http::Response> Server::serve_root(const http::Request& request, const http::Target& target) {
  const std::string& path = target.path;
  if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
  if (path == "/healthz" || path == "/livez") return text_response(200, "ok");
  if (path == "/readyz") return ready_ ? text_response(200, "ok") : text_response(503, "the store is being prepared\n");
  if (path == "/version") {
    const json::object version{{"major", "1"},        {"minor", "36"},           {"gitVersion", "v1.36.0+causeway"},
                               {"gitCommit", ""},     {"gitTreeState", "clean"}, {"buildDate", ""},
                               {"goVersion", "none"}, {"compiler", "clang"},     {"platform", "linux/amd64"}};
    return http::Response{.headers = {{"Content-Type", "application/json"}}, .body = json::serialize(version) + "\n"};
  }
  if (auto found = discovery(request, path)) return found;
  return open_api_.serve(request, target);
}

}  // namespace causeway::apiserver
