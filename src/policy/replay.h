// Recorded connections judged once more by a change of policies, before anything is applied. Pure.
#pragma once

#include "policy/flow.h"

namespace causeway::policy {

// One that a node has told, once or several times.
struct Recorded {
  std::string source_pod, target_pod;  // NAMESPACE/NAME; "": no Pod
  Ip source, target;
  Port port;
  uint64_t times = 1;
};

struct Replayed {
  bool opens = false;  // else it would be cut
  std::string from, to;
  Port port;
  uint64_t times = 0;
  std::string by;  // who denies it: now, or after the change
};
std::string to_string(const Replayed& one);  // would cut: shop/web -> shop/db:5432/tcp (12 times): NetworkPolicy ...

struct Replay {
  std::vector<Replayed> differences;  // in the order of their ends; what would be cut first
  size_t connections = 0;             // different ones that were judged
  size_t gone = 0;                    // of which an end is a Pod that is no more: nobody can judge them
};
// Connections of the same ends and port count as one. A Pod is found by its name, which it may have under another
// address by now.
Replay replay(const cluster::Model& before_model, const Tables& before, const cluster::Model& after_model,
              const Tables& after, const std::vector<Recorded>& recorded);

}  // namespace causeway::policy
