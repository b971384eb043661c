#include "cli/apply.h"

#include <algorithm>
#include <boost/json.hpp>

#include "cli/api.h"
#include "cli/lab.h"
#include "cli/output.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;

constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

struct Resource {
  std::string plural;
  bool namespaced = true;
};
// By "apiVersion kind", as discovery tells.
using Resources = std::map<std::string, Resource>;

// Kinds that documents still show and that are no more.
std::string_view epitaph(const Manifest& manifest) {
  if (manifest.kind == "PodSecurityPolicy")
    return "; Kubernetes removed PodSecurityPolicy in 1.25: Pod Security Standards, a label of the namespace, take its "
           "place";
  return "";
}

std::string group_path(const std::string& api_version) {
  return (api_version.find('/') == std::string::npos ? "/api/" : "/apis/") + api_version;
}

Task<Result<Resource>> find_resource(kube::Client& api, Resources& known, Manifest manifest) {
  const std::string key = manifest.api_version + " " + manifest.kind;
  if (auto found = known.find(key); found != known.end()) co_return found->second;
  auto answer = co_await api.request("GET", group_path(manifest.api_version));
  if (!answer && answer.error().code() != Errc::NotFound) co_return fail(std::move(answer.error()));
  if (answer) {
    boost::system::error_code error;
    const json::value root = json::parse(*answer, error);
    if (!error && root.is_object() && root.as_object().contains("resources"))
      for (const auto& entry : root.at("resources").as_array()) {
        const std::string plural(entry.at("name").as_string());
        if (plural.find('/') != std::string::npos) continue;  // a subresource
        known[manifest.api_version + " " + std::string(entry.at("kind").as_string())] = {
            plural, entry.at("namespaced").as_bool()};
      }
  }
  if (auto found = known.find(key); found != known.end()) co_return found->second;
  co_return fail(Errc::Invalid, "no matches for kind \"{}\" in version \"{}\"{}", manifest.kind, manifest.api_version,
                 epitaph(manifest));
}

std::string with_last_applied(const std::string& manifest) {
  json::value value = json::parse(manifest);
  auto& metadata = value.as_object()["metadata"];
  if (!metadata.is_object()) metadata = json::object();
  auto& annotations = metadata.as_object()["annotations"];
  if (!annotations.is_object()) annotations = json::object();
  annotations.as_object()[kLastApplied] = manifest;
  return json::serialize(value);
}

std::string last_applied_of(const std::string& live) {
  boost::system::error_code error;
  const json::value value = json::parse(live, error);
  const json::value* at = error ? nullptr : value.find_pointer("/metadata/annotations", error);
  if (error || at == nullptr || !at->is_object()) return "";
  auto* found = at->as_object().if_contains(kLastApplied);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

Task<Result<Applied::Outcome>> apply_one(kube::Client& api, Resources& known, Manifest manifest) {
  const auto resource = CO_TRY(co_await find_resource(api, known, manifest));
  std::string target = group_path(manifest.api_version);
  if (resource.namespaced) target += "/namespaces/" + (manifest.ns.empty() ? "default" : manifest.ns);
  target += "/" + resource.plural;
  auto live = co_await api.request("GET", target + "/" + manifest.name);
  if (!live && live.error().code() != Errc::NotFound) co_return fail(std::move(live.error()));
  const std::string wanted = with_last_applied(manifest.json);
  // As kubectl asks: a field that nobody knows is a mistake, not something to drop.
  constexpr const char* kStrict = "?fieldValidation=Strict";
  if (!live) {
    CO_TRY(co_await api.request("POST", target + kStrict, wanted));
    co_return Applied::Outcome::Created;
  }
  const std::string before = last_applied_of(*live);
  if (before == manifest.json) co_return Applied::Outcome::Unchanged;
  const std::string patch = with_last_applied(three_way_patch(before, manifest.json));
  CO_TRY(co_await api.request("PATCH", target + "/" + manifest.name + kStrict, patch, "application/merge-patch+json"));
  co_return Applied::Outcome::Configured;
}

}  // namespace

std::string to_string(const Applied& applied) {
  std::string kind = applied.manifest.kind;
  std::ranges::transform(kind, kind.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::string name =
      kind + "/" + applied.manifest.name +
      (applied.manifest.ns.empty() || applied.manifest.ns == "default" ? "" : " in " + applied.manifest.ns);
  switch (applied.outcome) {
    case Applied::Outcome::Created: return name + " created";
    case Applied::Outcome::Configured: return name + " configured";
    case Applied::Outcome::Unchanged: return name + " unchanged";
    case Applied::Outcome::Refused: return name + " refused: " + applied.reason;
  }
  return name;
}

Task<Result<std::vector<Applied>>> apply(kube::Client& api, std::vector<Manifest> manifests) {
  Resources known;
  std::vector<Applied> out;
  for (auto& manifest : manifests) {
    auto outcome = co_await apply_one(api, known, manifest);
    if (!outcome && (outcome.error().code() == Errc::Unavailable || outcome.error().code() == Errc::Timeout ||
                     outcome.error().code() == Errc::Cancelled))
      co_return fail(std::move(outcome.error()));
    out.push_back({std::move(manifest), outcome ? *outcome : Applied::Outcome::Refused,
                   outcome ? "" : outcome.error().message()});
  }
  co_return out;
}

int lab_apply(const std::string& lab, const std::vector<std::string>& paths) {
  std::vector<Manifest> manifests;
  for (const auto& path : paths) {
    auto read = read_manifests(path);
    if (!read) return complain(read.error());
    for (auto& manifest : *read) manifests.push_back(std::move(manifest));
  }
  if (manifests.empty()) {
    std::string all;
    for (const auto& path : paths) all += (all.empty() ? "" : ", ") + path;
    return complain(Error(Errc::Invalid, all + ": no objects to apply"));
  }
  auto api = connect_api(lab);
  if (!api) return complain(api.error());
  auto applied = run_until_done(*api->loop, apply(*api->client, std::move(manifests)));
  if (!applied) return complain(applied.error());
  int status = 0;
  for (const auto& entry : *applied) {
    fmt::print("{}\n", to_string(entry));
    if (entry.outcome == Applied::Outcome::Refused) status = 1;
  }
  return status;
}

}  // namespace causeway::cli
