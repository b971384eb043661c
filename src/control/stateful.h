// What a StatefulSet needs next: which Pods to make, of which revision, which to delete, and its status. Pure; the
// rules are those of kubernetes pkg/controller/statefulset/stateful_set_control.go.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "async/loop.h"
#include "kube/api/types.h"

namespace causeway::control {

inline constexpr const char* kPodNameLabel = "statefulset.kubernetes.io/pod-name";
inline constexpr const char* kPodIndexLabel = "apps.kubernetes.io/pod-index";

struct StatefulPlan {
  struct New {
    int32_t ordinal = 0;
    std::string revision;  // name of the ControllerRevision that it is made of
    bool operator==(const New&) const = default;
  };
  struct Removal {
    const kube::Pod* pod = nullptr;
    bool failed = false;  // it has ended, and comes again
  };
  std::vector<New> create;      // in this order
  std::vector<Removal> remove;  // in this order
  kube::StatefulSetStatus status;
  std::optional<Duration> recheck;  // a Ready Pod becomes available then (minReadySeconds)
};

// `owned`: the Pods whose controller it is. `current` and `update`: names of the revisions that Pods are, and shall be
// made of.
StatefulPlan plan_stateful(const kube::StatefulSet& set, const std::vector<const kube::Pod*>& owned,
                           const std::string& current, const std::string& update, kube::Time now);

std::string stateful_name(const kube::StatefulSet& set, int32_t ordinal);  // "web-0"
// The ordinal of a Pod named by stateful_name(); none: another name.
std::optional<int32_t> ordinal_of(const kube::StatefulSet& set, const std::string& pod);
int32_t first_ordinal(const kube::StatefulSet& set);

}  // namespace causeway::control
