// Pages of an agent, by its Unix socket (src/observe): what the node knows and what its kernel holds.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::cli {

// Where an agent is: this machine's own, or a node's of a lab.
struct AgentPlace {
  std::string lab;                    // "": this machine
  std::string node;                   // of the lab; "": its first
  std::string run = "/run/causeway";  // of the agent
};
// The place itself, or every node of a lab of which none is named.
Result<std::vector<AgentPlace>> places_of(const AgentPlace& place);
// The text of a page ("/services"). Blocks for 10 s at most. Errors: Invalid and NotFound as the page says it of what
// it was asked; Unavailable (no agent, or it cannot tell yet).
// `socket`: of which of the node's processes, by the name of its socket in the same folder.
Result<std::string> fetch_page(const AgentPlace& place, const std::string& target,
                               const std::string& socket = "observe.sock");

}  // namespace causeway::cli
