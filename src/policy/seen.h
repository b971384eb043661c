// Flows as the kernel tells of them, and who decided about them: what a node's flow ring is filled from.
#pragma once

#include <functional>

#include "abi/observe.h"
#include "async/loop.h"
#include "policy/compile.h"

namespace causeway::policy {

enum class Fate : uint8_t {
  Allowed,  // its first packet passed, or a change admits it again
  Dropped,  // a packet that opens it was dropped
  Cut,      // it was open, and a change forbids it
  Closed,   // TCP: both ends are done with it
};
std::string_view to_string(Fate fate);  // "allowed"

struct Seen {
  WallTime time;
  Fate fate = Fate::Allowed;
  Ip source, target;  // who opened it; behind a Service's address the endpoint
  uint16_t source_port = 0, target_port = 0;
  uint8_t protocol = 0;  // IPPROTO_*
  bool from_node = false;
  // Which end forbids it; absent: neither, or a reason that is no policy's.
  std::optional<Direction> denied;
  std::string trouble;  // that reason: "no room to remember a flow"
  // The rules that decided at each end which this node judged; RuleId::None: no rule.
  std::optional<RuleId> egress, ingress;
  bool stale = false;  // judged by the rows of a former agent: its numbers mean nothing now
};

// An event of plane bpf. `bank`: of the rows that count now. `boot`: what CLOCK_MONOTONIC calls 0.
Seen seen(const abi::flow_event& event, uint32_t bank, WallTime boot);

// Who decided, as people say it.
struct Because {
  std::string
      policy;        // "NetworkPolicy shop/web"; several where a Pod is isolated by all of them; "": nothing judges it
  std::string rule;  // "ingress[0]"; "" where no rule did
};
// At the end that says most: the one that denies, else the server's, else the client's. Names are those that the tables
// have now: after a change they may be gone.
Because because(const Compiler& rules, const Seen& seen);

// Where a plane's flows are told.
class FlowSource {
 public:
  virtual ~FlowSource() = default;
  // All that has happened since the last call; never blocks.
  virtual Status read(const std::function<void(const Seen&)>& each) = 0;
  // How many could not be told, since the plane was first loaded.
  virtual uint64_t lost() = 0;
};

}  // namespace causeway::policy
