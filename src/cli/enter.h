// Where a node, a Pod or another place of a lab is: a process of it, and entering its namespaces.
#pragma once

#include <string>

#include "cli/api.h"

namespace causeway::cli {

struct Place {
  pid_t pid = 0;       // in its namespaces, as the host sees it
  std::string cgroup;  // who enters, enters it too: so it ends with the place
  bool network_only = false;
};
// A node's name, "outside", "router", "control", or "[NAMESPACE/]POD" with a container (empty: its first one).
Result<Place> find_place(const lab::LabState& state, const std::string& target, const std::string& container);
// The pause process of a Pod, for its network namespace.
Result<Place> find_sandbox(const lab::LabState& state, const std::string& node, const std::string& pod_uid);

}  // namespace causeway::cli
