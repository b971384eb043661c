#include "apps/cni_install.h"

#include <filesystem>

#include "base/file.h"
#include "pod/cni_wire.h"

namespace causeway::apps {

namespace {

Status make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(Errc::Io, "make {}: {}", folder, error.message());
  return ok();
}

Status put(const std::string& path, const std::string& content, mode_t mode) {
  if (auto old = read_file(path); old && *old == content) return ok();
  return replace_file(path, content, mode, true);
}

}  // namespace

std::string conflist(const std::string& socket) {
  return fmt::format(R"({{
  "cniVersion": "1.0.0",
  "cniVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"],
  "disableCheck": true,
  "disableGC": true,
  "name": "causeway",
  "plugins": [
    {{ "type": "{}"{} }}
  ]
}}
)",
                     kPluginName,
                     socket == pod::wire::kDefaultSocket ? "" : fmt::format(", \"agentSocket\": \"{}\"", socket));
}

Status install_cni(const CniInstall& what) {
  const std::string plugin = TRY(read_file(what.plugin));
  TRY(make_folder(what.bin_folder));
  TRY(put(what.bin_folder + "/" + kPluginName, plugin, 0755));
  TRY(make_folder(what.config_folder));
  return put(what.config_folder + "/" + kConflistName, conflist(what.socket), 0644);
}

}  // namespace causeway::apps
