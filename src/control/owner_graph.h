// Who owns whom, and what garbage collection does about one object. Pure; garbage.h drives it.
//
// The rules are those of Kubernetes' garbage collector: an object lives as long as one of its owners; an owner that is
// deleted in the foreground goes after its dependents that block it; one that is deleted as an orphan-maker lets them
// go.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kube/api/types.h"

namespace causeway::control {

inline constexpr std::string_view kForegroundFinalizer = "foregroundDeletion";
inline constexpr std::string_view kOrphanFinalizer = "orphan";

struct OwnedObject {
  kube::KindInfo kind;
  std::string ns, name, uid, resource_version;
  bool deleting = false;
  std::vector<std::string> finalizers;
  std::vector<kube::OwnerReference> owners;

  bool has_finalizer(std::string_view finalizer) const;
  bool operator==(const OwnedObject&) const = default;
};
OwnedObject owned_object(const kube::KindInfo& kind, const kube::ObjectMeta& metadata);
// "Pod shop/web-1"
std::string to_string(const OwnedObject& object);

class OwnerGraph {
 public:
  using Uids = std::set<std::string>;

  // Both return the objects that need a look now.
  Uids put(OwnedObject object);
  Uids erase(const std::string& uid);

  const OwnedObject* find(const std::string& uid) const;
  // The objects that name this one as an owner.
  std::vector<const OwnedObject*> dependents(const std::string& uid) const;
  // It is known to be gone (seen going, or looked up in vain). Remembered while somebody names it.
  bool is_gone(const std::string& uid) const { return gone_.contains(uid); }
  Uids mark_gone(const std::string& uid);
  Uids all() const;
  size_t size() const { return objects_.size(); }

 private:
  void link(const OwnedObject& object);
  void unlink(const OwnedObject& object);
  void add_dependents(const std::string& uid, Uids& to) const;

  std::map<std::string, OwnedObject> objects_;
  std::map<std::string, Uids> dependents_;  // owner uid -> dependents
  Uids gone_;
};

enum class GarbageStep {
  Nothing,
  LookUp,           // `owners` are unknown: ask the API server about each, then plan again
  Delete,           // with `propagation`
  DropOwners,       // write `owners` as its owner references
  FreeDependents,   // drop this object from the owners of each of `dependents`
  RemoveFinalizer,  // `finalizer` has done its work
};
std::string_view to_string(GarbageStep step);

struct GarbagePlan {
  GarbageStep step = GarbageStep::Nothing;
  std::string propagation;
  std::string finalizer;
  std::vector<kube::OwnerReference> owners;
  std::vector<std::string> dependents;  // uids
};

// `alive`: owners that are not in the graph, but were just found by the API server.
GarbagePlan plan_garbage(const OwnedObject& object, const OwnerGraph& graph, const OwnerGraph::Uids& alive = {});

}  // namespace causeway::control
