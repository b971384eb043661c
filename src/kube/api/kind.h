// What the API calls a kind: its group, version and plural, and the paths that follow from them.
#pragma once

#include <string>
#include <string_view>

namespace causeway::kube {

// A literal of every typed object (`T::kKind`). `group` is empty for the core group.
struct KindInfo {
  std::string_view group;
  std::string_view version;
  std::string_view kind;
  std::string_view plural;
  bool namespaced = true;

  friend bool operator==(const KindInfo&, const KindInfo&) = default;
};

// "v1", "apps/v1".
std::string api_version(const KindInfo& kind);
// "pods", "deployments.apps": how messages of the API name a kind.
std::string group_resource(const KindInfo& kind);
// "/api/v1/namespaces/shop/pods"; without a namespace (or for a cluster kind) "/apis/apps/v1/deployments".
std::string collection_path(const KindInfo& kind, std::string_view ns = {});
// The path of one object: collection_path + "/" + name [+ "/" + subresource].
std::string object_path(const KindInfo& kind, std::string_view ns, std::string_view name,
                        std::string_view subresource = {});

}  // namespace causeway::kube
