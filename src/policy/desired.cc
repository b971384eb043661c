#include "policy/desired.h"

#include <algorithm>

namespace causeway::policy {

using cluster::Attachment;
using cluster::AttachmentKey;
using cluster::Source;

bool complete(const cluster::Model& model) {
  return std::ranges::all_of(std::array{Source::Policies, Source::ClusterPolicies, Source::Namespaces, Source::Nodes,
                                        Source::Pods, Source::Attachments},
                             [&](Source source) { return model.synced(source); });
}

void Desired::update(const cluster::ChangeSet& changes, const cluster::Model& model) {
  if (!complete_ && !policy::complete(model)) {
    if (restored_)
      for (const auto& [key, before] : changes.attachments) {
        if (model.attachment(key))
          waiting_.insert(key);
        else
          waiting_.erase(key);
      }
    restored_ = model.synced(Source::Attachments);
    return;
  }
  waiting_.clear();
  const bool first = !std::exchange(complete_, true);
  rules.update(changes, model);

  std::set<AttachmentKey> touched;
  if (first)
    for (const auto& [key, attachment] : model.attachments()) touched.insert(key);
  for (const auto& [key, before] : changes.attachments) touched.insert(key);
  for (const PodKey& pod : rules.subjects.dirty())
    for (auto at = by_pod_.lower_bound({pod, {}}); at != by_pod_.end() && at->first == pod; ++at)
      touched.insert(at->second);

  std::set<Ip> addresses;
  for (const AttachmentKey& key : touched) {
    if (auto known = attached_.find(key); known != attached_.end()) {
      addresses.insert(known->second.second.begin(), known->second.second.end());
      by_pod_.erase({known->second.first, key});
      attached_.erase(known);
    }
    unknown_.erase(key);
    const Attachment* now = model.attachment(key);
    if (!now) continue;
    addresses.insert(now->addresses.begin(), now->addresses.end());
    attached_[key] = {now->pod, now->addresses};
    by_pod_.insert({now->pod, key});
  }
  for (const Ip& ip : addresses) place(ip, model);
}

void Desired::place(const Ip& ip, const cluster::Model& model) {
  // Of two that claim it the older has it, as the fabric decides.
  const Attachment* owner = nullptr;
  for (const AttachmentKey& key : model.attachments_at(ip)) {
    const Attachment* one = model.attachment(key);
    if (one && (!owner || one->generation < owner->generation)) owner = one;
  }
  if (!owner) return locals.erase(ip);
  LocalPod row{.pod = owner->pod,
               .attachment = owner->key,
               .ifindex = owner->host_ifindex,
               .device = owner->host_ifname,
               .subject = {}};
  if (const Subject* subject = rules.subjects.find(owner->pod)) {
    row.subject = *subject;
  } else if (!owner->pod.name.empty()) {
    // No policy can select what the API has not; but nobody knows whether it had labels that one selects.
    const LocalPod* before = locals.find(ip);
    if (!before || *before != row) {
      unknown_[owner->key] = fmt::format(
          "the API server has no Pod {} on this node: nobody can say which policies "
          "select it, so nothing passes",
          owner->pod);
      return locals.erase(ip);
    }
  }
  locals.put(ip, std::move(row));
}

void Desired::clean() {
  rules.clean();
  locals.clean();
}

}  // namespace causeway::policy
