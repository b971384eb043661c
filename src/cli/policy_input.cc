#include "cli/policy_input.h"

#include <boost/json.hpp>
#include <set>

#include "cli/api.h"
#include "cluster/model/project.h"
#include "kube/api/cluster_policy.h"
#include "kube/api/schema.h"
#include "kube/api/validation.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;

// The API server puts it on every namespace.
constexpr const char* kNameLabel = "kubernetes.io/metadata.name";

template <class T>
bool is(const Manifest& manifest) {
  const std::string version =
      T::kKind.group.empty() ? std::string(T::kKind.version) : fmt::format("{}/{}", T::kKind.group, T::kKind.version);
  return manifest.api_version == version && manifest.kind == T::kKind.kind;
}

// As the API server would store it.
template <class T>
Result<T> admitted(const Manifest& manifest) {
  json::object object = json::parse(manifest.json).as_object();
  const std::string what = fmt::format("{}: {} {}", manifest.source, manifest.kind, manifest.name);
  json::value& metadata = object["metadata"];
  if (T::kKind.namespaced && manifest.ns.empty()) metadata.as_object()["namespace"] = "default";
  const kube::SchemaReport report = kube::check_schema(*kube::schema_of(T::kKind), object);
  if (!report.wrong.empty()) return fail(Errc::Invalid, "{}: {}", what, report.wrong[0].message);
  if (!report.unknown.empty()) return fail(Errc::Invalid, "{}: {}", what, report.unknown[0].message);
  kube::set_defaults(T::kKind, object);
  const kube::FieldErrors errors = kube::validate_create(T::kKind, object);
  if (!errors.empty()) return fail(Errc::Invalid, "{}: {}", what, to_string(errors[0]));
  return TRY(kube::decode<T>(json::serialize(object)), "{}", what);
}

// A Pod that manifests name, or a workload makes. Not validated: of a Pod only labels, ports and addresses count.
Result<kube::Pod> pod_of(const Manifest& manifest, const json::object& metadata, const json::value& spec) {
  json::object object{{"metadata", metadata}, {"spec", spec}};
  object["metadata"].as_object()["name"] = manifest.name;
  object["metadata"].as_object()["namespace"] = manifest.ns.empty() ? "default" : manifest.ns;
  return TRY(kube::decode<kube::Pod>(json::serialize(object)), "{}: {} {}", manifest.source, manifest.kind,
             manifest.name);
}

bool is_workload(const Manifest& manifest) {
  static const std::set<std::string> kinds{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"};
  return (manifest.api_version == "apps/v1" || manifest.api_version == "batch/v1") && kinds.contains(manifest.kind);
}

void put_namespace(cluster::Model& model, cluster::Namespace ns) {
  ns.labels[kNameLabel] = ns.name;
  model.put(std::move(ns));
}

// Reserved ranges that nobody has: a block that holds everything holds them too.
void put_pod(PolicyWorld& world, cluster::Pod pod, uint64_t& made_up) {
  if (pod.addresses.empty() && !pod.finished) {
    ++made_up;
    pod.addresses = {Ip::parse("240.0.0.0")->plus(made_up), Ip::parse("100::")->plus(made_up)};
  }
  world.model.put(std::move(pod));
}

template <class T>
Task<Status> list_into(kube::Client& api, cluster::Model& model) {
  auto list = CO_TRY(co_await api.list<T>());
  for (const T& object : list.items) model.put(cluster::project(object));
  co_return ok();
}

Task<Status> list_all(kube::Client& api, cluster::Model& model) {
  CO_TRY(co_await list_into<kube::Namespace>(api, model));
  CO_TRY(co_await list_into<kube::Pod>(api, model));
  CO_TRY(co_await list_into<kube::NetworkPolicy>(api, model));
  // A custom resource on Kubernetes: a cluster without it has none.
  if (auto listed = co_await list_into<kube::ClusterNetworkPolicy>(api, model); !listed)
    if (listed.error().code() != Errc::NotFound) co_return fail(std::move(listed.error()));
  CO_TRY(co_await list_into<kube::Node>(api, model));
  CO_TRY(co_await list_into<kube::Service>(api, model));
  co_return ok();
}

}  // namespace

Status add_manifests(const std::vector<Manifest>& manifests, PolicyWorld& world) {
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  std::set<std::string> namespaces;
  uint64_t made_up = 0;
  for (const Manifest& manifest : manifests) {
    const std::string ns = manifest.ns.empty() ? "default" : manifest.ns;
    if (!seen.emplace(manifest.kind, manifest.ns, manifest.name).second)
      return fail(Errc::Invalid, "{}: {} {}/{} is there twice", manifest.source, manifest.kind, ns, manifest.name);
    if (is<kube::NetworkPolicy>(manifest)) {
      world.model.put(cluster::project(TRY(admitted<kube::NetworkPolicy>(manifest))));
    } else if (is<kube::ClusterNetworkPolicy>(manifest)) {
      world.model.put(cluster::project(TRY(admitted<kube::ClusterNetworkPolicy>(manifest))));
      continue;
    } else if (is<kube::Namespace>(manifest)) {
      put_namespace(world.model,
                    cluster::project(TRY(kube::decode<kube::Namespace>(manifest.json), "{}", manifest.source)));
      continue;
    } else if (is<kube::Pod>(manifest)) {
      const kube::Pod pod = TRY(kube::decode<kube::Pod>(manifest.json), "{}", manifest.source);
      cluster::Pod projected = cluster::project(pod);
      projected.key.ns = ns;
      put_pod(world, std::move(projected), made_up);
    } else if (is_workload(manifest)) {
      boost::system::error_code error;
      const json::value root = json::parse(manifest.json);
      const json::value* labels = root.find_pointer("/spec/template/metadata", error);
      const json::value* spec = root.find_pointer("/spec/template/spec", error);
      if (!spec || !spec->is_object())
        return fail(Errc::Invalid, "{}: {} {}: spec.template.spec is not set", manifest.source, manifest.kind,
                    manifest.name);
      put_pod(world,
              cluster::project(
                  TRY(pod_of(manifest, labels && labels->is_object() ? labels->as_object() : json::object(), *spec))),
              made_up);
    } else if (is<kube::Node>(manifest)) {
      world.model.put(cluster::project(TRY(kube::decode<kube::Node>(manifest.json), "{}", manifest.source)));
      continue;
    } else if (is<kube::Service>(manifest)) {
      world.model.put(cluster::project(TRY(kube::decode<kube::Service>(manifest.json), "{}", manifest.source)));
    } else {
      continue;
    }
    namespaces.insert(ns);
  }
  for (const std::string& name : namespaces)
    if (!world.model.namespaces().contains(name)) put_namespace(world.model, {.name = name});
  if (made_up > 0)
    world.notes.push_back(fmt::format(
        "Pods without an address in the manifests: {}; blocks are judged as for addresses of 240.0.0.0/4 and 100::/64",
        made_up));
  return ok();
}

Status add_manifests(const std::vector<std::string>& paths, PolicyWorld& world) {
  std::vector<Manifest> manifests;
  for (const std::string& path : paths)
    for (Manifest& manifest : TRY(read_manifests(path))) manifests.push_back(std::move(manifest));
  return add_manifests(manifests, world);
}

Result<PolicyWorld> load_policy_world(const PolicySource& source) {
  PolicyWorld world;
  if (!source.manifests.empty()) {
    TRY(add_manifests(source.manifests, world));
  } else {
    Api api = TRY(source.lab.empty() ? connect_kubeconfig(source.kubeconfig) : connect_api(source.lab));
    TRY(run_until_done(*api.loop, list_all(*api.client, world.model)));
  }
  for (const auto& [key, policy] : world.model.policies())
    if (!policy->problem.empty()) world.notes.push_back(fmt::format("{} {}: {}", kind_of(key), key, policy->problem));
  for (const auto& [key, tie] : cluster::priority_ties(world.model.policies()))
    world.notes.push_back(fmt::format("{} {}: {}", kind_of(key), key, tie));
  return world;
}

}  // namespace causeway::cli
