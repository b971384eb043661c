#include "lab/images/archive.h"

#include <boost/json.hpp>

#include "lab/images/run_tool.h"

namespace causeway::lab {
namespace {

namespace json = boost::json;

Result<json::value> parse(const std::string& text, const char* what) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error) return fail(Errc::Invalid, "its {} is not JSON: {}", what, error.message());
  return value;
}

std::string annotation(const json::object& manifest, std::string_view key) {
  const auto* annotations = manifest.if_contains("annotations");
  if (!annotations || !annotations->is_object()) return {};
  const auto* value = annotations->as_object().if_contains(key);
  return value && value->is_string() ? std::string(value->as_string()) : "";
}

}  // namespace

Result<std::vector<ArchivedImage>> parse_docker_manifest(const std::string& path, const std::string& text) {
  const auto value = TRY(parse(text, "manifest.json"));
  if (!value.is_array() || value.as_array().empty()) return fail(Errc::Invalid, "its manifest.json lists no image");
  std::vector<ArchivedImage> out;
  for (const auto& entry : value.as_array()) {
    ArchivedImage image{.source = fmt::format("docker-archive:{}:@{}", path, out.size())};
    if (const auto* object = entry.if_object())
      if (const auto* tags = object->if_contains("RepoTags"); tags && tags->is_array())
        for (const auto& tag : tags->as_array())
          if (tag.is_string()) image.names.emplace_back(tag.as_string());
    out.push_back(std::move(image));
  }
  return out;
}

Result<std::vector<ArchivedImage>> parse_oci_index(const std::string& path, const std::string& text) {
  const auto value = TRY(parse(text, "index.json"));
  const auto* object = value.if_object();
  const auto* manifests = object ? object->if_contains("manifests") : nullptr;
  if (!manifests || !manifests->is_array() || manifests->as_array().empty())
    return fail(Errc::Invalid, "its index.json lists no image");
  const bool several = manifests->as_array().size() > 1;
  std::vector<ArchivedImage> out;
  for (const auto& entry : manifests->as_array()) {
    if (!entry.is_object()) return fail(Errc::Invalid, "its index.json lists something that is no image");
    const std::string tag = annotation(entry.as_object(), "org.opencontainers.image.ref.name");
    // containerd and docker put the whole name here, and only the tag there.
    std::string name = annotation(entry.as_object(), "io.containerd.image.name");
    if (name.empty() && tag.find_first_of("/:") != std::string::npos) name = tag;
    if (several && tag.empty())
      return fail(Errc::Invalid, "it has several images, and not all have a name (org.opencontainers.image.ref.name)");
    ArchivedImage image{.source = several ? fmt::format("oci-archive:{}:{}", path, tag) : "oci-archive:" + path};
    if (!name.empty()) image.names.push_back(std::move(name));
    out.push_back(std::move(image));
  }
  return out;
}

Result<std::vector<ArchivedImage>> list_archive(const std::string& path) {
  auto members = run_tool({"tar", "--list", "--file", path});
  if (!members && members.error().code() == Errc::Unsupported) return fail(std::move(members.error()));
  if (!members) return fail(Errc::Invalid, "it is no tar archive: {}", members.error().message());
  const auto has = [&](std::string_view name) {
    for (const auto* prefix : {"", "./"})
      for (size_t at = 0; (at = members->find(prefix + std::string(name) + "\n", at)) != std::string::npos; ++at)
        if (at == 0 || (*members)[at - 1] == '\n') return prefix + std::string(name);
    return std::string();
  };
  // An archive that is both (docker save since 25) says its names best as docker's.
  if (const auto member = has("manifest.json"); !member.empty())
    return parse_docker_manifest(path, TRY(run_tool({"tar", "--extract", "--to-stdout", "--file", path, member})));
  if (const auto member = has("index.json"); !member.empty())
    return parse_oci_index(path, TRY(run_tool({"tar", "--extract", "--to-stdout", "--file", path, member})));
  return fail(Errc::Invalid, "it is no image archive: it has neither manifest.json (docker) nor index.json (OCI)");
}

}  // namespace causeway::lab
