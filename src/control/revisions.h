// The Pod templates that a StatefulSet or DaemonSet has had, kept as ControllerRevisions: `kubectl rollout history` and
// `undo` read them, and Pods are labelled with the one that they were made of.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "async/loop.h"
#include "kube/client/cache.h"

namespace causeway::control {

inline constexpr const char* kRevisionLabel = "controller-revision-hash";  // of Pods

// The workload that revisions belong to.
struct RevisionOwner {
  std::string kind;  // in apps/v1
  kube::ObjectMeta metadata;
  std::string pod_template;
  int32_t collisions = 0;
};

struct RevisionHistory {
  kube::ControllerRevision now;                // of the present template
  std::vector<kube::ControllerRevision> past;  // the others, oldest first
  int32_t collisions = 0;                      // more than the owner's: its hash was taken by something else
  // The template of a revision by its name, or null: gone.
  const kube::ControllerRevision* find(const std::string& name) const;
};

class Revisions {
 public:
  // Borrows both. The cache starts later.
  Revisions(kube::Client& api, kube::Cache<kube::ControllerRevision>& cache);
  // Told of the owner whose revisions changed.
  void on_change(std::function<void(const std::string& kind, const kube::Ref& owner)> look) {
    looks_.push_back(std::move(look));
  }
  bool synced() const { return cache_.synced(); }

  // Records the present template if it is new, as the newest revision also if it was an earlier one.
  Task<Result<RevisionHistory>> record(RevisionOwner owner);
  // Deletes the oldest of the past that nobody of `live` (names) needs, beyond `limit`.
  Task<Status> prune(RevisionHistory history, std::set<std::string> live, int32_t limit);

 private:
  std::vector<kube::ControllerRevision> revisions_of(const std::string& uid) const;
  Task<Result<kube::ControllerRevision>> create(const RevisionOwner& owner, int64_t number, int32_t& collisions);

  kube::Client& api_;
  kube::Cache<kube::ControllerRevision>& cache_;
  std::map<std::string, std::set<kube::Ref>> owned_;  // owner's uid -> its revisions
  std::vector<std::function<void(const std::string&, const kube::Ref&)>> looks_;
};

}  // namespace causeway::control
