// Pods of large namespaces by their labels: whom a selector may select that comes or goes, without asking each. Pure.
#pragma once

#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "base/compact_vector.h"
#include "cluster/model/model.h"

namespace causeway::policy {

class PodIndex {
 public:
  // Calls `act` for every Pod of the namespace that the selector matches, in no order.
  void each(const std::string& ns, const kube::Selector& selector, const cluster::Model& model,
            const std::function<void(const cluster::Pod&)>& act);
  // Before anything else is asked about a change. nullptr: the Pod was not, or is not.
  void change(const cluster::PodKey& key, const cluster::Pod* before, const cluster::Pod* now);
  // All namespaces that are large.
  void start(const cluster::Model& model);

 private:
  static constexpr size_t kLarge = 500;  // Pods; with fewer each is asked
  struct Large {
    std::unordered_set<std::string> names;
    std::unordered_map<size_t, CompactVector<const std::string*>> by_label;  // by the hash of key and value
  };
  void index(Large& in, const cluster::Pod& pod, bool add);

  std::unordered_map<std::string, Large> large_;
};

}  // namespace causeway::policy
