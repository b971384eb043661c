// The garbage collector's loop: watches every kind that owns or is owned, and takes the steps that plan_garbage()
// names.
#pragma once

#include <memory>
#include <vector>

#include "control/key_queue.h"
#include "control/owner_graph.h"
#include "kube/client/cache.h"

namespace causeway::control {

class GarbageCollector {
 public:
  // Borrows both.
  GarbageCollector(Loop& loop, kube::Client& api);
  ~GarbageCollector();

  // Learns a kind from a cache that somebody else needs anyway. Before start().
  template <class T>
  void follow(kube::Cache<T>& cache) {
    followed_.push_back(T::kKind);
    cache.on_change([this](const T* old, const T* now) {
      if (now)
        put(owned_object(T::kKind, now->metadata));
      else
        erase(old->metadata.uid);
    });
    cache.on_sync([this] { source_synced(); });
  }
  // Watches the metadata of the other kinds. Nothing is collected before all kinds are known.
  void start();

  const OwnerGraph& graph() const { return graph_; }

 private:
  class Feed;

  void put(OwnedObject object);
  void erase(const std::string& uid);
  void look(const OwnerGraph::Uids& uids);
  void source_synced();
  Task<Status> reconcile(kube::Ref uid);
  Task<Status> look_up(OwnedObject object, std::vector<kube::OwnerReference> owners, OwnerGraph::Uids& alive);
  Task<Status> take(OwnedObject object, GarbagePlan plan);
  Task<Status> patch(OwnedObject object, std::string field, std::string value);

  kube::Client& api_;
  OwnerGraph graph_;
  std::vector<kube::KindInfo> followed_;
  size_t unsynced_ = 0;
  bool started_ = false;
  KeyQueue queue_;
  std::vector<std::unique_ptr<Feed>> feeds_;  // last: they feed the above
};

}  // namespace causeway::control
