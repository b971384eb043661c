#include "control/slice_writer.h"

#include "base/log.h"
#include "control/slice_plan.h"

namespace causeway::control {
namespace {

kube::Ref owner_of(const kube::EndpointSlice& slice) {
  const auto found = slice.metadata.labels.find(kServiceNameLabel);
  return {.ns = slice.metadata.ns, .name = found == slice.metadata.labels.end() ? "" : found->second};
}

}  // namespace

SliceWriter::SliceWriter(kube::Client& api, kube::Cache<kube::EndpointSlice>& slices, std::string managed_by)
    : api_(api), slices_(slices), managed_by_(std::move(managed_by)) {}

bool SliceWriter::is_ours(const kube::EndpointSlice& slice) const {
  const auto found = slice.metadata.labels.find(kManagedByLabel);
  return found != slice.metadata.labels.end() && found->second == managed_by_ && !owner_of(slice).name.empty();
}

std::optional<SliceWriter::Concerned> SliceWriter::changed(const kube::EndpointSlice* old,
                                                           const kube::EndpointSlice* now) {
  // Whoever takes our labels off a slice changes an owner too.
  const auto* ours = now && is_ours(*now) ? now : old && is_ours(*old) ? old : nullptr;
  if (!ours) return std::nullopt;
  const auto ref = owner_of(*ours);
  const auto& name = ours->metadata.name;
  auto& owner = owners_[ref];
  if (now && is_ours(*now))
    owner.slices.insert(name);
  else
    owner.slices.erase(name);
  bool mine = false;
  if (const auto expected = owner.written.find(name); expected != owner.written.end()) {
    mine = now ? now->metadata.resource_version == expected->second : expected->second.empty();
    if (mine) owner.written.erase(expected);
  }
  std::optional<Concerned> concerned;
  if (owner.written.empty() && std::exchange(owner.waits, false))
    concerned = Concerned{ref, true};
  else if (!mine)
    concerned = Concerned{ref, false};
  if (owner.idle()) owners_.erase(ref);
  return concerned;
}

std::optional<std::vector<kube::EndpointSlice>> SliceWriter::slices_of(const kube::Ref& ref) {
  std::vector<kube::EndpointSlice> found;
  const auto at = owners_.find(ref);
  if (at == owners_.end()) return found;
  auto& owner = at->second;
  if (!owner.written.empty() && api_.loop().now() - owner.since < kPatience) {
    owner.waits = true;
    return std::nullopt;
  }
  owner.written.clear();
  for (const auto& name : owner.slices)
    if (const auto* slice = slices_.find({.ns = ref.ns, .name = name})) found.push_back(*slice);
  return found;
}

void SliceWriter::expect(const kube::Ref& ref, const std::string& name, std::string revision) {
  const auto* there = slices_.find({.ns = ref.ns, .name = name});
  if (revision.empty() ? !there : there && there->metadata.resource_version == revision) return;  // it came first
  auto& owner = owners_[ref];
  owner.written[name] = std::move(revision);
  owner.since = api_.loop().now();
}

Task<Status> SliceWriter::write(kube::Ref ref, SliceSet slices) {
  for (auto& slice : slices.create) {
    auto made = co_await api_.create(std::move(slice));
    if (!made) co_return fail(std::move(made.error()));
    ++counts_.created;
    expect(ref, made->metadata.name, made->metadata.resource_version);
  }
  for (auto& slice : slices.update) {
    const auto before = slice.metadata.resource_version;
    auto written = co_await api_.update(std::move(slice));
    if (!written) co_return fail(std::move(written.error()));
    ++counts_.updated;
    if (written->metadata.resource_version != before)
      expect(ref, written->metadata.name, written->metadata.resource_version);
  }
  for (const auto& slice : slices.remove) {
    // Expected before it is asked for: the event may come before the answer.
    expect(ref, slice.metadata.name, "");
    auto gone = co_await api_.remove<kube::EndpointSlice>(kube::ref_of(slice.metadata), {.uid = slice.metadata.uid});
    if (gone) {
      ++counts_.removed;
      continue;
    }
    if (const auto owner = owners_.find(ref); owner != owners_.end()) owner->second.written.erase(slice.metadata.name);
    if (gone.error().code() != Errc::NotFound && gone.error().code() != Errc::Conflict) co_return gone;
  }
  co_return ok();
}

}  // namespace causeway::control
