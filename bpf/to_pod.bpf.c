// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Host side of a Pod's veth, egress: what the node's stack delivers (redirect_peer does not pass here). Only what is
// for this Pod may enter: an address can be another Pod's by now, and its old /32 route a moment older than that.
#include "lib/path_run.h"

SEC("tc")
int to_pod(struct __sk_buff* ctx) {
  struct packet p;
  if (marked_done(ctx)) return NEXT;
  switch (parse(ctx, &p)) {
    case PARSE_OK: break;
    case PARSE_MALFORMED: return drop(ctx, DROP_MALFORMED);
    case PARSE_NOT_IP: return NEXT;
  }
  if (addr_is_link_local(&p.dst) || addr_is_multicast(&p.dst)) return NEXT;
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &p.dst);
  if (!pod || pod->ifindex != CTX_READ(ctx, ifindex)) return drop(ctx, DROP_MISDELIVERED);
  if (policy_concerns(pod)) {
    __u32 reason = policy_check(ctx, &p, is_of_node(ctx) ? POLICY_FROM_NODE : POLICY_FROM_OTHERS);
    if (reason) return drop(ctx, reason);
  } else if (config.policy && !is_of_node(ctx) && opens_tcp(ctx, &p)) {
    tell_opened(ctx, &p);
  }
  // Of the node itself: its answers to this Pod as an endpoint, and what its sockets send.
  if (config.services && is_of_node(ctx)) {
    __u32 ask = marks_of(pod->ifindex) & SERVICE_MARK_CLIENT ? ASK_FLOW : 0;
    if (path_is_stale(ctx, &p)) ask |= ASK_PEER;
    if (ask) {
      int verdict = service_path(ctx, &p, ask | ASK_NODE | ASK_EGRESS);
      if (verdict != STEP_NONE) return verdict;
    }
  }
  count(ctx, COUNT_FROM_STACK);
  return NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
