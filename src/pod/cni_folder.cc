#include "pod/cni_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "pod/cni_wire.h"

namespace causeway::pod {

namespace fs = std::filesystem;

namespace {

std::string plugin_path(const CniPlaces& places) { return places.bin_folder + "/" + kPluginName; }
std::string conflist_path(const CniPlaces& places) { return places.config_folder + "/" + kConflistName; }

Status make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(Errc::Io, "make {}: {}", folder, error.message());
  return ok();
}

// What a killed writer left beside the file. One node has one agent, so nobody writes at the same time.
void remove_half_written(const std::string& folder, const std::string& name) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().filename().string().starts_with(name + ".tmp.")) ::unlink(at->path().c_str());
}

// The owner's mode counts too (a plugin that cannot be executed is none), and that nobody made it setuid. What the
// umask takes from others is the administrator's business.
bool is(const std::string& path, const std::string& content, mode_t mode) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & 07700) != (mode & 0700) ||
      static_cast<size_t>(status.st_size) != content.size())
    return false;
  const auto old = read_file(path);
  return old && *old == content;
}

Status put(const std::string& folder, const std::string& name, const std::string& content, mode_t mode) {
  TRY(make_folder(folder));
  const std::string path = folder + "/" + name;
  if (is(path, content, mode)) return ok();
  remove_half_written(folder, name);
  return replace_file(path, content, mode, true);
}

Status remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove " + path);
  return ok();
}

Result<std::string> boot_id() { return read_file("/proc/sys/kernel/random/boot_id"); }

}  // namespace

std::string conflist(const std::string& socket) {
  return fmt::format(R"({{
  "cniVersion": "1.0.0",
  "cniVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"],
  "name": "causeway",
  "plugins": [
    {{ "type": "{}", "capabilities": {{ "portMappings": true, "bandwidth": true, "ips": true, "mac": true }}{} }}
  ]
}}
)",
                     kPluginName,
                     socket == pod::wire::kDefaultSocket ? "" : fmt::format(", \"agentSocket\": \"{}\"", socket));
}

Status install_plugin(const CniPlaces& places) {
  return put(places.bin_folder, kPluginName, TRY(read_file(places.plugin)), 0755);
}

Status write_conflist(const CniPlaces& places) {
  // Noted first: killed in between, an agent of this boot finds nothing that it would have to remove.
  TRY(replace_file(places.announced, TRY(boot_id()), 0600));
  return put(places.config_folder, kConflistName, conflist(places.socket), 0644);
}

Status remove_conflist(const CniPlaces& places) { return remove(conflist_path(places)); }

Result<bool> remove_stale_conflist(const CniPlaces& places) {
  remove_half_written(places.config_folder, kConflistName);
  if (::access(conflist_path(places).c_str(), F_OK) != 0) return false;
  const auto noted = read_file(places.announced);
  if (noted && *noted == TRY(boot_id())) return false;
  TRY(remove_conflist(places));
  return true;
}

bool installed(const CniPlaces& places) {
  if (!is(conflist_path(places), conflist(places.socket), 0644)) return false;
  const auto plugin = read_file(places.plugin);
  return plugin && is(plugin_path(places), *plugin, 0755);
}

bool in_place(const CniPlaces& places) {
  return ::access(plugin_path(places).c_str(), X_OK) == 0 && ::access(conflist_path(places).c_str(), R_OK) == 0;
}

Result<std::string> configuration_before_ours(const CniPlaces& places) {
  std::error_code error;
  std::string first = kConflistName;
  fs::directory_iterator at(places.config_folder, error), end;
  for (; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    const auto kind = at->path().extension();
    const bool config = kind == ".conf" || kind == ".conflist" || kind == ".json";
    if (config && name < first && !fs::is_directory(at->path())) first = name;
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(Errc::Io, "read folder {}: {}", places.config_folder, error.message());
  return first == kConflistName ? std::string() : places.config_folder + "/" + first;
}

}  // namespace causeway::pod
