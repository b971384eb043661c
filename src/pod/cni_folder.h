// The two folders of the container runtime: our plugin and our network configuration are put there and kept there, and
// whoever else left a configuration is named. Every call touches the disk, may block for long (fsync) and belongs on a
// worker thread. Files of others are never changed.
#pragma once

#include <string>

#include "base/result.h"

namespace causeway::pod {

inline constexpr const char* kConflistName = "05-causeway.conflist";
inline constexpr const char* kPluginName = "causeway-cni";

struct CniPlaces {
  std::string plugin;         // path of the causeway-cni to install
  std::string bin_folder;     // made if missing
  std::string config_folder;  // made if missing
  std::string socket;         // of the agent
  std::string announced;      // note of ours beside the socket: this boot wrote the configuration
};

// The network configuration list. cniVersion is for runtimes that know no cniVersions (containerd 1.6 and 1.7); newer
// ones take the highest of both that they speak (docs/decisions/cni-version.md). CHECK and GC are not served yet.
std::string conflist(const std::string& socket);

// All of these write only what differs, and rename within the folder: a plugin that is running is never overwritten
// ("text file busy"), containerd reloads on a rename but not on a creation, and a full disk leaves what was there.
// Errors name the file.
Status install_plugin(const CniPlaces& places);
Status write_conflist(const CniPlaces& places);
// A configuration that is not there is no error.
Status remove_conflist(const CniPlaces& places);

// The folder is on disk and outlives the machine's reboot; what the configuration promises does not. Removes one that
// no agent of this boot wrote; true: there was one.
Result<bool> remove_stale_conflist(const CniPlaces& places);

// Both files are there as they should be; what a package upgrade wiped is missing here (flannel#1721).
bool installed(const CniPlaces& places);
// Both files are there in some form: an older plugin of ours serves too.
bool in_place(const CniPlaces& places);

// The configuration that the runtime takes instead of ours, "" if it takes ours: containerd reads the lexically first
// *.conf, *.conflist or *.json, and loads no network at all when that one is broken.
Result<std::string> configuration_before_ours(const CniPlaces& places);

}  // namespace causeway::pod
