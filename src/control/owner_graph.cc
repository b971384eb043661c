#include "control/owner_graph.h"

#include <algorithm>

namespace causeway::control {

namespace {

bool is_waiting(const OwnedObject& owner) { return owner.deleting && owner.has_finalizer(kForegroundFinalizer); }

bool blocks(const OwnedObject& dependent, const std::string& owner) {
  return std::ranges::any_of(dependent.owners, [&](const auto& reference) {
    return reference.uid == owner && reference.block_owner_deletion.value_or(false);
  });
}

std::string propagation_of(const OwnedObject& object) {
  if (object.has_finalizer(kOrphanFinalizer)) return "Orphan";
  if (object.has_finalizer(kForegroundFinalizer)) return "Foreground";
  return "Background";
}

// An object that is on its way out: only its own finalizers are left to serve.
GarbagePlan plan_deleting(const OwnedObject& object, const OwnerGraph& graph) {
  const auto dependents = graph.dependents(object.uid);
  GarbagePlan plan;
  if (object.has_finalizer(kOrphanFinalizer)) {
    plan.finalizer = kOrphanFinalizer;
    plan.step = dependents.empty() ? GarbageStep::RemoveFinalizer : GarbageStep::FreeDependents;
    for (const auto* dependent : dependents) plan.dependents.push_back(dependent->uid);
  } else if (object.has_finalizer(kForegroundFinalizer)) {
    const bool blocked = std::ranges::any_of(dependents, [&](const auto* one) { return blocks(*one, object.uid); });
    plan.finalizer = kForegroundFinalizer;
    if (!blocked) plan.step = GarbageStep::RemoveFinalizer;
  }
  return plan;
}

}  // namespace

bool OwnedObject::has_finalizer(std::string_view finalizer) const {
  return std::ranges::find(finalizers, finalizer) != finalizers.end();
}

OwnedObject owned_object(const kube::KindInfo& kind, const kube::ObjectMeta& metadata) {
  return {.kind = kind,
          .ns = metadata.ns,
          .name = metadata.name,
          .uid = metadata.uid,
          .resource_version = metadata.resource_version,
          .deleting = metadata.deletion_timestamp.has_value(),
          .finalizers = metadata.finalizers,
          .owners = metadata.owner_references};
}

std::string to_string(const OwnedObject& object) {
  return std::string(object.kind.kind) + " " + (object.ns.empty() ? "" : object.ns + "/") + object.name;
}

std::string_view to_string(GarbageStep step) {
  switch (step) {
    case GarbageStep::Nothing: return "nothing";
    case GarbageStep::LookUp: return "look up";
    case GarbageStep::Delete: return "delete";
    case GarbageStep::DropOwners: return "drop owners";
    case GarbageStep::FreeDependents: return "free dependents";
    case GarbageStep::RemoveFinalizer: return "remove finalizer";
  }
  return "";
}

void OwnerGraph::link(const OwnedObject& object) {
  for (const auto& owner : object.owners) dependents_[owner.uid].insert(object.uid);
}

void OwnerGraph::unlink(const OwnedObject& object) {
  for (const auto& owner : object.owners) {
    auto found = dependents_.find(owner.uid);
    if (found == dependents_.end()) continue;
    found->second.erase(object.uid);
    if (!found->second.empty()) continue;
    dependents_.erase(found);
    gone_.erase(owner.uid);
  }
}

void OwnerGraph::add_dependents(const std::string& uid, Uids& to) const {
  if (auto found = dependents_.find(uid); found != dependents_.end())
    to.insert(found->second.begin(), found->second.end());
}

OwnerGraph::Uids OwnerGraph::put(OwnedObject object) {
  Uids look;
  auto found = objects_.find(object.uid);
  const OwnedObject* old = found == objects_.end() ? nullptr : &found->second;
  const bool owners_changed = !old || old->owners != object.owners;
  const bool state_changed = !old || old->deleting != object.deleting || old->finalizers != object.finalizers;
  if (owners_changed || state_changed) {
    if (!object.owners.empty() || object.deleting) look.insert(object.uid);
    if (old && state_changed) add_dependents(object.uid, look);
    // An owner that waits for its dependents may wait no longer.
    if (old && owners_changed)
      for (const auto& owner : old->owners)
        if (objects_.contains(owner.uid)) look.insert(owner.uid);
  }
  if (old) unlink(*old);
  link(object);
  gone_.erase(object.uid);
  objects_.insert_or_assign(object.uid, std::move(object));
  return look;
}

OwnerGraph::Uids OwnerGraph::erase(const std::string& uid) {
  auto node = objects_.extract(uid);
  if (node.empty()) return {};
  Uids look;
  for (const auto& owner : node.mapped().owners)
    if (auto found = objects_.find(owner.uid); found != objects_.end() && found->second.deleting)
      look.insert(owner.uid);
  unlink(node.mapped());
  look.merge(mark_gone(uid));
  return look;
}

OwnerGraph::Uids OwnerGraph::mark_gone(const std::string& uid) {
  Uids look;
  add_dependents(uid, look);
  if (!look.empty()) gone_.insert(uid);
  return look;
}

const OwnedObject* OwnerGraph::find(const std::string& uid) const {
  auto found = objects_.find(uid);
  return found == objects_.end() ? nullptr : &found->second;
}

std::vector<const OwnedObject*> OwnerGraph::dependents(const std::string& uid) const {
  std::vector<const OwnedObject*> objects;
  if (auto found = dependents_.find(uid); found != dependents_.end())
    for (const auto& dependent : found->second) objects.push_back(&objects_.at(dependent));
  return objects;
}

OwnerGraph::Uids OwnerGraph::all() const {
  Uids uids;
  for (const auto& [uid, object] : objects_) uids.insert(uid);
  return uids;
}

GarbagePlan plan_garbage(const OwnedObject& object, const OwnerGraph& graph, const OwnerGraph::Uids& alive) {
  if (object.deleting) return plan_deleting(object, graph);
  std::vector<kube::OwnerReference> solid, leaving, unknown;
  bool any_waits = false;
  for (const auto& reference : object.owners) {
    const auto* owner = graph.find(reference.uid);
    if (owner && !owner->ns.empty() && owner->ns != object.ns) {
      leaving.push_back(reference);  // no owner may live in another namespace: it counts as absent
    } else if (owner && is_waiting(*owner)) {
      leaving.push_back(reference);
      any_waits = true;
    } else if (owner || alive.contains(reference.uid)) {
      solid.push_back(reference);
    } else if (graph.is_gone(reference.uid)) {
      leaving.push_back(reference);
    } else {
      unknown.push_back(reference);
    }
  }
  if (!unknown.empty()) return {.step = GarbageStep::LookUp, .owners = std::move(unknown)};
  if (leaving.empty()) return {};
  if (!solid.empty()) return {.step = GarbageStep::DropOwners, .owners = std::move(solid)};
  // An owner that waits wants its dependents' dependents gone first, too.
  const bool foreground = any_waits && !graph.dependents(object.uid).empty();
  return {.step = GarbageStep::Delete, .propagation = foreground ? "Foreground" : propagation_of(object)};
}

}  // namespace causeway::control
