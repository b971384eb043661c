// The v2 cgroups of a lab: one for the lab, below it one for each process, node and Pod. They are the lab's register:
// who is in it belongs to the lab, and ending the lab is one write to cgroup.kill.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "async/loop.h"
#include "base/fd.h"
#include "base/result.h"

namespace causeway::lab {

// Where cgroup2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside v1. Unsupported when it is not.
Result<std::string> find_cgroup_root();

// Makes the folder with its parents and opens it (for Spawn::cgroup_fd).
Result<Fd> open_cgroup(const std::string& path);
// Processes directly in it, as pids of the caller's pid namespace; none when it does not exist.
std::vector<pid_t> processes_of(const std::string& path);
// Kills every process in it and below; no error when it does not exist.
Status kill_cgroup(const std::string& path);
// Waits until nothing lives in it. Timeout names the processes that stay.
Status wait_until_empty(const std::string& path, Duration limit);
// Removes it and all below; they must be empty. No error when it does not exist.
Status remove_cgroup(const std::string& path);

}  // namespace causeway::lab
