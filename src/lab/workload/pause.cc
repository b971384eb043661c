// The pause process: it holds a Pod's namespaces and does nothing.
#include <csignal>

#include "lab/workload/workload.h"

namespace causeway::workload {

int pause() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}

}  // namespace causeway::workload
