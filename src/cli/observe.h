// `causeway observe`: flows that policies judged, of one node or of all of a lab.
#pragma once

#include "cli/flows.h"

namespace causeway::cli {

struct ObserveOptions {
  AgentPlace place;
  FlowQuery query{.since = "10m", .verdict = "", .pod = ""};
  std::string output;   // "": a line for people; json: one object on a line
  bool follow = false;  // goes on until it is interrupted
};
// 0; 1: no agent answers; 2: what was asked for cannot be.
int observe_flows(const ObserveOptions& options);

}  // namespace causeway::cli
