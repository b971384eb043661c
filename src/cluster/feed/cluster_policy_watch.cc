#include "cluster/feed/cluster_policy_watch.h"

#include "base/log.h"
#include "cluster/model/project.h"

namespace causeway::cluster {

namespace {

using kube::ClusterNetworkPolicy;

std::string discovery_path() { return "/apis/" + api_version(ClusterNetworkPolicy::kKind); }

void remove_others(Model& model, const std::set<kube::Ref>& listed) {
  std::vector<PolicyKey> gone;
  for (auto at = model.policies().begin(); at != model.policies().end() && at->first.ns.empty(); ++at)
    if (!listed.contains({.ns = {}, .name = std::string(at->first.name)})) gone.push_back(at->first);
  for (const PolicyKey& key : gone) model.remove(key);
}

}  // namespace

ClusterPolicyWatch::ClusterPolicyWatch(kube::Client& api, Feed& feed) : api_(api), feed_(feed), scope_(api.loop()) {}

void ClusterPolicyWatch::start() { scope_.spawn("look for ClusterNetworkPolicy", run()); }

Task<Result<bool>> ClusterPolicyWatch::served() {
  auto body = co_await api_.request("GET", discovery_path());
  if (!body && body.error().code() == Errc::NotFound) co_return false;
  if (!body) co_return fail(std::move(body.error()));
  co_return body->find(fmt::format("\"name\":\"{}\"", ClusterNetworkPolicy::kKind.plural)) != std::string::npos;
}

Task<void> ClusterPolicyWatch::run() {
  for (;;) {
    Duration next = kLook;
    if (!follower_ || !follower_->health().error.empty()) {
      const auto found = co_await served();
      if (!found && found.error().code() == Errc::Cancelled) co_return;
      if (!found) {
        if (!follower_) {
          trouble_ = fmt::format("whether there are ClusterNetworkPolicies: {}", found.error().message());
          next = kAgain;
        }
      } else if (*found) {
        trouble_.clear();
        gone_ = 0;
        if (!follower_) follow();
      } else if (!follower_) {
        trouble_.clear();
        // There are none: what waits for all policies need not wait for these.
        if (!feed_.model().synced(Source::ClusterPolicies)) {
          log::info("the API server has no ClusterNetworkPolicies ({}): none is watched", discovery_path());
          remove_others(feed_.model(), {});
          feed_.model().set_synced(Source::ClusterPolicies);
          feed_.touch();
        }
      } else if (++gone_ < kSure) {
        next = kAgain;
      } else {
        forget();
      }
    }
    if (!co_await api_.loop().sleep(next)) co_return;
  }
}

void ClusterPolicyWatch::follow() {
  log::info("the API server has ClusterNetworkPolicies: they are watched and enforced");
  follower_.emplace(
      api_, kube::Follower<ClusterNetworkPolicy>::Handlers{.on_put =
                                                               [this](const ClusterNetworkPolicy& now) {
                                                                 feed_.model().put(project(now));
                                                                 feed_.touch();
                                                               },
                                                           .on_remove =
                                                               [this](const kube::Ref& gone) {
                                                                 feed_.model().remove(PolicyKey{{}, gone.name});
                                                                 feed_.touch();
                                                               },
                                                           .on_list =
                                                               [this](const std::set<kube::Ref>& all) {
                                                                 remove_others(feed_.model(), all);
                                                                 feed_.model().set_synced(Source::ClusterPolicies);
                                                                 feed_.touch();
                                                               }});
  follower_->start();
}

void ClusterPolicyWatch::forget() {
  log::warning("the API server has no ClusterNetworkPolicies any more: none is enforced");
  gone_ = 0;
  follower_.reset();
  remove_others(feed_.model(), {});
  feed_.model().set_synced(Source::ClusterPolicies);
  feed_.touch();
}

}  // namespace causeway::cluster
