#include "cli/wait.h"

#include <set>

#include "kube/client/cache.h"
#include "lab/nodelet/node_object.h"

namespace causeway::cli {
namespace {

// Waits until `done` is true of the cache, asked after each change; or until `hopeless` says why it never will be.
template <class T>
Task<Status> wait_until(kube::Client& api, kube::CacheOptions options, Duration limit,
                        std::function<bool(const kube::Cache<T>&)> done,
                        std::function<std::string(const kube::Cache<T>&)> missing,
                        std::function<std::string(const kube::Cache<T>&)> hopeless = {}) {
  kube::Cache<T> cache(api, std::move(options));
  Channel<bool> changed(api.loop());
  bool late = false;
  cache.on_change([changed](const T*, const T*) mutable { changed.push(true); });
  cache.on_sync([changed]() mutable { changed.push(true); });
  auto timer = api.loop().call_after(limit, [&late, changed]() mutable {
    late = true;
    changed.push(true);
  });
  cache.start();
  while (!cache.synced() || !done(cache)) {
    if (late)
      co_return fail(Errc::Timeout, "not in {} s: {}", limit / 1s,
                     cache.synced() ? missing(cache) : "the API server does not answer: " + cache.health().error);
    if (cache.synced() && hopeless)
      if (std::string why = hopeless(cache); !why.empty()) co_return fail(Errc::Io, "{}", why);
    CO_TRY(co_await changed.next());
  }
  co_return ok();
}

const kube::Condition* ready_of(const std::vector<kube::Condition>& conditions) {
  return kube::find_condition(conditions, "Ready");
}

}  // namespace

Task<Status> wait_for_nodes(kube::Client& api, int count, Duration limit) {
  auto done = [count](const kube::Cache<kube::Node>& nodes) {
    int ready = 0;
    nodes.for_each([&](const kube::Node& node) {
      const auto* condition = ready_of(node.status.conditions);
      if (condition != nullptr && condition->status == "True") ++ready;
    });
    return ready >= count;
  };
  auto missing = [count](const kube::Cache<kube::Node>& nodes) {
    std::string out = fmt::format("{} of {} nodes registered", nodes.size(), count);
    nodes.for_each([&](const kube::Node& node) {
      const auto* condition = ready_of(node.status.conditions);
      if (condition == nullptr || condition->status != "True")
        out += fmt::format("; {} is not Ready: {}", node.metadata.name,
                           condition == nullptr ? "it says nothing" : condition->message);
    });
    return out;
  };
  // All end alike, more likely than not: one tells.
  auto hopeless = [](const kube::Cache<kube::Node>& nodes) {
    std::string out;
    nodes.for_each([&](const kube::Node& node) {
      const auto* condition = ready_of(node.status.conditions);
      if (out.empty() && condition != nullptr && condition->reason == lab::kAgentEnds)
        out = fmt::format("{}: {}", node.metadata.name, condition->message);
    });
    return out;
  };
  co_return co_await wait_until<kube::Node>(api, {}, limit, done, missing, hopeless);
}

Task<Status> wait_for_dns(kube::Client& api, int nodes, Duration limit) {
  auto ready_nodes = [](const kube::Cache<kube::EndpointSlice>& slices) {
    std::set<std::string> out;
    slices.for_each([&](const kube::EndpointSlice& slice) {
      for (const auto& endpoint : slice.endpoints)
        if (endpoint.node_name && endpoint.conditions.ready.value_or(true)) out.insert(*endpoint.node_name);
    });
    return out;
  };
  auto done = [=](const kube::Cache<kube::EndpointSlice>& slices) {
    return ready_nodes(slices).size() >= static_cast<size_t>(nodes);
  };
  auto missing = [=](const kube::Cache<kube::EndpointSlice>& slices) {
    return fmt::format("the DNS of {} of {} nodes is ready ({}); `causeway lab logs node-1` tells more",
                       ready_nodes(slices).size(), nodes, fmt::join(ready_nodes(slices), ", "));
  };
  co_return co_await wait_until<kube::EndpointSlice>(
      api, {.ns = "kube-system", .label_selector = "kubernetes.io/service-name=kube-dns"}, limit, done, missing);
}

Task<Status> wait_for_pods(kube::Client& api, std::string ns, size_t at_least, Duration limit,
                           std::function<bool(const kube::Pod&)> expected) {
  auto good = [expected](const kube::Pod& pod) {
    return kube::is_ready(pod) || pod.status.phase == "Succeeded" || (expected && expected(pod));
  };
  auto done = [=](const kube::Cache<kube::Pod>& pods) {
    bool all = pods.size() >= at_least;
    pods.for_each([&](const kube::Pod& pod) { all = all && good(pod); });
    return all;
  };
  auto missing = [=](const kube::Cache<kube::Pod>& pods) {
    std::string out = fmt::format("{} of {} Pods exist", pods.size(), at_least);
    pods.for_each([&](const kube::Pod& pod) {
      if (good(pod)) return;
      out += fmt::format("; {} is {}", kube::full_name(pod.metadata), pod.status.phase);
      for (const auto& container : pod.status.container_statuses)
        if (container.state.waiting)
          out += fmt::format(" ({} {})", container.state.waiting->reason, container.state.waiting->message);
    });
    return out;
  };
  co_return co_await wait_until<kube::Pod>(api, {.ns = ns}, limit, done, missing);
}

}  // namespace causeway::cli
