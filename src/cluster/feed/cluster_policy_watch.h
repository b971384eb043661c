// ClusterNetworkPolicies, where the API server has them: on Kubernetes they are a custom resource (CRD), which may come
// and go at any time. What is served is asked of discovery, which every client may read; the kind is watched only then,
// so that a server without it is asked one question in half a minute and nothing else, and a watch that works costs
// none.
#pragma once

#include <optional>

#include "async/scope.h"
#include "cluster/feed/feed.h"
#include "kube/api/cluster_policy.h"
#include "kube/client/follower.h"

namespace causeway::cluster {

class ClusterPolicyWatch {
 public:
  static constexpr Duration kLook = 30s;
  static constexpr Duration kAgain = 5s;  // what it answered is not known, or not sure
  // A kind that was watched and is no more: so many answers in a row must say so before its policies are dropped.
  static constexpr int kSure = 2;

  // Borrows both.
  ClusterPolicyWatch(kube::Client& api, Feed& feed);
  void start();

  // Why nobody knows what there is; "" while all is known, or nothing is there.
  const std::string& trouble() const { return trouble_; }
  // Of the watch; nullptr: the server does not serve the kind.
  const kube::Health* health() const { return follower_ ? &follower_->health() : nullptr; }

 private:
  Task<void> run();
  Task<Result<bool>> served();
  void follow();
  void forget();

  kube::Client& api_;
  Feed& feed_;
  std::string trouble_ = "not asked yet";
  int gone_ = 0;  // answers in a row that say that the watched kind is no more
  std::optional<kube::Follower<kube::ClusterNetworkPolicy>> follower_;
  Scope scope_;  // last
};

}  // namespace causeway::cluster
