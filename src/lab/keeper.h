// The keeper: one process for each lab. It makes the underlay, starts the API server, the controller and the nodes, and
// starts again whatever ends. Killed itself, nothing else ends; a new keeper (`causeway lab up`) adopts all that lives.
#pragma once

#include <string>

namespace causeway::lab {

// Runs until SIGTERM. Writes one line for each step to `report_fd` (-1: none): "step TEXT", at last "up" or "failed
// TEXT". Returns the exit status.
int run_keeper(const std::string& lab, int report_fd);

}  // namespace causeway::lab
