#include "apiserver/discovery.h"

#include <algorithm>
#include <boost/json.hpp>

#include "apiserver/json_tree.h"
#include "apiserver/kinds.h"
#include "apiserver/scale.h"

namespace causeway::apiserver {

namespace {

struct Subresource {
  std::string_view name;
  kube::KindInfo kind;
  std::vector<std::string_view> verbs;
};

std::vector<Subresource> subresources(const Kind& kind) {
  std::vector<Subresource> list;
  if (kind.info.kind == "Pod") {
    list.push_back({"binding", {"", "v1", "Binding", "", true}, {"create"}});
    list.push_back({"eviction", {"policy", "v1", "Eviction", "", true}, {"create"}});
    list.push_back({"log", kind.info, {"get"}});
  }
  if (kind.info.kind == "Namespace") list.push_back({"finalize", kind.info, {"update"}});
  if (kind.has_scale) list.push_back({"scale", kScaleKind, {"get", "patch", "update"}});
  if (kind.has_status) list.push_back({"status", kind.info, {"get", "patch", "update"}});
  return list;
}

std::vector<std::string_view> verbs(const Kind& kind) {
  if (kind.stored_as) return {"get", "list", "watch"};
  return {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
}

json::array texts(const std::vector<std::string_view>& values) {
  json::array array;
  for (std::string_view value : values) array.push_back(json::value_from(value));
  return array;
}

json::object response_kind(const kube::KindInfo& info) {
  return {{"group", info.group}, {"version", info.version}, {"kind", info.kind}};
}

json::object aggregated_resource(const Kind& kind) {
  json::object resource{{"resource", kind.info.plural},
                        {"responseKind", response_kind(kind.info)},
                        {"scope", kind.info.namespaced ? "Namespaced" : "Cluster"},
                        {"singularResource", kind.singular},
                        {"verbs", texts(verbs(kind))}};
  if (!kind.short_names.empty()) resource["shortNames"] = texts(kind.short_names);
  if (!kind.categories.empty()) resource["categories"] = texts(kind.categories);
  json::array subs;
  for (const Subresource& sub : subresources(kind))
    subs.push_back({{"subresource", sub.name}, {"responseKind", response_kind(sub.kind)}, {"verbs", texts(sub.verbs)}});
  if (!subs.empty()) resource["subresources"] = std::move(subs);
  return resource;
}

json::object aggregated(bool core, std::string_view version) {
  json::array groups;
  for (const GroupVersion& served : group_versions()) {
    if (served.group.empty() != core) continue;
    json::array resources;
    for (const Kind& kind : all_kinds())
      if (kind.info.group == served.group && kind.info.version == served.version)
        resources.push_back(aggregated_resource(kind));
    json::object shown{{"version", served.version}, {"resources", std::move(resources)}, {"freshness", "Current"}};
    json::object metadata{{"creationTimestamp", nullptr}};
    if (!core) metadata["name"] = served.group;
    groups.push_back({{"metadata", std::move(metadata)}, {"versions", json::array{std::move(shown)}}});
  }
  return {{"kind", "APIGroupDiscoveryList"},
          {"apiVersion", fmt::format("apidiscovery.k8s.io/{}", version)},
          {"metadata", json::object{}},
          {"items", std::move(groups)}};
}

json::object group(std::string_view name) {
  json::array versions;
  for (const GroupVersion& served : group_versions())
    if (served.group == name)
      versions.push_back({{"groupVersion", fmt::format("{}/{}", name, served.version)}, {"version", served.version}});
  json::value preferred = versions.empty() ? json::value() : versions.front();
  return {{"name", name}, {"versions", std::move(versions)}, {"preferredVersion", std::move(preferred)}};
}

json::object resource_list(const GroupVersion& served) {
  json::array resources;
  for (const Kind& kind : all_kinds()) {
    if (kind.info.group != served.group || kind.info.version != served.version) continue;
    json::object resource{{"name", kind.info.plural},
                          {"singularName", kind.singular},
                          {"namespaced", kind.info.namespaced},
                          {"kind", kind.info.kind},
                          {"verbs", texts(verbs(kind))}};
    if (!kind.short_names.empty()) resource["shortNames"] = texts(kind.short_names);
    if (!kind.categories.empty()) resource["categories"] = texts(kind.categories);
    resources.push_back(std::move(resource));
    for (const Subresource& sub : subresources(kind)) {
      json::object shown{{"name", fmt::format("{}/{}", kind.info.plural, sub.name)},
                         {"singularName", ""},
                         {"namespaced", kind.info.namespaced},
                         {"kind", sub.kind.kind},
                         {"verbs", texts(sub.verbs)}};
      if (sub.kind.group != kind.info.group) {
        shown["group"] = sub.kind.group;
        shown["version"] = sub.kind.version;
      }
      resources.push_back(std::move(shown));
    }
  }
  return {{"kind", "APIResourceList"},
          {"apiVersion", "v1"},
          {"groupVersion",
           served.group.empty() ? std::string(served.version) : fmt::format("{}/{}", served.group, served.version)},
          {"resources", std::move(resources)}};
}

// The version of the aggregated form that the client asks for first; empty: the old form.
std::string aggregated_version(const http::Request& request) {
  auto accept = request.headers.find("Accept");
  if (accept == request.headers.end()) return {};
  std::string_view rest = accept->second;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string_view clause = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    if (clause.find("as=APIGroupDiscoveryList") == std::string_view::npos) continue;
    if (clause.find("v=v2beta1") != std::string_view::npos) return "v2beta1";
    if (clause.find("v=v2") != std::string_view::npos) return "v2";
  }
  return {};
}

http::Response answer(const json::object& tree, std::string type = "application/json") {
  return {.status = 200,
          .headers = {{"Content-Type", std::move(type)}, {"Vary", "Accept"}},
          .body = json::serialize(tree) + "\n"};
}

}  // namespace

std::optional<http::Response> discovery(const http::Request& request, std::string_view path) {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path == "/api" || path == "/apis") {
    // The type of the answer must be the one that was asked for, or old clients see no resources.
    if (const std::string version = aggregated_version(request); !version.empty())
      return answer(aggregated(path == "/api", version),
                    fmt::format("application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList", version));
  }
  if (path == "/api")
    return answer({{"kind", "APIVersions"}, {"versions", {"v1"}}, {"serverAddressByClientCIDRs", json::array{}}});
  if (path == "/apis") {
    json::array groups;
    for (const GroupVersion& served : group_versions())
      if (!served.group.empty()) groups.push_back(group(served.group));
    return answer({{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}});
  }
  for (const GroupVersion& served : group_versions()) {
    if (served.group.empty()) {
      if (path == fmt::format("/api/{}", served.version)) return answer(resource_list(served));
      continue;
    }
    if (path == fmt::format("/apis/{}", served.group)) {
      json::object shown = group(served.group);
      shown["kind"] = "APIGroup";
      shown["apiVersion"] = "v1";
      return answer(shown);
    }
    if (path == fmt::format("/apis/{}/{}", served.group, served.version)) return answer(resource_list(served));
  }
  return std::nullopt;
}

}  // namespace causeway::apiserver
