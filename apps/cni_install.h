// Puts the CNI plugin and its configuration where the container runtime looks, last of all that an agent does.
#pragma once

#include <string>

#include "base/result.h"

namespace causeway::apps {

inline constexpr const char* kConflistName = "05-causeway.conflist";
inline constexpr const char* kPluginName = "causeway-cni";

struct CniInstall {
  std::string plugin;         // path of the causeway-cni to install
  std::string bin_folder;     // made if missing
  std::string config_folder;  // made if missing
  std::string socket;         // of the agent
};

// The network configuration list. cniVersion is for runtimes that know no cniVersions (containerd 1.6 and 1.7); newer
// ones take the highest of both that they speak (docs/decisions/cni-version.md). CHECK and GC are not served yet.
std::string conflist(const std::string& socket);
// Writes only what differs. Both files are renamed within their folder: a plugin that is running is never overwritten
// ("text file busy"), and containerd reloads on a rename but not on a creation. Errors name the file.
Status install_cni(const CniInstall& what);

}  // namespace causeway::apps
