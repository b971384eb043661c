// Tracked connections that a change of host ports leaves with a wrong target. Pure.
//
// UDP has no end: a client that goes on sending keeps its flow, and with it the Pod that is gone, for ever (and one
// that sent before the Pod came keeps being refused). TCP to a Pod that is gone waits for its time-outs; forgotten, its
// next segment is answered with a reset.
#pragma once

#include "kernel/conntrack/conntrack.h"
#include "pod/hostport/section.h"

namespace causeway::pod::hostport {

// What may have changed: one list of flows to read for each.
std::vector<conntrack::Filter> filters(const std::vector<ChangedRow>& changed);
// `local` are the node's addresses.
bool is_stale(const conntrack::Flow& flow, const std::vector<ChangedRow>& changed, const Tables& now,
              const std::set<Ip>& local);

}  // namespace causeway::pod::hostport
