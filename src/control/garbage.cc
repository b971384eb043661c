#include "control/garbage.h"

#include <algorithm>

#include "base/format.h"
#include "base/log.h"
#include "kube/client/reflector.h"

namespace causeway::control {

namespace {

constexpr size_t kParallel = 16;

// What may own or be owned. Namespaces are owned by nobody and emptied by the API server's own rules.
constexpr kube::KindInfo kKinds[] = {
    kube::Pod::kKind,           kube::ReplicaSet::kKind,
    kube::Deployment::kKind,    kube::DaemonSet::kKind,
    kube::StatefulSet::kKind,   kube::Node::kKind,
    kube::Service::kKind,       kube::EndpointSlice::kKind,
    kube::ConfigMap::kKind,     kube::Endpoints::kKind,
    kube::Secret::kKind,        kube::Lease::kKind,
    kube::NetworkPolicy::kKind, kube::ControllerRevision::kKind,
};

const kube::KindInfo* kind_of(const kube::OwnerReference& owner) {
  for (const auto& kind : kKinds)
    if (kind.kind == owner.kind && kube::api_version(kind) == owner.api_version) return &kind;
  return nullptr;
}

std::string json_list(const std::vector<std::string>& words) {
  std::string list;
  for (const auto& word : words) list += (list.empty() ? "" : ",") + kube::json_quote(word);
  return "[" + list + "]";
}

std::string json_list(const std::vector<kube::OwnerReference>& owners) {
  std::string list;
  for (const auto& owner : owners) list += (list.empty() ? "" : ",") + kube::encode(owner);
  return "[" + list + "]";
}

}  // namespace

// One kind's metadata, by list and watch.
class GarbageCollector::Feed final : private kube::ObjectSink {
 public:
  Feed(GarbageCollector& collector, kube::KindInfo kind)
      : collector_(collector), kind_(kind), reflector_(collector.api_, kind, {}, *this) {}
  void start() { reflector_.start(); }

 private:
  void begin_list() override { listed_.clear(); }
  Status put_json(std::string_view json) override {
    auto object = TRY(kube::decode<kube::PartialObject>(json));
    listed_.insert(object.metadata.uid);
    put(object);
    return ok();
  }
  void end_list() override {
    std::vector<std::string> gone;
    for (const auto& uid : known_)
      if (!listed_.contains(uid)) gone.push_back(uid);
    for (const auto& uid : gone) erase(uid);
    listed_.clear();
  }
  Result<kube::Seen> event_json(std::string_view json) override {
    auto event = TRY(kube::decode_watch_event<kube::PartialObject>(json));
    switch (event.type) {
      case kube::WatchType::Added:
      case kube::WatchType::Modified:
        listed_.insert(event.object.metadata.uid);  // of a streaming list
        put(event.object);
        break;
      case kube::WatchType::Deleted: erase(event.object.metadata.uid); break;
      case kube::WatchType::Bookmark:
      case kube::WatchType::Error: break;
    }
    return kube::Seen{event.type, event.object.metadata.resource_version, event.initial_events_end,
                      std::move(event.error)};
  }
  Result<kube::ListMeta> parse_envelope(std::string json) override {
    return kube::decode_list_items<kube::PartialObject>(std::move(json), [](kube::PartialObject&&) {});
  }
  void synced_first() override { collector_.source_synced(); }

  void put(const kube::PartialObject& object) {
    known_.insert(object.metadata.uid);
    collector_.put(owned_object(kind_, object.metadata));
  }
  void erase(const std::string& uid) {
    known_.erase(uid);
    listed_.erase(uid);
    collector_.erase(uid);
  }

  GarbageCollector& collector_;
  kube::KindInfo kind_;
  OwnerGraph::Uids known_, listed_;
  kube::Reflector reflector_;  // last: its task writes the above
};

GarbageCollector::GarbageCollector(Loop& loop, kube::Client& api)
    : api_(api), queue_(loop, "garbage", kParallel, [this](kube::Ref uid) { return reconcile(std::move(uid)); }) {}

GarbageCollector::~GarbageCollector() = default;

void GarbageCollector::start() {
  for (const auto& kind : kKinds)
    if (std::ranges::find(followed_, kind) == followed_.end()) feeds_.push_back(std::make_unique<Feed>(*this, kind));
  unsynced_ += feeds_.size() + followed_.size();
  started_ = true;
  for (auto& feed : feeds_) feed->start();
  if (unsynced_ == 0) look(graph_.all());
}

void GarbageCollector::source_synced() {
  if (--unsynced_ == 0 && started_) look(graph_.all());
}

void GarbageCollector::put(OwnedObject object) { look(graph_.put(std::move(object))); }
void GarbageCollector::erase(const std::string& uid) { look(graph_.erase(uid)); }

void GarbageCollector::look(const OwnerGraph::Uids& uids) {
  if (!started_ || unsynced_ != 0) return;
  for (const auto& uid : uids) queue_.add({.name = uid});
}

Task<Status> GarbageCollector::reconcile(kube::Ref uid) {
  OwnerGraph::Uids alive;
  for (;;) {
    const auto* found = graph_.find(uid.name);
    if (!found) co_return ok();
    OwnedObject object = *found;
    auto plan = plan_garbage(object, graph_, alive);
    if (plan.step == GarbageStep::Nothing) co_return ok();
    if (plan.step != GarbageStep::LookUp) co_return co_await take(std::move(object), std::move(plan));
    CO_TRY(co_await look_up(std::move(object), std::move(plan.owners), alive));
  }
}

// Each owner is afterwards in `alive` or known to be gone.
Task<Status> GarbageCollector::look_up(OwnedObject object, std::vector<kube::OwnerReference> owners,
                                       OwnerGraph::Uids& alive) {
  for (const auto& owner : owners) {
    const auto* kind = kind_of(owner);
    // Of a kind that we do not know, or that cannot own this object, nothing can be said: it lives on.
    if (!kind || (kind->namespaced && object.ns.empty())) {
      alive.insert(owner.uid);
      continue;
    }
    auto answer = co_await api_.request("GET", kube::object_path(*kind, object.ns, owner.name));
    if (!answer && answer.error().code() != Errc::NotFound)
      co_return fail(std::move(answer.error()).with("{}: look for its owner {} {}", object, owner.kind, owner.name));
    bool found = false;
    if (answer) found = CO_TRY(kube::decode<kube::PartialObject>(*answer)).metadata.uid == owner.uid;
    if (found)
      alive.insert(owner.uid);
    else
      look(graph_.mark_gone(owner.uid));
  }
  co_return ok();
}

Task<Status> GarbageCollector::take(OwnedObject object, GarbagePlan plan) {
  const std::string target = kube::object_path(object.kind, object.ns, object.name);
  switch (plan.step) {
    case GarbageStep::Nothing:
    case GarbageStep::LookUp: co_return ok();
    case GarbageStep::Delete: {
      // With both preconditions: what was decided on is what is deleted.
      auto body = kube::encode_delete_options(
          {.uid = object.uid, .resource_version = object.resource_version, .propagation = plan.propagation});
      auto gone = co_await api_.request("DELETE", target, std::move(body));
      if (!gone && gone.error().code() == Errc::NotFound) co_return ok();
      if (!gone) co_return fail(std::move(gone.error()).with("delete {}, whose owners are gone", object));
      log::debug("deleted {}, whose owners are gone", object);
      co_return ok();
    }
    case GarbageStep::DropOwners:
      co_return co_await patch(std::move(object), "ownerReferences", json_list(plan.owners));
    case GarbageStep::RemoveFinalizer: {
      auto finalizers = object.finalizers;
      std::erase(finalizers, plan.finalizer);
      co_return co_await patch(std::move(object), "finalizers", json_list(finalizers));
    }
    case GarbageStep::FreeDependents: {
      for (const auto& uid : plan.dependents) {
        const auto* found = graph_.find(uid);
        if (!found) continue;
        auto owners = found->owners;
        std::erase_if(owners, [&](const auto& owner) { return owner.uid == object.uid; });
        CO_TRY(co_await patch(*found, "ownerReferences", json_list(owners)));
      }
      co_return ok();  // their changes bring this object up again
    }
  }
  co_return ok();
}

// Replaces one list of the metadata, unless the object has changed meanwhile.
Task<Status> GarbageCollector::patch(OwnedObject object, std::string field, std::string value) {
  auto body = fmt::format(R"({{"metadata":{{"uid":"{}","resourceVersion":"{}","{}":{}}}}})", object.uid,
                          object.resource_version, field, value);
  auto done = co_await api_.request("PATCH", kube::object_path(object.kind, object.ns, object.name), std::move(body),
                                    "application/merge-patch+json");
  if (!done && done.error().code() == Errc::NotFound) co_return ok();
  if (!done) co_return fail(std::move(done.error()).with("write the {} of {}", field, object));
  co_return ok();
}

}  // namespace causeway::control
