#include "control/selection.h"

#include "control/endpoint_of.h"

namespace causeway::control {

Selection::Selection(kube::Cache<kube::Service>& services, kube::Cache<kube::Pod>& pods) : pods_(pods) {
  services.on_change([this](const kube::Service* old, const kube::Service* now) { service_changed(old, now); });
  pods_.on_change([this](const kube::Pod* old, const kube::Pod* now) { pod_changed(old, now); });
}

void Selection::service_changed(const kube::Service* old, const kube::Service* now) {
  const auto ref = kube::ref_of((now ? now : old)->metadata);
  if (now && has_selected_endpoints(*now)) {
    services_[ref.ns].insert_or_assign(ref.name, kube::Selector::from(*now->spec.selector));
  } else if (const auto found = services_.find(ref.ns); found != services_.end()) {
    found->second.erase(ref.name);
    if (found->second.empty()) services_.erase(found);
  }
  look(ref);
}

void Selection::pod_changed(const kube::Pod* old, const kube::Pod* now) {
  const auto& pod = now ? *now : *old;
  const auto& ns = pod.metadata.ns;
  if (now) {
    names_[ns].insert(pod.metadata.name);
  } else {
    names_[ns].erase(pod.metadata.name);
    if (names_[ns].empty()) names_.erase(ns);
  }
  const bool relabelled = old && now && old->metadata.labels != now->metadata.labels;
  if (old && now && !relabelled && !endpoint_changed(*old, *now)) return;
  const auto services = services_.find(ns);
  if (services == services_.end()) return;
  for (const auto& [name, selector] : services->second) {
    const bool before = relabelled && selector.matches(old->metadata.labels);
    if (before || selector.matches(pod.metadata.labels)) look({.ns = ns, .name = name});
  }
}

std::vector<const kube::Pod*> Selection::pods_of(const kube::Service& service) const {
  std::vector<const kube::Pod*> found;
  const auto& ns = service.metadata.ns;
  const auto names = names_.find(ns);
  if (names == names_.end() || !has_selected_endpoints(service)) return found;
  const auto selector = kube::Selector::from(*service.spec.selector);
  for (const auto& name : names->second)
    if (const auto* pod = pods_.find({.ns = ns, .name = name}); pod && selector.matches(pod->metadata.labels))
      found.push_back(pod);
  return found;
}

}  // namespace causeway::control
