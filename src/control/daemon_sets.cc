#include "control/daemon_sets.h"

#include <algorithm>

#include "base/format.h"
#include "control/node_fit.h"
#include "control/pod_template.h"

namespace causeway::control {
namespace {

const kube::OwnerReference* owner_of(const kube::Pod& pod) {
  const auto* owner = kube::controller_of(pod.metadata);
  return owner && owner->kind == kube::DaemonSet::kKind.kind ? owner : nullptr;
}

// For no node in particular while `node` is empty.
Result<std::string> daemon_pod(const kube::DaemonSet& set, const std::string& hash, const std::string& node) {
  PodIdentity identity{.kind = std::string(kube::DaemonSet::kKind.kind),
                       .owner = set.metadata,
                       .labels = {{kRevisionLabel, hash}},
                       .tolerations = daemon_tolerations(false)};
  auto plain = TRY(kube::decode<kube::Pod>(TRY(pod_from(set.spec.pod_template.text, identity))));
  identity.tolerations = daemon_tolerations(plain.spec.host_network);
  identity.node = node;
  return pod_from(set.spec.pod_template.text, identity);
}

}  // namespace

DaemonSets::DaemonSets(Loop& loop, kube::Client& api, kube::Cache<kube::DaemonSet>& sets,
                       kube::Cache<kube::Node>& nodes, kube::Cache<kube::Pod>& pods, Revisions& revisions,
                       kube::EventRecorder& events)
    : loop_(loop),
      api_(api),
      sets_(sets),
      nodes_(nodes),
      pods_(pods),
      revisions_(revisions),
      events_(events),
      queue_(loop, "DaemonSet", 8, [this](kube::Ref ref) { return reconcile(std::move(ref)); }) {
  sets_.on_change([this](const kube::DaemonSet* old, const kube::DaemonSet* now) {
    if (!now) {
      expected_.erase(old->metadata.uid);
      std::erase_if(failures_, [&](const auto& entry) { return entry.first.first == old->metadata.uid; });
      return;
    }
    queue_.add(kube::ref_of(now->metadata));
  });
  nodes_.on_change([this](const kube::Node* old, const kube::Node* now) {
    // A heartbeat changes nothing that a DaemonSet asks.
    if (old && now && old->spec == now->spec && old->metadata.labels == now->metadata.labels &&
        taints_of(*old) == taints_of(*now))
      return;
    look_at_all();
  });
  pods_.on_change([this](const kube::Pod* old, const kube::Pod* now) { pod_changed(old, now); });
  revisions_.on_change([this](const std::string& kind, const kube::Ref& owner) {
    if (kind == kube::DaemonSet::kKind.kind) queue_.add(owner);
  });
  pods_.on_sync([this] { look_at_all(); });
}

void DaemonSets::look_at_all() {
  sets_.for_each([this](const kube::DaemonSet& set) { queue_.add(kube::ref_of(set.metadata)); });
}

void DaemonSets::pod_changed(const kube::Pod* old, const kube::Pod* now) {
  const auto& pod = now ? *now : *old;
  const auto* owner = owner_of(pod);
  if (!owner) return;
  const auto ref = kube::ref_of(pod.metadata);
  if (now) {
    owned_[owner->uid].insert(ref);
  } else if (auto found = owned_.find(owner->uid); found != owned_.end()) {
    found->second.erase(ref);
    if (found->second.empty()) owned_.erase(found);
  }
  if (auto expected = expected_.find(owner->uid); expected != expected_.end()) {
    expected->second.created.erase(ref.name);
    if (!now || now->metadata.deletion_timestamp) expected->second.deleted.erase(ref.name);
  }
  queue_.add({.ns = ref.ns, .name = owner->name});
}

Task<Status> DaemonSets::reconcile(kube::Ref ref) {
  if (!sets_.synced() || !pods_.synced() || !nodes_.synced() || !revisions_.synced()) {
    queue_.add_after(ref, 50ms);
    co_return ok();
  }
  const auto* found = sets_.find(ref);
  if (!found) co_return ok();
  const kube::DaemonSet set = *found;
  const auto history = CO_TRY(co_await revisions_.record({.kind = std::string(kube::DaemonSet::kKind.kind),
                                                          .metadata = set.metadata,
                                                          .pod_template = set.spec.pod_template.text,
                                                          .collisions = set.status.collision_count.value_or(0)}));
  const auto label = history.now.metadata.labels.find(kRevisionLabel);
  const std::string hash = label == history.now.metadata.labels.end() ? "" : label->second;
  const auto sample = CO_TRY(kube::decode<kube::Pod>(CO_TRY(daemon_pod(set, hash, ""))));

  std::vector<const kube::Node*> nodes;
  nodes_.for_each([&](const kube::Node& node) { nodes.push_back(&node); });
  std::vector<const kube::Pod*> owned;
  std::set<std::string> live{history.now.metadata.name};
  if (auto refs = owned_.find(set.metadata.uid); refs != owned_.end())
    for (const auto& pod : refs->second)
      if (const auto* object = pods_.find(pod)) {
        owned.push_back(object);
        if (auto at = object->metadata.labels.find(kRevisionLabel); at != object->metadata.labels.end())
          live.insert(set.metadata.name + "-" + at->second);
      }
  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(loop_.wall_now());
  const auto plan = plan_daemons(set, sample, nodes, owned, hash, now);
  if (plan.recheck) queue_.add_after(ref, *plan.recheck);

  auto& expected = expected_[set.metadata.uid];
  if (expected.holds(loop_.now())) {
    queue_.add_after(ref, Expected::kPatience);
  } else {
    expected = {.since = loop_.now()};
    std::vector<std::pair<kube::Pod, bool>> removals;
    for (const auto& removal : plan.remove) {
      if (removal.failed)
        if (const auto wait = back_off(set.metadata.uid, destined_node(*removal.pod))) {
          queue_.add_after(ref, *wait);
          continue;
        }
      removals.emplace_back(*removal.pod, removal.failed);
    }
    CO_TRY(co_await create(set, hash, plan.create));
    CO_TRY(co_await remove(set, std::move(removals)));
  }

  auto status = plan.status;
  if (history.collisions != set.status.collision_count.value_or(0)) status.collision_count = history.collisions;
  if (status != set.status) {
    auto changed = set;
    changed.status = std::move(status);
    auto written = co_await api_.update_status(std::move(changed));
    if (!written && written.error().code() != Errc::NotFound) co_return fail(std::move(written.error()));
  }
  co_return co_await revisions_.prune(history, live, set.spec.revision_history_limit.value_or(10));
}

std::optional<Duration> DaemonSets::back_off(const std::string& uid, const std::string& node) {
  auto& failures = failures_[{uid, node}];
  const Duration pause = std::min<Duration>(kFailedPause * (1 << std::min(failures.count, 9)), 5min);
  // Long enough ago: it begins anew.
  if (failures.count > 0 && loop_.now() - failures.last > 2 * std::max<Duration>(pause, 5min)) failures = {};
  if (failures.count > 0 && loop_.now() - failures.last < pause) return failures.last + pause - loop_.now();
  ++failures.count;
  failures.last = loop_.now();
  return std::nullopt;
}

Task<Status> DaemonSets::create(kube::DaemonSet set, std::string hash, std::vector<std::string> nodes) {
  auto made = co_await in_parallel(loop_, nodes.size(), kParallel, [&](size_t index) -> Task<Status> {
    return [](DaemonSets& self, const kube::DaemonSet& set, std::string hash, std::string node) -> Task<Status> {
      auto body = CO_TRY(daemon_pod(set, hash, node));
      auto answer = CO_TRY(co_await self.api_.request("POST", kube::collection_path(kube::Pod::kKind, set.metadata.ns),
                                                      std::move(body)));
      auto pod = CO_TRY(kube::decode<kube::Pod>(answer));
      if (!self.pods_.find(kube::ref_of(pod.metadata)))
        self.expected_[set.metadata.uid].created.insert(pod.metadata.name);
      self.events_.record(set, kube::EventType::Normal, "SuccessfulCreate", "Created pod: " + pod.metadata.name);
      co_return ok();
    }(*this, set, hash, nodes[index]);
  });
  if (!made && made.error().code() != Errc::Cancelled && made.error().code() != Errc::Unavailable)
    events_.record(set, kube::EventType::Warning, "FailedCreate", "Error creating: " + made.error().message());
  co_return made;
}

Task<Status> DaemonSets::remove(kube::DaemonSet set, std::vector<std::pair<kube::Pod, bool>> pods) {
  for (const auto& [pod, failed] : pods) expected_[set.metadata.uid].deleted.insert(pod.metadata.name);
  co_return co_await in_parallel(loop_, pods.size(), kParallel, [&](size_t index) -> Task<Status> {
    return [](DaemonSets& self, const kube::DaemonSet& set, const kube::Pod& pod, bool failed) -> Task<Status> {
      if (failed)
        self.events_.record(set, kube::EventType::Warning, "FailedDaemonPod",
                            fmt::format("Found failed daemon pod {} on node {}, will try to kill it",
                                        kube::full_name(pod.metadata), destined_node(pod)));
      auto gone = co_await self.api_.remove<kube::Pod>(kube::ref_of(pod.metadata), {.uid = pod.metadata.uid});
      if (gone) {
        self.events_.record(set, kube::EventType::Normal, "SuccessfulDelete", "Deleted pod: " + pod.metadata.name);
        co_return ok();
      }
      self.expected_[set.metadata.uid].deleted.erase(pod.metadata.name);
      if (gone.error().code() == Errc::NotFound || gone.error().code() == Errc::Conflict) co_return ok();
      co_return gone;
    }(*this, set, pods[index].first, pods[index].second);
  });
}

}  // namespace causeway::control
