// The file system of a node and of a container: an overlay over the machine's root with its writes in memory, and fresh
// /proc, /sys, /dev, /run and /tmp. All mounts are made in the new process's own mount namespace and end with it.
//
// A container's overlay lies over the same machine root (an overlay over a node's overlay would exceed the kernel's
// stacking limit where the machine's root is one already).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lab/spawn.h"

namespace causeway::lab {

// Where a node keeps the machine's own root for its containers, and where new roots are assembled.
inline constexpr const char* kBaseRoot = "/run/lab/base";
inline constexpr const char* kStage = "/run/lab/stage";
// Where a node has the unpacked images, and its Pods' volumes.
inline constexpr const char* kImageFolder = "/run/lab/images";
inline constexpr const char* kVolumeFolder = "/run/lab/pods";
// Where the lab's binaries are in nodes and containers.
inline constexpr const char* kProgramFolder = "/usr/lib/causeway";

// A volume, or a file of ours, seen at a path of the new root.
struct BindMount {
  std::string source;
  std::string target;
  bool read_only = false;
  bool operator==(const BindMount&) const = default;
};

struct RootOptions {
  std::string lower;                   // the machine's root: "/" for a node, kBaseRoot for a container
  std::string stage;                   // an existing folder to assemble at
  std::string programs;                // folder with our binaries, seen at kProgramFolder
  std::vector<std::string> submounts;  // the machine's other file systems, bound read-only at their paths
  std::vector<std::pair<std::string, std::string>> files;  // path and content, written over what is there
  bool node = false;                                       // keeps the base root, mounts cgroup2 and bpffs
  bool own_pids = true;                                    // a new /proc
  bool own_net = true;                                     // a new /sys; else the caller's is seen
  bool image = false;  // `lower` is an unpacked image: it has its own /run and /tmp, and none of our programs
  std::vector<BindMount> mounts;  // in this order, after all of ours
  std::string directory;          // made when it is missing
  bool read_only = false;         // but for `mounts`
  std::string images;             // of a node: where unpacked images are, seen at kImageFolder
};
// The child must be in its new mount, pid and network namespaces.
std::vector<Step> root_steps(const RootOptions& options);

// The mount points of /proc/self/mountinfo's text that a node should see: file systems of disks and shares outside
// /proc /sys /dev /run /tmp.
std::vector<std::string> submounts_of(const std::string& mountinfo);

}  // namespace causeway::lab
