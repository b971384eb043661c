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
// Where the lab's binaries are in nodes and containers.
inline constexpr const char* kProgramFolder = "/usr/lib/causeway";

struct RootOptions {
  std::string lower;                   // the machine's root: "/" for a node, kBaseRoot for a container
  std::string stage;                   // an existing folder to assemble at
  std::string programs;                // folder with our binaries, seen at kProgramFolder
  std::vector<std::string> submounts;  // the machine's other file systems, bound read-only at their paths
  std::vector<std::pair<std::string, std::string>> files;  // path and content, written over what is there
  bool node = false;                                       // keeps the base root, mounts cgroup2 and bpffs
  bool own_pids = true;                                    // a new /proc
  bool own_net = true;                                     // a new /sys; else the caller's is seen
};
// The child must be in its new mount, pid and network namespaces.
std::vector<Step> root_steps(const RootOptions& options);

// The mount points of /proc/self/mountinfo's text that a node should see: file systems of disks and shares outside
// /proc /sys /dev /run /tmp.
std::vector<std::string> submounts_of(const std::string& mountinfo);

}  // namespace causeway::lab
