// `causeway pod ls` and `causeway ipam`: who has which address of a node, and whether addresses, kernel and API agree.
#pragma once

#include "cli/observe_socket.h"

namespace causeway::cli {

struct AddressOptions {
  AgentPlace place;  // of a lab without `node`: every node
  bool json = false;
};
// 0: agree; 1: something differs, or a node could not be asked.
int pod_ls(const AddressOptions& options);
int ipam(const AddressOptions& options);

}  // namespace causeway::cli
