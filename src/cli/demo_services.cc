// The checks of Services: questions to their addresses, and who answers.
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <map>
#include <set>

#include "cli/ask.h"
#include "cli/ask_as.h"
#include "cli/demo.h"
#include "cli/tally.h"
#include "kube/api/selector.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
constexpr int kLimitMs = 3000;
constexpr int kAffinityTries = 6;

const kube::Service* find_service(const World& world, std::string_view ns, std::string_view name) {
  for (const auto& service : world.services)
    if (service.metadata.ns == ns && service.metadata.name == name) return &service;
  return nullptr;
}

std::optional<Ip> cluster_ip(const kube::Service& service, Family family) {
  for (const auto& text : service.spec.cluster_ips)
    if (auto ip = Ip::parse(text); ip && ip->family() == family) return *ip;
  return std::nullopt;
}

std::set<std::string> pods_of(const World& world, const kube::Service& service) {
  std::set<std::string> names;
  const auto selector = kube::Selector::from(service.spec.selector.value_or(kube::StringMap{}));
  for (const auto& pod : world.pods)
    if (pod.metadata.ns == service.metadata.ns && selector.matches(pod.metadata.labels))
      names.insert(pod.metadata.name);
  return names;
}

std::string who(const Result<std::string>& answer) {
  boost::system::error_code error;
  return answer ? text_of(json::parse(*answer, error), "pod") : "";
}

class ServiceChecks {
 public:
  ServiceChecks(const World& world, const Report& report) : world_(world), report_(report) {}

  int run() {
    for (const Cidr& range : world_.plan.pod_cidrs) {
      family_ = range.family();
      by_cluster_ip("web", "http", false);
      by_cluster_ip("api", "stats", true);
      from_nodes();
      from_outside();
      with_affinity();
    }
    return failed_;
  }

 private:
  void say(const std::string& text, const Tally& tally) {
    const std::string family = world_.plan.pod_cidrs.size() > 1 ? family_ == Family::V4 ? " (IPv4)" : " (IPv6)" : "";
    std::string problem = tally.problem();
    if (tally.asked == 0) problem = "nobody could be asked: the Service has no address of this family, or no Pod";
    if (!problem.empty()) ++failed_;
    report_({fmt::format("{}: {} asked{}", text, tally.asked, family), problem,
             std::chrono::duration<double>(Clock::now() - said_).count()});
    said_ = Clock::now();
  }

  void judge(Tally& tally, const Result<std::string>& answer, const std::string& from, const kube::Service& service) {
    const std::string pair = from + " to Service " + kube::full_name(service.metadata);
    const std::string name = who(answer);
    if (!answer)
      tally.count(pair + ": " + answer.error().message());
    else
      tally.count(pods_of(world_, service).contains(name) ? "" : pair + ": answered by \"" + name + "\"");
  }

  // By every Pod, as a process of it.
  void by_cluster_ip(const char* name, const char* port_name, bool udp) {
    Tally tally;
    const auto* service = find_service(world_, "shop", name);
    const auto ip = service ? cluster_ip(*service, family_) : std::nullopt;
    const auto* port = service ? find_port(*service, port_name) : nullptr;
    for (const kube::Pod* from : world_.free) {
      if (!ip || !port) break;
      const auto place = find_sandbox(world_.state, from->spec.node_name, from->metadata.uid);
      if (!place) {
        tally.count(place.error().message());
        continue;
      }
      const std::vector<Endpoint> targets(3, {*ip, static_cast<uint16_t>(port->port)});
      for (const auto& answer : ask_as(*place, targets, udp, kLimitMs))
        judge(tally, answer, kube::full_name(from->metadata), *service);
    }
    say(fmt::format("every Pod to a Service by its cluster IP{}", udp ? ", by UDP" : ""), tally);
  }

  void from_nodes() {
    Tally tally;
    const auto* service = find_service(world_, "shop", "web");
    const auto ip = service ? cluster_ip(*service, family_) : std::nullopt;
    for (const auto& node : world_.state.nodes) {
      if (!ip) break;
      const std::vector<Endpoint> targets(3, {*ip, 80});
      for (const auto& answer : ask_as({node.nodelet, world_.state.paths.nodelet(node.name)}, targets, false, kLimitMs))
        judge(tally, answer, node.name, *service);
    }
    say("every node to a Service by its cluster IP", tally);
  }

  void from_outside() {
    Tally tally;
    const auto* service = find_service(world_, "shop", "web");
    const auto outside = find_place(world_.state, "outside", "");
    std::vector<Endpoint> targets;
    if (service && !service->spec.ports.empty() && service->spec.ports[0].node_port != 0 && outside)
      for (const auto& node : world_.plan.nodes)
        for (const Ip& ip : node.addresses)
          if (ip.family() == family_)
            for (int i = 0; i < 3; ++i)
              targets.push_back({ip, static_cast<uint16_t>(service->spec.ports[0].node_port)});
    if (!targets.empty())
      for (const auto& answer : ask_as(*outside, targets, false, kLimitMs)) judge(tally, answer, "outside", *service);
    say("a host outside of the cluster to the node port of every node", tally);
  }

  void with_affinity() {
    Tally tally;
    const auto* service = find_service(world_, "shop", "cart");
    const auto ip = service ? cluster_ip(*service, family_) : std::nullopt;
    for (const kube::Pod* from : world_.free) {
      const auto place = find_sandbox(world_.state, from->spec.node_name, from->metadata.uid);
      if (!ip || !place) continue;
      std::string first;
      for (int i = 0; i < kAffinityTries; ++i) {
        const auto answer = ask_as(*place, {{*ip, 80}}, false, kLimitMs)[0];
        judge(tally, answer, kube::full_name(from->metadata), *service);
        if (first.empty()) first = who(answer);
        if (answer && who(answer) != first)
          tally.count(fmt::format("{}: moved from {} to {}", kube::full_name(from->metadata), first, who(answer)));
      }
    }
    say("ClientIP affinity: a Pod stays with one endpoint", tally);
  }

  static const kube::ServicePort* find_port(const kube::Service& service, std::string_view name) {
    for (const auto& port : service.spec.ports)
      if (port.name == name) return &port;
    return nullptr;
  }

  const World& world_;
  const Report& report_;
  Clock::time_point said_ = Clock::now();
  Family family_ = Family::V4;
  int failed_ = 0;
};

// --- the rolling update

// Asks the targets in turn, one connection after the other, until it is told to stop: a summary as JSON.
std::string keep_asking(const std::vector<Endpoint>& targets, int stop_fd) {
  const Fd here(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  int asked = 0, failed = 0;
  std::string first;
  std::set<std::string> pods;
  for (pollfd stop{stop_fd, POLLIN, 0}; ::poll(&stop, 1, 2) == 0; ++asked) {
    const auto answer = ask_http(here.get(), {targets[size_t(asked) % targets.size()]}, kLimitMs)[0];
    if (answer)
      pods.insert(who(answer));
    else if (failed++ == 0)
      first = answer.error().message();
  }
  return json::serialize(
      json::object{{"asked", asked}, {"failed", failed}, {"first", first}, {"pods", json::value_from(pods)}});
}

// Until every Pod is one of the new template and the old ones are gone.
Task<Status> wait_for_rollout(kube::Client& api, kube::Ref ref, Duration limit) {
  const auto deadline = api.loop().now() + limit;
  for (;;) {
    const auto deployment = CO_TRY(co_await api.get<kube::Deployment>(ref));
    const auto& status = deployment.status;
    const int32_t wanted = deployment.spec.replicas.value_or(1);
    const auto pods = CO_TRY(co_await api.list<kube::Pod>({.ns = ref.ns, .label_selector = "app=" + ref.name}));
    if (status.observed_generation >= deployment.metadata.generation && status.updated_replicas == wanted &&
        status.available_replicas == wanted && status.replicas == wanted && pods.items.size() == size_t(wanted))
      co_return ok();
    if (api.loop().now() >= deadline)
      co_return fail(Errc::Timeout, "Deployment {}: {} of {} Pods are new, {} available, {} there", ref,
                     status.updated_replicas, wanted, status.available_replicas, pods.items.size());
    CO_TRY(co_await api.loop().sleep(50ms));
  }
}

Task<Status> roll(kube::Client& api, kube::Ref ref) {
  // What `kubectl rollout restart` does.
  const auto now = kube::format_time(std::chrono::floor<std::chrono::microseconds>(api.loop().wall_now()));
  CO_TRY(co_await api.patch<kube::Deployment>(
      ref, kube::PatchType::StrategicMerge,
      fmt::format(
          R"({{"spec":{{"template":{{"metadata":{{"annotations":{{"kubectl.kubernetes.io/restartedAt":"{}"}}}}}}}}}})",
          now)));
  co_return co_await wait_for_rollout(api, std::move(ref), 60s);
}

Result<std::string> rolling_update(Api& api, const World& world) {
  const auto* service = find_service(world, "shop", "web");
  if (!service || service->spec.ports.empty()) return fail(Errc::NotFound, "there is no Service shop/web");
  const auto client = std::ranges::find_if(world.free, [](const kube::Pod* pod) {
    const auto app = pod->metadata.labels.find("app");
    return app != pod->metadata.labels.end() && app->second == "api";
  });
  if (client == world.free.end()) return fail(Errc::NotFound, "there is no Pod of shop/api that could ask");
  std::vector<Endpoint> inside, outside;
  for (const Cidr& range : world.plan.pod_cidrs) {
    if (const auto ip = cluster_ip(*service, range.family())) inside.push_back({*ip, 80});
    for (const auto& node : world.plan.nodes)
      for (const Ip& ip : node.addresses)
        if (ip.family() == range.family())
          outside.push_back({ip, static_cast<uint16_t>(service->spec.ports[0].node_port)});
  }
  if (inside.empty() || outside.empty()) return fail(Errc::NotFound, "the Service shop/web has no address");
  std::vector<Visitor> visitors;
  const Place pod = TRY(find_sandbox(world.state, (*client)->spec.node_name, (*client)->metadata.uid));
  visitors.push_back(TRY(Visitor::send(pod, [&](int stop) { return keep_asking(inside, stop); })));
  const Place host = TRY(find_place(world.state, "outside", ""));
  visitors.push_back(TRY(Visitor::send(host, [&](int stop) { return keep_asking(outside, stop); })));
  auto rolled = run_until_done(*api.loop, roll(*api.client, {"shop", "web"}));
  int64_t asked = 0;
  std::set<std::string> pods;
  std::string problem;
  for (auto& visitor : visitors) {
    boost::system::error_code error;
    const auto said = json::parse(TRY(visitor.come_back()), error);
    if (error) return fail(Errc::Internal, "a client said what is no JSON");
    asked += said.at("asked").as_int64();
    if (said.at("failed").as_int64() > 0 && problem.empty())
      problem = fmt::format("{} of {} failed, first: {}", said.at("failed").as_int64(), said.at("asked").as_int64(),
                            text_of(said, "first"));
    for (const auto& name : said.at("pods").as_array()) pods.insert(std::string(name.as_string()));
  }
  TRY(std::move(rolled));
  if (!problem.empty()) return fail(Errc::Unavailable, "{}", problem);
  const auto old = pods_of(world, *service);
  const auto fresh = std::ranges::count_if(pods, [&](const std::string& name) { return !old.contains(name); });
  if (fresh == 0) return fail(Errc::Internal, "none of the new Pods has ever answered");
  return fmt::format("rolling update of {} Pods: {} requests meanwhile, {} Pods have answered, none failed", old.size(),
                     asked, pods.size());
}

}  // namespace

int run_service_checks(const World& world, const Report& report) { return ServiceChecks(world, report).run(); }

Check check_rolling_update(Api& api, const World& world) {
  const auto start = Clock::now();
  auto done = rolling_update(api, world);
  return {.text = done ? *done : "rolling update without a failed request",
          .problem = done ? "" : done.error().message(),
          .seconds = std::chrono::duration<double>(Clock::now() - start).count()};
}

}  // namespace causeway::cli
