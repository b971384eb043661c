// Which of many selectors match these labels, without asking each: a selector is found by one of its requirements that
// a label can only meet by being there. Those that only forbid labels are asked each time.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "cluster/model/objects.h"
#include "kube/api/selector.h"

namespace causeway::policy {

template <class Id>
class LabelIndex {
 public:
  void add(const kube::Selector& selector, Id id) {
    each_place(selector, [&](auto& ids) { ids.push_back(id); });
  }
  void remove(const kube::Selector& selector, Id id) {
    each_place(selector, [&](std::vector<Id>& ids) { std::erase(ids, id); });
    for (const kube::Requirement& requirement : selector.requirements())
      if (auto key = keys_.find(requirement.key); key != keys_.end()) {
        std::erase_if(key->second.values, [](const auto& value) { return value.second.empty(); });
        if (key->second.values.empty() && key->second.exists.empty()) keys_.erase(key);
      }
  }

  // Calls `found(id)` once for each selector that may match; the caller asks the selector itself.
  template <class Found>
  void candidates(const cluster::Labels& labels, Found found) const {
    for (const Id& id : rest_) found(id);
    if (keys_.empty()) return;
    for (const auto& [key, value] : labels) {
      auto at = keys_.find(key);
      if (at == keys_.end()) continue;
      for (const Id& id : at->second.exists) found(id);
      if (auto ids = at->second.values.find(value); ids != at->second.values.end())
        for (const Id& id : ids->second) found(id);
    }
  }

 private:
  struct Key {
    std::map<std::string, std::vector<Id>, std::less<>> values;
    std::vector<Id> exists;
  };

  // Where a selector stands: at each value of its first In, else at its first key that must be there, else apart.
  template <class Do>
  void each_place(const kube::Selector& selector, Do act) {
    if (selector == kube::Selector::nothing()) return;
    const kube::Requirement* best = nullptr;
    for (const kube::Requirement& requirement : selector.requirements()) {
      const bool needs_key =
          requirement.op != kube::SelectorOp::NotIn && requirement.op != kube::SelectorOp::DoesNotExist;
      if (requirement.op == kube::SelectorOp::In && (!best || best->op != kube::SelectorOp::In)) best = &requirement;
      if (needs_key && !best) best = &requirement;
    }
    if (!best) return act(rest_);
    Key& key = keys_[best->key];
    if (best->op != kube::SelectorOp::In) return act(key.exists);
    for (const std::string& value : best->values) act(key.values[value]);
  }

  std::map<std::string, Key, std::less<>> keys_;
  std::vector<Id> rest_;
};

}  // namespace causeway::policy
