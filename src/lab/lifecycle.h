// Bringing a lab up, repairing it, taking it down, and finding out how it is.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lab/plan.h"
#include "lab/state.h"

namespace causeway::lab {

// Told about each step in words for people.
using Progress = std::function<void(const std::string& step)>;

// What this machine lacks for a lab, in one sentence; Ok when it lacks nothing.
Status check_machine();

enum class Brought { Made, Repaired, Running };
// Starts the keeper of a new lab, or of one whose keeper has ended (which repairs it), and returns once the API server
// serves and every node's machine runs; what nodes and Pods then do is seen in the API.
// Running: its keeper lives, and nothing was done.
// Errors: AlreadyExists (it is up with other options, or another command works on it), Invalid (options, or others than
// it was made with), Exhausted (inotify instances), Cancelled (SIGINT or SIGTERM). When a new lab cannot be brought up,
// nothing of it stays.
Result<Brought> up(const Spec& spec, const Progress& progress);
Error already_up(const std::string& lab);

// Ends a node's pid 1; the keeper starts the node anew, which registers its Node.
Status restart_node(const std::string& lab, const std::string& node);

// Ends every process of the lab, also an `up` that still works on it, and removes what it leaves. NotFound when there
// is nothing of that name.
Status down(const std::string& lab);

struct NodeState {
  std::string name;
  pid_t nodelet = 0;  // 0: not running
  pid_t agent = 0;
  pid_t dns = 0;
};
struct LabState {
  Spec spec;
  Paths paths;
  bool keeper = false;
  pid_t apiserver = 0;
  pid_t controller = 0;
  std::vector<NodeState> nodes;
  // Every process runs.
  bool whole() const;
};
// NotFound when there is no lab of that name.
Result<LabState> observe(const std::string& lab);

}  // namespace causeway::lab
