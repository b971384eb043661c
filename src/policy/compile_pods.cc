#include "policy/compile_pods.h"

#include <algorithm>

namespace causeway::policy {

namespace {

size_t hash_of(std::string_view key, std::string_view value) {
  const std::hash<std::string_view> hash;
  return hash(key) * 0x9e3779b97f4a7c15ull ^ hash(value);
}

}  // namespace

void PodIndex::index(Large& in, const cluster::Pod& pod, bool add) {
  const std::string* name = &*in.names.insert(pod.key.name).first;
  for (const auto& [key, value] : pod.labels) {
    const size_t hash = hash_of(key, value);
    auto& those = in.by_label[hash];
    if (add)
      those.push_back(name);
    else
      those.erase(std::ranges::find(those, name));
    if (those.empty()) in.by_label.erase(hash);
  }
  if (!add) in.names.erase(pod.key.name);
}

void PodIndex::change(const cluster::PodKey& key, const cluster::Pod* before, const cluster::Pod* now) {
  auto of = large_.find(key.ns);
  if (of == large_.end() || (before && now && before->labels == now->labels)) return;
  if (before) index(of->second, *before, false);
  if (now) index(of->second, *now, true);
  if (of->second.names.empty()) large_.erase(of);
}

void PodIndex::start(const cluster::Model& model) {
  const auto& pods = model.pods();
  for (auto first = pods.begin(); first != pods.end();) {
    size_t count = 0;
    auto last = first;
    for (; last != pods.end() && last->first.ns == first->first.ns; ++last) ++count;
    if (count >= kLarge)
      for (Large& of = large_[first->first.ns]; first != last; ++first) index(of, first->second, true);
    first = last;
  }
}

void PodIndex::each(const std::string& ns, const kube::Selector& selector, const cluster::Model& model,
                    const std::function<void(const cluster::Pod&)>& act) {
  const auto& pods = model.pods();
  const auto at = std::ranges::find(selector.requirements(), kube::SelectorOp::In, &kube::Requirement::op);
  const auto of = large_.find(ns);
  if (of != large_.end() && at != selector.requirements().end()) {
    for (const std::string& value : at->values) {
      auto those = of->second.by_label.find(hash_of(at->key, value));
      if (those == of->second.by_label.end()) continue;
      for (const std::string* name : those->second)
        if (auto pod = pods.find({ns, *name}); pod != pods.end() && selector.matches(pod->second.labels))
          act(pod->second);
    }
    return;
  }
  size_t count = 0;
  const auto first = pods.lower_bound({ns, ""});
  auto last = first;
  for (; last != pods.end() && last->first.ns == ns; ++last, ++count)
    if (selector.matches(last->second.labels)) act(last->second);
  if (count < kLarge || of != large_.end()) return;
  Large& grown = large_[ns];
  for (auto pod = first; pod != last; ++pod) index(grown, pod->second, true);
}

}  // namespace causeway::policy
