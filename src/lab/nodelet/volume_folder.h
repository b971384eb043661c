// A volume as a folder on the node.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lab/nodelet/volumes.h"

namespace causeway::lab {

// Where the Pod's volume is: <kVolumeFolder>/UID/volumes/NAME.
std::string volume_folder(const std::string& pod_uid, const std::string& volume);

// Puts the files there in one step: who reads sees all of the old ones or all of the new ones (each file is a link
// through "..data", which is replaced by a rename, as kubelet's AtomicWriter has it). With `group` they are its to
// read.
Status write_projection(const std::string& folder, const std::vector<VolumeFile>& files, std::optional<gid_t> group);
// An emptyDir: writable by everybody, of `group` when there is one. Kept when it exists.
Status make_empty_dir(const std::string& folder, std::optional<gid_t> group);
// The path on the node of a hostPath volume, made if its type says so. Errors: as kubelet says them.
Result<std::string> open_host_path(const kube::HostPathVolume& volume);
// `path` inside `folder`, behind links that lead nowhere else; made as a folder when it is missing.
Result<std::string> sub_path(const std::string& folder, const std::string& path);

}  // namespace causeway::lab
