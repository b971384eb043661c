// The other way than adopt.h: flows that the bpf plane's conntrack translates, as nf_conntrack knows them. A node that
// changes to plane netfilter, or to a kube-proxy, keeps its connections when their translations are in nf_conntrack
// before the first packet meets netfilter: a segment of a flow that nobody knows would be balanced anew.
//
// Three times: what the node itself opened, before any rule could translate it; the bulk, while the programs still
// carry everything; the rest, when they are gone.
#pragma once

#include <map>
#include <vector>

#include "abi/ct.h"
#include "kernel/conntrack/conntrack.h"
#include "service/adopt.h"

namespace causeway::service {

struct HandedFlow {
  conntrack::Flow flow;
  abi::ct_key forward, reply;  // its rows
  bool of_node = false;  // opened by the node itself: netfilter sees its packets also while our programs translate
  bool operator==(const HandedFlow&) const = default;
};

// Pure. Live flows of TCP, UDP and SCTP that are translated, or whose replies must not be (from the outside to a Pod's
// own address). Not: connections that the socket hooks lead (nothing translates their packets), those that were reset,
// those of a Service with retries that were left. `now`: seconds of CLOCK_MONOTONIC.
std::vector<HandedFlow> flows_of(const std::map<abi::ct_key, abi::ct_value>& rows, uint32_t now);

struct HandedBack {
  size_t known = 0;            // all that nf_conntrack has now
  std::vector<Error> refused;  // of single flows: their connections end
};
// Makes each known that is not. About 1 us for each connection that is tracked, 10 us for each that is new. SCTP waits
// for its next heartbeat: nobody knows its verification tags any more.
//   Node: netfilter translates them from here on, so their rows are removed one by one.
//   Others: what netfilter tracks of the same packets behind our translation (the node answers them) is left alone.
//   All: nobody else translates any more: what netfilter tracked of the same packets is forgotten first.
Result<HandedBack> hand_back(conntrack::Conntrack& to, bpf::Table<abi::ct_key, abi::ct_value>& rows, Whose whose,
                             uint32_t now);

}  // namespace causeway::service
