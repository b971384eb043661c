// The kinds that the server serves: one entry of kinds.cc each. Paths, discovery, OpenAPI, tables, selectors and the
// rules of writing all follow from it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "apiserver/table.h"
#include "kube/api/kind.h"

namespace causeway::apiserver {

struct Kind {
  kube::KindInfo info;
  std::string_view singular;
  std::vector<std::string_view> short_names;
  std::vector<std::string_view> categories;
  bool has_status = false;  // the subresource; a write of the object leaves the status alone
  bool has_scale = false;
  bool has_generation = false;          // metadata.generation counts the changes of spec
  bool needs_resource_version = false;  // an update without one is refused
  // Beside metadata.name and metadata.namespace, what a field selector may name.
  std::vector<std::string_view> fields;
  TableView table;
  // Set for a second view of another kind's objects: read-only, converted from what that kind stores.
  const kube::KindInfo* stored_as = nullptr;
  void (*to_view)(json::object&) = nullptr;
};

std::span<const Kind> all_kinds();
// By "apps", "v1", "deployments"; null: not served.
const Kind* find_kind(std::string_view group, std::string_view version, std::string_view plural);
// By "deployments.apps", "pods".
const Kind* find_kind(std::string_view group_resource);
const Kind& kind_of(const kube::KindInfo& info);

// The resource under which the objects of this kind are stored.
std::string storage_of(const Kind& kind);

// "v1" and "apps/v1", in the order of discovery, without repetition.
struct GroupVersion {
  std::string_view group;
  std::string_view version;
  bool operator==(const GroupVersion&) const = default;
};
std::vector<GroupVersion> group_versions();

}  // namespace causeway::apiserver
