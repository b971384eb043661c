// The other way than adopt.h: flows that the bpf plane's conntrack translates, as nf_conntrack knows them. A node that
// changes to plane netfilter, or to a kube-proxy, keeps its connections when their translations are in nf_conntrack
// before the first packet meets netfilter: a segment of a flow that nobody knows would be balanced anew.
//
// Three times: what the node itself opened, before any rule could translate it; the bulk, while the programs still
// carry everything, once netfilter has forgotten what it did not follow; the rest, when they are gone.
#pragma once

#include <map>
#include <set>
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

// Of the rows that Node removes, for which see adopt.h.
Result<Answering> answering_own(const bpf::Table<abi::ct_key, abi::ct_value>& rows, uint32_t now);

struct HandedBack {
  size_t known = 0;            // all that nf_conntrack has now
  std::vector<Error> refused;  // of single flows: their connections end
};
// Makes each known that is not. About 1 us for each connection that is tracked, 10 us for each that is new. SCTP waits
// for its next heartbeat: nobody knows its verification tags any more.
//   Node: netfilter translates them from here on, so their rows are removed one by one. What it translates already, by
//   a kube-proxy's rules, stays as it is.
//   Others: what netfilter tracks of the same packets behind our translation (the node answers them) is left alone.
//   TCP that it remembers from before our programs is made known anew: it has not seen the windows since.
//   All: nobody else translates any more: what netfilter tracked of the same packets is forgotten first, and a
//   connection that went on meanwhile is told as it stands now (a segment that its state does not allow is invalid).
Result<HandedBack> hand_back(conntrack::Conntrack& to, bpf::Table<abi::ct_key, abi::ct_value>& rows, Whose whose,
                             uint32_t now);

// TCP of Pods that nf_conntrack knew before our programs carried it: every segment now acknowledges what it has not
// seen, and would be invalid (a kube-proxy's rules drop those, and so do ours). Forgotten, the next segment makes the
// connection known again. What the node itself opened or answers is left: netfilter followed it.
Status forget_unfollowed(conntrack::Conntrack& in, const std::set<Ip>& pods, const std::set<Ip>& node_addresses);

}  // namespace causeway::service
