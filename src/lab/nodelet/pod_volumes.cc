#include "lab/nodelet/pod_volumes.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "lab/nodelet/container_facts.h"
#include "lab/nodelet/volume_folder.h"

namespace causeway::lab {
namespace {

namespace fs = std::filesystem;

std::optional<gid_t> group_of(const kube::Pod& pod) {
  const auto& context = pod.spec.security_context;
  return context && context->fs_group ? std::optional(static_cast<gid_t>(*context->fs_group)) : std::nullopt;
}

}  // namespace

Task<Status> PodVolumes::make() {
  const auto volumes = pod_.spec.volumes;
  for (const auto& volume : volumes) {
    if (folders_.contains(volume.name)) continue;
    const auto failed = [&](const Error& error) {
      return fail(error.code(), "MountVolume.SetUp failed for volume \"{}\" : {}", volume.name, error.message());
    };
    if (const auto reason = unsupported(volume); !reason.empty()) co_return failed(Error(Errc::Unsupported, reason));
    std::string folder = volume_folder(pod_.metadata.uid, volume.name);
    Status made = ok();
    if (volume.host_path) {
      auto path = open_host_path(*volume.host_path);
      if (path)
        folder = *path;
      else
        made = fail(std::move(path.error()));
    } else if (volume.empty_dir) {
      made = make_empty_dir(folder, group_of(pod_));
    } else {
      made = co_await refresh(volume);
    }
    if (!made && made.error().code() == Errc::Cancelled) co_return made;
    if (!made) co_return failed(made.error());
    folders_[volume.name] = folder;
  }
  co_return ok();
}

Task<Status> PodVolumes::refresh(const kube::Volume& volume) {
  ContainerFacts facts{.node_milli_cpu = context_.milli_cpu, .node_memory = context_.memory};
  facts = CO_TRY(co_await fetch_facts(context_.api, pod_.metadata.ns, volume, std::move(facts)));
  auto files = CO_TRY(compile_volume(pod_, volume, facts));
  auto known = contents_.find(volume.name);
  if (known != contents_.end() && known->second == files) co_return ok();
  CO_TRY(write_projection(volume_folder(pod_.metadata.uid, volume.name), files, group_of(pod_)));
  contents_[volume.name] = std::move(files);
  co_return ok();
}

Task<Status> PodVolumes::follow() {
  const auto volumes = pod_.spec.volumes;
  if (std::ranges::none_of(volumes, is_projection)) co_return ok();
  for (;;) {
    CO_TRY(co_await context_.loop.sleep(kFollow));
    for (const auto& volume : volumes) {
      if (!is_projection(volume)) continue;
      auto done = co_await refresh(volume);
      if (!done && done.error().code() == Errc::Cancelled) co_return done;
      // What was there stays, as kubelet has it.
      if (!done && done.error().code() != Errc::Unavailable)
        context_.events.record(
            pod_, kube::EventType::Warning, "FailedMount",
            fmt::format("MountVolume.SetUp failed for volume \"{}\" : {}", volume.name, done.error().message()));
    }
  }
}

Result<std::vector<BindMount>> PodVolumes::mounts_of(const kube::Container& container,
                                                     const std::map<std::string, std::string>& variables) const {
  std::vector<BindMount> out;
  for (const auto& mount : container.volume_mounts) {
    const auto folder = folders_.find(mount.name);
    if (folder == folders_.end()) return fail(Errc::NotFound, "volume \"{}\" is not there", mount.name);
    const auto volume = std::ranges::find(pod_.spec.volumes, mount.name, &kube::Volume::name);
    BindMount bind{.source = folder->second,
                   .target = mount.mount_path,
                   .read_only = mount.read_only || (volume != pod_.spec.volumes.end() && is_projection(*volume))};
    const std::string below = mount.sub_path_expr.empty() ? mount.sub_path : expand(mount.sub_path_expr, variables);
    if (!below.empty())
      bind.source =
          TRY(sub_path(folder->second, below), "failed to prepare subPath for volumeMount \"{}\"", mount.name);
    out.push_back(std::move(bind));
  }
  // What lies inside of another mount comes after it.
  std::ranges::sort(out, {}, &BindMount::target);
  return out;
}

Result<std::string> PodVolumes::message_file(const kube::Container& container, int restart) const {
  const std::string folder = fmt::format("{}/{}/messages", kVolumeFolder, pod_.metadata.uid);
  std::error_code error;
  fs::create_directories(folder, error);
  std::string path = fmt::format("{}/{}-{}", folder, container.name, restart);
  if (restart > 0) fs::remove(fmt::format("{}/{}-{}", folder, container.name, restart - 1), error);
  TRY(replace_file(path, "", 0666));
  fs::permissions(path, fs::perms(0666), error);
  return path;
}

void PodVolumes::remove() {
  std::error_code error;
  fs::remove_all(fmt::format("{}/{}", kVolumeFolder, pod_.metadata.uid), error);
}

}  // namespace causeway::lab
