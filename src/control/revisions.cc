#include "control/revisions.h"

#include <algorithm>

#include "base/format.h"
#include "control/pod_template.h"

namespace causeway::control {

namespace {

Result<bool> is_of(const kube::ControllerRevision& revision, const std::string& pod_template) {
  return same_template(TRY(template_of(revision.data.text)), pod_template);
}

// An object's name has at most 253 characters, also where its owner's has as many: cut as upstream cuts it
// (ControllerRevisionName). Two owners that then share a name are told apart by their uid and a collision's hash.
std::string revision_name(const std::string& owner, const std::string& hash) {
  constexpr size_t kMostOfOwner = 223;
  std::string prefix = owner.substr(0, kMostOfOwner);
  while (prefix.ends_with('.') || prefix.ends_with('-')) prefix.pop_back();  // where it was cut
  return prefix + "-" + hash;
}

}  // namespace

const kube::ControllerRevision* RevisionHistory::find(const std::string& name) const {
  if (now.metadata.name == name) return &now;
  const auto found = std::ranges::find(past, name, [](const auto& revision) { return revision.metadata.name; });
  return found == past.end() ? nullptr : &*found;
}

Revisions::Revisions(kube::Client& api, kube::Cache<kube::ControllerRevision>& cache) : api_(api), cache_(cache) {
  cache_.on_change([this](const kube::ControllerRevision* old, const kube::ControllerRevision* now) {
    const auto& revision = now ? *now : *old;
    const auto* owner = kube::controller_of(revision.metadata);
    if (!owner) return;
    const auto ref = kube::ref_of(revision.metadata);
    if (now) {
      owned_[owner->uid].insert(ref);
    } else if (auto found = owned_.find(owner->uid); found != owned_.end()) {
      found->second.erase(ref);
      if (found->second.empty()) owned_.erase(found);
    }
    for (auto& look : looks_) look(owner->kind, {.ns = ref.ns, .name = owner->name});
  });
}

std::vector<kube::ControllerRevision> Revisions::revisions_of(const std::string& uid) const {
  std::vector<kube::ControllerRevision> out;
  if (auto refs = owned_.find(uid); refs != owned_.end())
    for (const auto& ref : refs->second)
      if (const auto* revision = cache_.find(ref); revision && !revision->metadata.deletion_timestamp)
        out.push_back(*revision);
  std::ranges::sort(out, {},
                    [](const auto& revision) { return std::tuple(revision.revision, revision.metadata.name); });
  return out;
}

Task<Result<RevisionHistory>> Revisions::record(RevisionOwner owner) {
  RevisionHistory history{.past = revisions_of(owner.metadata.uid), .collisions = owner.collisions};
  const int64_t newest = history.past.empty() ? 0 : history.past.back().revision;
  // From the newest on: of two that are alike the later one is meant.
  for (auto at = history.past.rbegin(); at != history.past.rend(); ++at) {
    if (!CO_TRY(is_of(*at, owner.pod_template))) continue;
    history.now = *at;
    history.past.erase(std::next(at).base());
    if (history.now.revision != newest)  // rolled back to it
      history.now = CO_TRY(co_await api_.patch<kube::ControllerRevision>(
          kube::ref_of(history.now.metadata), kube::PatchType::Merge, fmt::format(R"({{"revision":{}}})", newest + 1)));
    co_return history;
  }
  history.now = CO_TRY(co_await create(owner, newest + 1, history.collisions));
  co_return history;
}

Task<Result<kube::ControllerRevision>> Revisions::create(const RevisionOwner& owner, int64_t number,
                                                         int32_t& collisions) {
  for (;;) {
    const auto hash = CO_TRY(template_hash(owner.pod_template, collisions));
    kube::ControllerRevision revision;
    revision.metadata.name = revision_name(owner.metadata.name, hash);
    revision.metadata.ns = owner.metadata.ns;
    revision.metadata.labels = CO_TRY(template_labels(owner.pod_template));
    revision.metadata.labels[kRevisionLabel] = hash;
    revision.metadata.annotations = owner.metadata.annotations;  // its change-cause among them
    revision.metadata.annotations.erase("kubectl.kubernetes.io/last-applied-configuration");
    revision.metadata.owner_references = {{.api_version = "apps/v1",
                                           .kind = owner.kind,
                                           .name = owner.metadata.name,
                                           .uid = owner.metadata.uid,
                                           .controller = true,
                                           .block_owner_deletion = true}};
    revision.data.text = CO_TRY(revision_data(owner.pod_template));
    revision.revision = number;
    const kube::Ref ref = kube::ref_of(revision.metadata);
    auto made = co_await api_.create(revision);
    if (made || made.error().code() != Errc::AlreadyExists) co_return made;
    auto there = CO_TRY(co_await api_.get<kube::ControllerRevision>(ref));
    const bool same = CO_TRY(is_of(there, owner.pod_template));
    const auto* controller = kube::controller_of(there.metadata);
    if (same && controller && controller->uid == owner.metadata.uid) co_return there;  // the cache is late
    // Left behind by an owner of this name that was deleted without its dependents: taken over.
    if (same && !controller)
      co_return co_await api_.patch<kube::ControllerRevision>(
          ref, kube::PatchType::Merge,
          fmt::format(R"({{"metadata":{{"resourceVersion":"{}","ownerReferences":[{}]}},"revision":{}}})",
                      there.metadata.resource_version, kube::encode(revision.metadata.owner_references[0]), number));
    ++collisions;
  }
}

Task<Status> Revisions::prune(RevisionHistory history, std::set<std::string> live, int32_t limit) {
  std::erase_if(history.past, [&](const auto& revision) { return live.contains(revision.metadata.name); });
  const size_t keep = size_t(std::max(0, limit));
  for (size_t i = 0; i + keep < history.past.size(); ++i) {
    const auto& meta = history.past[i].metadata;
    auto gone = co_await api_.remove<kube::ControllerRevision>(kube::ref_of(meta), {.uid = meta.uid});
    if (!gone && gone.error().code() != Errc::NotFound) co_return gone;
  }
  co_return ok();
}

}  // namespace causeway::control
