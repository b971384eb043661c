// Recorded flows of nodes, by their agents' sockets.
#pragma once

#include <string>
#include <vector>

#include "cli/observe_socket.h"
#include "observe/flow.h"

namespace causeway::cli {

struct FlowQuery {
  std::string since;    // 10m
  std::string verdict;  // "": all
  std::string pod;      // "": all
};
// Invalid for what the page would refuse, without asking it. A Pod without namespace is one of `default`.
Result<FlowQuery> check_query(FlowQuery query);

struct NodeFlows {
  std::string node;
  uint64_t last = 0;  // number of the newest, whatever was asked for
  uint64_t lost = 0;  // that were never told or kept
  std::vector<observe::Flow> flows;
};
// `after`: numbers above this one.
Result<NodeFlows> fetch_flows(const AgentPlace& place, const FlowQuery& query, uint64_t after = 0);

}  // namespace causeway::cli
