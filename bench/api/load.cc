#include "load.h"

#include <fmt/format.h>

#include <cstdlib>

#include "async/scope.h"

namespace causeway::bench {

namespace {

constexpr int kConnections = 32;  // that one client keeps

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// A Pod as a Deployment makes them, about 1.2 kB as it is stored.
std::string pod(int number) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"web-{}","labels":{{"app":"web","pod-template-hash":"5d4f8c7b9"}},)"
      R"("ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"5a4e5d1c-0000-4000-8000-000000000001","controller":true}}]}},)"
      R"("spec":{{"nodeName":"node-{}","containers":[{{"name":"web","image":"registry.example/web:1.2.3","ports":[{{"containerPort":8080}}],)"
      R"("env":[{{"name":"LEVEL","value":"info"}}],"readinessProbe":{{"httpGet":{{"path":"/ready","port":8080}}}},)"
      R"("resources":{{"requests":{{"cpu":"100m","memory":"64Mi"}}}}}}]}}}})",
      number, number % 100);
}

Task<Result<http::Response>> send(http::Client& api, std::string method, std::string target, std::string body,
                                  int expected) {
  http::Request request{
      .method = method, .target = target, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body)};
  auto response = CO_TRY(co_await api.send(std::move(request)), "{} {}", method, target);
  if (response.status != expected)
    co_return fail(Errc::Internal, "{} {}: {} {}", method, target, response.status, response.body);
  co_return response;
}

struct Writers {
  int next;
  int end;
  int running;
  OneShot<Status> done;
};

Task<Status> write_some(http::Client& api, Writers& writers) {
  while (writers.next < writers.end) {
    const int number = writers.next++;
    CO_TRY(co_await send(api, "POST", "/api/v1/namespaces/default/pods", pod(number), 201));
  }
  co_return ok();
}

Task<void> run_writer(http::Client& api, Writers& writers) {
  Status status = co_await write_some(api, writers);
  if (!status || --writers.running == 0) writers.done.set(std::move(status));
}

struct Watchers {
  Loop& loop;
  std::vector<TimePoint> sent;  // by number of the write
  std::vector<double> delays;
  size_t connected = 0;
  OneShot<Status> failed;
};

// The number of the write in one line of the watch, or -1.
int number_in(std::string_view line) {
  const size_t at = line.find("\"seq\":\"");
  return at == std::string_view::npos ? -1 : std::atoi(line.data() + at + 7);
}

Task<void> watch(http::Client& api, std::string version, Watchers& watchers) {
  std::string pending;
  http::Request request{.target = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=" + version};
  auto take = [&](std::string_view data) -> Status {
    const TimePoint now = watchers.loop.now();
    pending += data;
    for (size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
      const int number = number_in(std::string_view(pending).substr(0, end));
      // Number 0 is asked for once to see that the watch stands.
      if (number == 0) ++watchers.connected;
      if (number > 0) watchers.delays.push_back(milliseconds(now - watchers.sent[static_cast<size_t>(number)]));
      pending.erase(0, end + 1);
    }
    return ok();
  };
  auto ended = co_await api.stream(std::move(request), take, std::chrono::minutes(5));
  watchers.failed.set(ended ? fail(Errc::Internal, "a watch ended: {} {}", ended->status, ended->body)
                            : fail(std::move(ended.error())));
}

std::string config_map(int number) {
  return fmt::format(R"({{"metadata":{{"name":"beat"}},"data":{{"seq":"{}","text":"{}"}}}})", number,
                     std::string(500, 'x'));
}

}  // namespace

Clients make_clients(Loop& loop, const http::ClientOptions& options, int writers) {
  Clients clients;
  for (int i = 0; i < writers; i += kConnections) clients.push_back(std::make_unique<http::Client>(loop, options));
  return clients;
}

Task<Result<double>> create_pods(Loop& loop, Clients& clients, int first, int count, int writers) {
  Writers state{.next = first, .end = first + count, .running = writers, .done = OneShot<Status>(loop)};
  Scope scope(loop);
  const TimePoint start = loop.now();
  for (int i = 0; i < writers; ++i)
    scope.spawn("writer", run_writer(*clients[static_cast<size_t>(i / kConnections)], state));
  auto done = CO_TRY(co_await state.done.get());
  CO_TRY(std::move(done));
  co_return count / (milliseconds(loop.now() - start) / 1000);
}

Task<Result<double>> list_pods(Loop& loop, http::Client& api, int expected) {
  const TimePoint start = loop.now();
  auto response = CO_TRY(co_await send(api, "GET", "/api/v1/pods", "", 200));
  const double time = milliseconds(loop.now() - start);
  int count = 0;
  for (size_t at = response.body.find("\"name\":\"web-"); at != std::string::npos;
       at = response.body.find("\"name\":\"web-", at + 1))
    ++count;
  if (count != expected) co_return fail(Errc::Internal, "the list holds {} Pods, not {}", count, expected);
  co_return time;
}

Task<Result<std::vector<double>>> watch_delays(Loop& loop, const http::ClientOptions& options, int watchers, int writes,
                                               Duration pace) {
  const std::string maps = "/api/v1/namespaces/default/configmaps";
  http::Client api(loop, options);
  auto created = CO_TRY(co_await send(api, "POST", maps, config_map(-1), 201));
  auto list = CO_TRY(co_await send(api, "GET", maps + "?limit=1", "", 200));
  const size_t at = list.body.find("\"resourceVersion\":\"") + 19;
  const std::string version = list.body.substr(at, list.body.find('"', at) - at);

  Watchers state{
      .loop = loop, .sent = std::vector<TimePoint>(static_cast<size_t>(writes) + 1), .failed = OneShot<Status>(loop)};
  std::vector<std::unique_ptr<http::Client>> clients;
  Scope scope(loop);
  for (int i = 0; i < watchers; ++i) {
    clients.push_back(std::make_unique<http::Client>(loop, options));
    scope.spawn("watch", watch(*clients.back(), version, state));
  }
  CO_TRY(co_await send(api, "PUT", maps + "/beat", config_map(0), 200));
  while (state.connected < static_cast<size_t>(watchers) && !state.failed.is_set()) CO_TRY(co_await loop.sleep(10ms));
  for (int number = 1; number <= writes && !state.failed.is_set(); ++number) {
    state.sent[static_cast<size_t>(number)] = loop.now();
    CO_TRY(co_await send(api, "PUT", maps + "/beat", config_map(number), 200));
    CO_TRY(co_await loop.sleep(pace));
  }
  const size_t expected = static_cast<size_t>(watchers) * static_cast<size_t>(writes);
  for (int wait = 0; state.delays.size() < expected && !state.failed.is_set() && wait < 1000; ++wait)
    CO_TRY(co_await loop.sleep(10ms));
  if (state.failed.is_set()) {
    auto why = CO_TRY(co_await state.failed.get());
    co_return fail(std::move(why.error()));
  }
  if (state.delays.size() != expected)
    co_return fail(Errc::Internal, "{} of {} events came", state.delays.size(), expected);
  co_return state.delays;
}

}  // namespace causeway::bench
