// The agent's socket for causeway-cni: one connection, one message, one answer.
#pragma once

#include <memory>

#include "pod/server.h"

namespace causeway::pod {

class Listener {
 public:
  virtual ~Listener() = default;
};

// Listens from now until the listener is destroyed, which cancels the calls that are still running. Borrows loop and
// server. A socket that a killed agent left is replaced; AlreadyExists: another agent answers there.
Result<std::unique_ptr<Listener>> listen(Loop& loop, CniServer& server, std::string path);

}  // namespace causeway::pod
