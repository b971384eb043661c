// Processes of Pods: the pause process that holds a Pod's namespaces, and containers in them. What a container runtime
// is to kubelet.
#pragma once

#include <string>
#include <vector>

#include "kube/api/types.h"
#include "lab/nodelet/environment.h"
#include "lab/root.h"
#include "lab/spawn.h"

namespace causeway::lab {

inline constexpr const char* kLogFolder = "/var/log/pods";

std::string random_id();  // 64 hexadecimal digits
std::string pod_cgroup(const std::string& pod_uid);
std::string container_cgroup(const kube::Pod& pod, const std::string& container);
std::string log_path(const kube::Pod& pod, const std::string& container, int restart);

// A sysctl that the Pod asks for and cannot have, with the reason; Ok when all can be set.
Status check_sysctls(const kube::Pod& pod);

// Starts the pause process with new network, IPC and UTS namespaces (only IPC with hostNetwork), lo up, sysctls set.
Result<Child> start_sandbox(const kube::Pod& pod, const std::string& hostname);

struct ContainerStart {
  const kube::Pod& pod;
  const kube::Container& container;
  ProcessImage process;
  Identity identity;
  std::string directory;
  std::string root;        // the file system below its own writes
  bool image = false;      // `root` is an unpacked image, not the machine's
  bool read_only = false;  // nothing may be written but volumes
  std::vector<BindMount> mounts;
  pid_t sandbox = 0;
  int restart = 0;  // numbers the log
  std::vector<std::pair<std::string, std::string>> files;
  std::vector<std::string> submounts;
};
Result<Child> start_container(const ContainerStart& start);

// The command line of the built-in workload for this container.
std::vector<std::string> workload_argv(const kube::Pod& pod, const kube::Container& container, const std::string& node);

void send_signal(int pidfd, int signal);
// Removes cgroup and logs of a Pod that has ended.
void remove_leftovers(const kube::Pod& pod, bool logs);

}  // namespace causeway::lab
