// Which Pods a Service selects, and which Services select a Pod: one index over both caches, for all controllers that
// list endpoints.
#pragma once

#include <map>
#include <set>

#include "kube/api/selector.h"
#include "kube/client/cache.h"

namespace causeway::control {

class Selection {
 public:
  using Look = std::move_only_function<void(const kube::Ref& service)>;

  // Registers with the caches. `synced` of both is up to the users.
  Selection(kube::Cache<kube::Service>& services, kube::Cache<kube::Pod>& pods);
  // Told of every Service that may need another look: it or one of its Pods has changed, or it is gone.
  void on_look(Look look) { looks_.push_back(std::move(look)); }

  // In the order of their names.
  std::vector<const kube::Pod*> pods_of(const kube::Service& service) const;

 private:
  void service_changed(const kube::Service* old, const kube::Service* now);
  void pod_changed(const kube::Pod* old, const kube::Pod* now);
  void look(const kube::Ref& service) {
    for (auto& one : looks_) one(service);
  }

  kube::Cache<kube::Pod>& pods_;
  std::map<std::string, std::map<std::string, kube::Selector>> services_;  // namespace, name; only with a selector
  std::map<std::string, std::set<std::string>> names_;                     // namespace, Pods
  std::vector<Look> looks_;
};

}  // namespace causeway::control
