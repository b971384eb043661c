// The verbs of the Kubernetes API over typed objects. What the API answers with an error status comes back as an Error:
//   404 NotFound · 409 AlreadyExists or Conflict · 410 Gone · 422 and 400 Invalid, naming the fields ·
//   401 and 403 Denied · 429 and 5xx Unavailable
// Requests that the server turned away with Retry-After are sent again after that time, up to ClientOptions::retries.
//
//   Client api(loop, transport);
//   auto pod = co_await api.get<Pod>({.ns = "shop", .name = "web-1"});
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/format.h"
#include "http/message.h"
#include "kube/api/codec.h"

namespace causeway::kube {

// The name of one object of a kind; `ns` is empty for cluster kinds.
struct Ref {
  std::string ns;
  std::string name;
  auto operator<=>(const Ref&) const = default;
};
std::string to_string(const Ref& ref);  // "shop/web-1", "node-1"
inline Ref ref_of(const ObjectMeta& metadata) { return {metadata.ns, metadata.name}; }

struct ListOptions {
  std::string ns;  // empty: all
  std::string label_selector;
  std::string field_selector;
  std::string resource_version;
  std::string resource_version_match;  // Exact, NotOlderThan
  int64_t limit = 0;                   // 0: everything at once
  std::string continue_token;
};

template <class T>
struct List {
  std::vector<T> items;
  ListMeta metadata;
};

struct WatchOptions {
  std::string ns;
  std::string label_selector;
  std::string field_selector;
  std::string resource_version;
  bool bookmarks = true;
  bool send_initial_events = false;  // a streaming list
  std::chrono::seconds timeout{0};   // the server ends it then; 0: when it likes
  Duration idle = 90s;               // no byte for so long: Timeout. Bookmarks come about once a minute
};

enum class PatchType { Merge, StrategicMerge, Json, Apply };

struct DeleteOptions {
  std::string uid;               // precondition
  std::string resource_version;  // precondition
  std::string propagation;       // Background, Foreground, Orphan; empty: the kind's default
  std::optional<int64_t> grace_period_seconds;
};

struct ClientOptions {
  std::string field_manager = "causeway";
  int retries = 10;
  Duration timeout = 30s;  // of one request
};

class Client {
 public:
  // Borrows both.
  Client(Loop& loop, http::Transport& transport, ClientOptions options = {});

  template <class T>
  Task<Result<T>> get(Ref ref);
  template <class T>
  Task<Result<List<T>>> list(ListOptions options = {});
  template <class T>
  Task<Result<T>> create(T object);  // metadata.name may be empty with a generate_name
  // Replaces all of the object, also fields that our types do not know: for objects that we alone write.
  template <class T>
  Task<Result<T>> update(T object);
  template <class T>
  Task<Result<T>> update_status(T object);
  template <class T>
  Task<Result<T>> patch(Ref ref, PatchType type, std::string body, std::string subresource = {});
  template <class T>
  Task<Status> remove(Ref ref, DeleteOptions options = {});
  // Events in order until the server ends the watch (Ok), the stream breaks, or `on_event` fails. An Error event ends
  // it with its Status as the error (410: Gone).
  template <class T>
  Task<Status> watch(WatchOptions options, std::move_only_function<Status(WatchEvent<T>&&)> on_event);

  // The untyped ground. `body` may be empty.
  Task<Result<std::string>> request(std::string method, std::string target, std::string body = {},
                                    std::string content_type = "application/json");
  // Hands over each complete line of the answer.
  Task<Status> stream_lines(std::string target, std::move_only_function<Status(std::string_view)> on_line,
                            Duration idle);
  // Hands over the body as it comes.
  Task<Status> stream(std::string target, std::move_only_function<Status(std::string_view)> on_data, Duration idle);

  Loop& loop() { return loop_; }

 private:
  Loop& loop_;
  http::Transport& transport_;
  ClientOptions options_;
};

// Targets of requests, path and query.
std::string list_target(const KindInfo& kind, const ListOptions& options);
std::string watch_target(const KindInfo& kind, const WatchOptions& options);
// The error that an answer of the API means. `what` is in front of its message.
Error error_of(int http_status, std::string_view body, std::string_view what);
Error error_of(const ApiStatus& status, std::string_view what);

}  // namespace causeway::kube

#include "kube/client/client.inc"
