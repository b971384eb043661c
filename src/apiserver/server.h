// The embedded API server: an HTTP handler over a store. What it serves and how it decides is in the other files; this
// one is the way through them.
//
//   auto server = TRY(Server::open(loop, {.store_path = dir + "/store.db", .tokens = tokens}));
//   CO_TRY(co_await server->start());                        // makes the namespaces and the Service "kubernetes"
//   auto listener = TRY(http::Server::listen(loop, {...}, *server));
//
// In a simulation a client's transport calls serve() without a socket: `threads = 0`, store_path ":memory:".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apiserver/auth.h"
#include "apiserver/kubernetes_service.h"
#include "apiserver/log_source.h"
#include "apiserver/open_api.h"
#include "apiserver/service_objects.h"
#include "apiserver/watch.h"
#include "apiserver/write.h"

namespace causeway::apiserver {

struct ServerOptions {
  std::string store_path = ":memory:";
  size_t threads = 1;                // 0: the disk is written on the loop
  std::vector<User> users;           // empty: everybody is let in
  std::vector<Cidr> service_ranges;  // one or two, of different families; empty: 10.96.0.0/16
  NodePortRange node_ports;
  std::vector<Endpoint> advertise;  // where the cluster reaches this server: the endpoints of the Service "kubernetes"
  Retention retention;
  WatchLimits watch;
  Duration event_lifetime = std::chrono::hours(1);
  std::optional<uint64_t> seed;  // of names and uids; absent: a fresh one
  LogSource* logs = nullptr;     // borrowed; null: there are no logs
};

class Server final : public http::Handler {
 public:
  static Result<std::unique_ptr<Server>> open(Loop& loop, ServerOptions options);
  Server(Loop& loop, ServerOptions options, std::unique_ptr<Store> store);

  // Brings what every cluster has into the store. Until it has returned, /readyz is 503.
  Task<Status> start();

  Task<Status> serve(http::Request request, http::ResponseWriter& writer) override;

  Store& store() { return *store_; }

 private:
  // One whole answer, for all but watches and logs.
  Task<ApiResult<http::Response>> answer(Call call, http::Request request);
  Task<ApiResult<http::Response>> answer_write(Call call, http::Request request, Accepted accepted,
                                               IncludeObject include);
  Task<ApiResult<Written>> write(Call call, http::Request request);
  Task<ApiResult<http::Response>> answer_scale(Call call, http::Request request);
  Task<ApiResult<http::Response>> delete_collection(Call call, http::Request request);
  // What is no resource: health, version, discovery, OpenAPI.
  std::optional<http::Response> serve_root(const http::Request& request, const http::Target& target);
  Context context() { return {loop_, *store_, random_, addresses_, ports_}; }

  Loop& loop_;
  ServerOptions options_;
  std::unique_ptr<Store> store_;
  Authenticator authenticator_;
  Random random_;
  ServiceAddresses addresses_;
  NodePorts ports_;
  std::optional<ServiceObjects> service_objects_;
  std::optional<KubernetesService> kubernetes_;
  OpenApi open_api_;
  bool ready_ = false;
  Scope scope_;
};

}  // namespace causeway::apiserver
