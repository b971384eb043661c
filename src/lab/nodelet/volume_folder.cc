#include "lab/nodelet/volume_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "lab/nodelet/runtime.h"
#include "lab/root.h"

namespace causeway::lab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kData = "..data";

Status give_to(const std::string& path, std::optional<gid_t> group) {
  if (group && ::lchown(path.c_str(), static_cast<uid_t>(-1), *group) != 0)
    return fail_errno(errno, "give " + path + " to the Pod's fsGroup");
  return ok();
}

Status make_folder(const std::string& path, mode_t mode) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail(Errc::Io, "make the folder {}: {}", path, error.message());
  if (::chmod(path.c_str(), mode) != 0) return fail_errno(errno, "chmod " + path);
  return ok();
}

// The first part of a path: what the volume's top shows.
std::string top_of(const std::string& path) { return path.substr(0, path.find('/')); }

}  // namespace

std::string volume_folder(const std::string& pod_uid, const std::string& volume) {
  return fmt::format("{}/{}/volumes/{}", kVolumeFolder, pod_uid, volume);
}

Status write_projection(const std::string& folder, const std::vector<VolumeFile>& files, std::optional<gid_t> group) {
  TRY(make_folder(folder, 0755));
  const std::string name = "..version_" + random_id().substr(0, 12);
  const std::string version = folder + "/" + name;
  TRY(make_folder(version, 0755));
  for (const auto& file : files) {
    const std::string path = version + "/" + file.path;
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    // Read-only volumes: the group may read what its owner may (volume.SetVolumeOwnership).
    const mode_t mode = group ? file.mode | 0440 : file.mode;
    TRY(replace_file(path, file.content, mode));
    if (::chmod(path.c_str(), mode) != 0) return fail_errno(errno, "chmod " + path);
    TRY(give_to(path, group));
  }
  std::error_code error;
  const auto before = fs::read_symlink(folder + "/" + kData, error);
  const std::string fresh = folder + "/..data_tmp";
  ::unlink(fresh.c_str());
  if (::symlink(name.c_str(), fresh.c_str()) != 0 || ::rename(fresh.c_str(), (folder + "/" + kData).c_str()) != 0)
    return fail_errno(errno, "replace " + folder + "/" + kData);
  std::set<std::string> tops;
  for (const auto& file : files) tops.insert(top_of(file.path));
  for (const auto& top : tops)
    if (::symlink((std::string(kData) + "/" + top).c_str(), (folder + "/" + top).c_str()) != 0 && errno != EEXIST)
      return fail_errno(errno, "link " + folder + "/" + top);
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string top = entry.path().filename();
    if (!top.starts_with("..") && !tops.contains(top)) fs::remove(entry.path(), error);
  }
  if (!before.empty()) fs::remove_all(folder + "/" + before.string(), error);
  return ok();
}

Status make_empty_dir(const std::string& folder, std::optional<gid_t> group) {
  std::error_code error;
  if (fs::exists(folder, error)) return ok();
  TRY(make_folder(folder, 0777));
  TRY(give_to(folder, group));
  if (group && ::chmod(folder.c_str(), 02777) != 0) return fail_errno(errno, "chmod " + folder);
  return ok();
}

Result<std::string> open_host_path(const kube::HostPathVolume& volume) {
  const std::string& path = volume.path;
  if (!path.starts_with('/') || (path + "/").find("/../") != std::string::npos)
    return fail(Errc::Invalid, "hostPath \"{}\" must be an absolute path without \"..\"", path);
  std::error_code error;
  const bool folder = volume.type == "DirectoryOrCreate" || volume.type == "Directory";
  const bool file = volume.type == "FileOrCreate" || volume.type == "File";
  if (!fs::exists(path, error)) {
    if (volume.type == "FileOrCreate") {
      const Fd made(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
      if (!made) return fail_errno(errno, "hostPath type check failed: make " + path);
    } else if (volume.type == "DirectoryOrCreate" || volume.type.empty()) {
      TRY(make_folder(path, 0755));
    } else {
      return fail(Errc::NotFound, "hostPath type check failed: {} is not a {}", path, volume.type);
    }
  }
  if ((folder && !fs::is_directory(path, error)) || (file && !fs::is_regular_file(path, error)) ||
      (volume.type == "Socket" && !fs::is_socket(path, error)) ||
      (volume.type == "CharDevice" && !fs::is_character_file(path, error)) ||
      (volume.type == "BlockDevice" && !fs::is_block_file(path, error)))
    return fail(Errc::Invalid, "hostPath type check failed: {} is not a {}", path, volume.type);
  return path;
}

Result<std::string> sub_path(const std::string& folder, const std::string& path) {
  if (path.starts_with('/') || ("/" + path + "/").find("/../") != std::string::npos)
    return fail(Errc::Invalid, "subPath \"{}\" must be relative and must not contain \"..\"", path);
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return fail(Errc::Io, "{}: {}", folder, error.message());
  const auto inside = [&](const fs::path& found) { return (found.string() + "/").starts_with(root.string() + "/"); };
  fs::path found = fs::weakly_canonical(root / path, error);
  if (error || !inside(found)) return fail(Errc::Denied, "subPath \"{}\" leads out of the volume", path);
  if (!fs::exists(found, error)) {
    fs::create_directories(found, error);
    if (error) return fail(Errc::Io, "make {}: {}", found.string(), error.message());
  }
  return found.string();
}

}  // namespace causeway::lab
