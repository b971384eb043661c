// Tracked connections that changes of Services leave with a wrong target: nf_conntrack would lead them there for as
// long as somebody sends.
//
// UDP and SCTP: to an endpoint that serves no more; of a Service that is gone; and those that were tracked without a
// target, while there was no endpoint or no Service. One that still serves (terminating, or out of its pool) keeps its
// flows. TCP ends by itself; only what was tracked untranslated, while somebody had taken our rules away, is forgotten.
#pragma once

#include "kernel/conntrack/conntrack.h"
#include "service/desired.h"

namespace causeway::service {

class StaleFlows {
 public:
  // What is dirty: before it is cleaned.
  void note(const Desired& desired);
  // The kernel held something else for a while: any flow may be wrong. `gone`: frontends that it had and shall not
  // have.
  void note_all(const std::set<FrontendKey>& gone);

  bool empty() const { return !all_ && suspects_.empty() && gone_.empty(); }
  // Lists what may be stale (once for each family and protocol, or for each port if those are few), forgets what is;
  // returns how many. After an error all is still noted. About 1 us for each connection that is tracked.
  Result<size_t> end(conntrack::Conntrack& conntrack, const Desired& desired);

  // Pure: those to be listed, and the judgement of one.
  std::vector<conntrack::Filter> filters() const;
  bool is_stale(const conntrack::Flow& flow, const Desired& desired) const;

 private:
  std::map<PortId, std::set<FrontendKey>> frontends_of_;  // of protocols without an end
  std::map<FrontendKey, PortId> port_of_;
  std::set<FrontendKey> suspects_, gone_;
  bool all_ = false;
};

}  // namespace causeway::service
