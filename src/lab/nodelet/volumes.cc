#include "lab/nodelet/volumes.h"

#include <algorithm>

namespace causeway::lab {
namespace {

constexpr mode_t kDefaultMode = 0644;

Status check_path(const std::string& path) {
  bool good = !path.empty() && !path.starts_with('/');
  for (size_t start = 0; good && start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    const auto part = std::string_view(path).substr(start, end - start);
    good = !part.empty() && part != "." && part != "..";
    start = end + 1;
  }
  if (!good) return fail(Errc::Invalid, "\"{}\" is no path inside a volume", path);
  return ok();
}

Status put(std::vector<VolumeFile>& files, VolumeFile file) {
  TRY(check_path(file.path));
  std::erase_if(files, [&](const auto& other) { return other.path == file.path; });  // of two the last wins
  files.push_back(std::move(file));
  return ok();
}

Status add_object(std::vector<VolumeFile>& files, std::string_view kind, const std::string& ns, const std::string& name,
                  const std::vector<kube::KeyToPath>& items, bool optional, mode_t mode,
                  const std::map<std::string, kube::StringMap>& objects) {
  const auto object = objects.find(name);
  if (object == objects.end()) {
    if (optional) return ok();
    return fail(Errc::NotFound, "{} \"{}\" not found", kind, name);
  }
  if (items.empty()) {
    for (const auto& [key, value] : object->second) TRY(put(files, {key, value, mode}));
    return ok();
  }
  for (const auto& item : items) {
    const auto value = object->second.find(item.key);
    if (value != object->second.end())
      TRY(put(files, {item.path, value->second, item.mode ? mode_t(*item.mode) : mode}));
    else if (!optional)
      return fail(Errc::NotFound, "{} \"{}\" references non-existent {} key: {}", kind, ns + "/" + name, kind,
                  item.key);
  }
  return ok();
}

Status add_downward(std::vector<VolumeFile>& files, const kube::Pod& pod,
                    const std::vector<kube::DownwardApiFile>& items, mode_t mode, const ContainerFacts& facts) {
  for (const auto& item : items) {
    std::string content;
    if (item.field_ref) {
      content = TRY(field_value(pod, facts, item.field_ref->field_path));
    } else if (item.resource_field_ref) {
      const auto& ref = *item.resource_field_ref;
      const kube::Container* found = nullptr;
      for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers})
        for (const auto& container : *list)
          if (container.name == ref.container_name) found = &container;
      if (!found) return fail(Errc::NotFound, "container {} not found", ref.container_name);
      content = TRY(resource_value(*found, ref, facts));
    }
    TRY(put(files, {item.path, std::move(content), item.mode ? mode_t(*item.mode) : mode}));
  }
  return ok();
}

template <class F>
void for_each_source(const kube::Volume& volume, F visit) {
  if (volume.projected)
    for (const auto& source : volume.projected->sources) visit(source);
}

}  // namespace

bool is_projection(const kube::Volume& volume) {
  return volume.config_map || volume.secret || volume.downward_api || volume.projected;
}

Result<std::vector<VolumeFile>> compile_volume(const kube::Pod& pod, const kube::Volume& volume,
                                               const ContainerFacts& facts) {
  std::vector<VolumeFile> files;
  const auto& ns = pod.metadata.ns;
  const auto mode_of = [](const std::optional<int32_t>& mode) { return mode ? mode_t(*mode) : kDefaultMode; };
  if (const auto& source = volume.config_map)
    TRY(add_object(files, "configmap", ns, source->name, source->items, source->optional.value_or(false),
                   mode_of(source->default_mode), facts.config_maps));
  if (const auto& source = volume.secret)
    TRY(add_object(files, "secret", ns, source->name, source->items, source->optional.value_or(false),
                   mode_of(source->default_mode), facts.secrets));
  if (const auto& source = volume.downward_api)
    TRY(add_downward(files, pod, source->items, mode_of(source->default_mode), facts));
  if (volume.projected) {
    const mode_t mode = mode_of(volume.projected->default_mode);
    for (const auto& source : volume.projected->sources) {
      if (source.config_map)
        TRY(add_object(files, "configmap", ns, source.config_map->name, source.config_map->items,
                       source.config_map->optional.value_or(false), mode, facts.config_maps));
      if (source.secret)
        TRY(add_object(files, "secret", ns, source.secret->name, source.secret->items,
                       source.secret->optional.value_or(false), mode, facts.secrets));
      if (source.downward_api) TRY(add_downward(files, pod, source.downward_api->items, mode, facts));
    }
  }
  std::ranges::sort(files, {}, &VolumeFile::path);
  return files;
}

std::vector<std::string> config_maps_of(const kube::Volume& volume) {
  std::vector<std::string> out;
  if (volume.config_map) out.push_back(volume.config_map->name);
  for_each_source(volume, [&](const auto& source) {
    if (source.config_map) out.push_back(source.config_map->name);
  });
  return out;
}

std::vector<std::string> secrets_of(const kube::Volume& volume) {
  std::vector<std::string> out;
  if (volume.secret) out.push_back(volume.secret->name);
  for_each_source(volume, [&](const auto& source) {
    if (source.secret) out.push_back(source.secret->name);
  });
  return out;
}

std::string unsupported(const kube::Volume& volume) {
  if (volume.persistent_volume_claim)
    return fmt::format("persistentvolumeclaim \"{}\" not found: the lab has no persistent volumes",
                       volume.persistent_volume_claim->claim_name);
  std::string reason;
  for_each_source(volume, [&](const auto& source) {
    if (!source.config_map && !source.secret && !source.downward_api)
      reason = "the lab projects ConfigMaps, Secrets and the downward API only";
  });
  if (!reason.empty() || is_projection(volume) || volume.empty_dir || volume.host_path) return reason;
  return "the lab has volumes of the types emptyDir, hostPath, configMap, secret, downwardAPI and projected only";
}

}  // namespace causeway::lab
