#include "kube/api/kind.h"

namespace causeway::kube {

std::string api_version(const KindInfo& kind) {
  return kind.group.empty() ? std::string(kind.version) : std::string(kind.group) + "/" + std::string(kind.version);
}

std::string group_resource(const KindInfo& kind) {
  return kind.group.empty() ? std::string(kind.plural) : std::string(kind.plural) + "." + std::string(kind.group);
}

std::string collection_path(const KindInfo& kind, std::string_view ns) {
  std::string path = (kind.group.empty() ? "/api/" : "/apis/") + api_version(kind);
  if (kind.namespaced && !ns.empty()) path.append("/namespaces/").append(ns);
  return path.append("/").append(kind.plural);
}

std::string object_path(const KindInfo& kind, std::string_view ns, std::string_view name,
                        std::string_view subresource) {
  std::string path = collection_path(kind, ns).append("/").append(name);
  if (!subresource.empty()) path.append("/").append(subresource);
  return path;
}

}  // namespace causeway::kube
