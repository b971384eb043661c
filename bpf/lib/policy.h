/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Policies, packet by packet: a flow that is known passes by one look-up, the first packet of a new one is judged at
 * both ends that are Pods of this node. Packets of Pods that no policy selects (POD_F_OPEN) never come here, but for
 * those that open a TCP connection: they are told. */
#ifndef CAUSEWAY_LIB_POLICY_H
#define CAUSEWAY_LIB_POLICY_H

#include "lib/policy_tell.h"

enum policy_origin { POLICY_FROM_OTHERS = 0, POLICY_FROM_NODE = 1 };

/* Whether policies have a say about what this Pod sends or gets. NULL: no Pod of this node. */
static __always_inline bool policy_concerns(const struct pod_value* pod) {
  return config.policy && pod && !(pod->flags & POD_F_OPEN);
}

/* One key for both directions. */
static __always_inline bool is_greater_end(const struct ct_key* key) {
  for (int i = 0; i < 4; i++)
    if (key->src.word[i] != key->dst.word[i]) return key->src.word[i] > key->dst.word[i];
  return key->sport > key->dport;
}
cold void policy_order(struct policy_work* w) {
  const struct ct_key* key = &w->key;
  w->turned = is_greater_end(key);
  w->both = *key;
  if (!w->turned) return;
  w->both.src = key->dst;
  w->both.dst = key->src;
  w->both.sport = key->dport;
  w->both.dport = key->sport;
}

/* As ct_touch(): liberal about what a TCP peer sends. */
static __always_inline void policy_touch(struct policy_flow* row, const struct policy_work* w, bool reply, __u32 now) {
  __u32 state = ct_heard(row->flags & CT_STATE_FLAGS, w->key.proto, reply);
  if (w->key.proto == IPPROTO_TCP && w->flow.kind == FLOW_PORTS) {
    bool closed = ct_is_closed(state);
    if (w->flow.tcp_flags & TCP_FIN) state |= reply ? CT_F_FIN_REPLY : CT_F_FIN_FORWARD;
    if (w->flow.tcp_flags & TCP_RST) state |= CT_F_RESET;
    if (!reply && closed && w->syn)
      state = 0;
    else if (closed && state & CT_F_RESET && !(w->flow.tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)))
      state &= ~CT_F_RESET;
  }
  __u32 flags = (row->flags & ~CT_STATE_FLAGS) | state, expires = now + ct_lifetime(w->key.proto, state);
  if (row->flags != flags) row->flags = flags;
  if (row->expires != expires) row->expires = expires;
}

/* As ct_make_room(): what is dead, closing or was never answered. */
__u64 policy_evict_last; /* nanoseconds of CLOCK_MONOTONIC */

static __attribute__((unused)) long policy_evict_one(void* map, struct ct_key* key, struct policy_flow* row,
                                                     struct evict_walk* walk) {
  if (row->expires > walk->now && !ct_is_closed(row->flags) && ct_is_answered(key->proto, row->flags)) return 0;
  struct ct_key own = *key;
  bpf_map_delete_elem(&policy_flows, &own);
  return ++walk->evicted >= EVICT_ROWS;
}
global int policy_make_room(void) {
  __u64 now = bpf_ktime_get_coarse_ns(), last = policy_evict_last;
  if (now - last < EVICT_INTERVAL_NS) return 0;
  if (__sync_val_compare_and_swap(&policy_evict_last, last, now) != last) return 0;
  struct evict_walk walk = {.now = now_seconds()};
  bpf_for_each_map_elem(&policy_flows, policy_evict_one, &walk, 0);
  return walk.evicted != 0;
}

cold int policy_remember(const struct policy_work* w, __u32 flags, __u32 epoch, __u32 now) {
  struct policy_flow row = {
      .expires = now + ct_lifetime(w->key.proto, 0), .epoch = epoch, .flags = flags, .rule = w->rule};
  if (!(int)bpf_map_update_elem(&policy_flows, &w->both, &row, BPF_ANY)) return 0;
  if (policy_make_room() && !(int)bpf_map_update_elem(&policy_flows, &w->both, &row, BPF_ANY)) return 0;
  return DROP_POLICY_FULL;
}

/* TCP says how it begins; in the middle the end with a port as clients have it is the client
 * (net.ipv4.ip_local_port_range begins with 32768). Where that does not tell, both directions have to be admitted. */
static __always_inline __u32 policy_guess_of(const struct policy_work* w) {
  if (w->key.proto != IPPROTO_TCP || w->flow.kind != FLOW_PORTS) return GUESS_SENDER;
  if (w->flow.tcp_flags & TCP_SYN) return w->flow.tcp_flags & TCP_ACK ? GUESS_RECEIVER : GUESS_SENDER;
  bool from = bpf_ntohs(w->key.sport) >= 32768, to = bpf_ntohs(w->key.dport) >= 32768;
  if (from == to) return GUESS_NOBODY;
  return from ? GUESS_SENDER : GUESS_RECEIVER;
}

/* Of a flow that nobody remembers. 0: it passes; else why not. */
cold int policy_first(struct policy_work* w, __u32 origin, __u32 epoch, __u32 now) {
  const struct ct_key* key = &w->key;
  bool node = origin == POLICY_FROM_NODE, turned = w->turned;
  __u32 guess = policy_guess_of(w);
  w->backward = 0;
  if (guess != GUESS_RECEIVER) {
    if (!policy_judge(w, &key->src, &key->dst, key->dport, node)) return w->reason;
  }
  if (guess != GUESS_SENDER) {
    w->backward = 1;
    if (!policy_judge(w, &key->dst, &key->src, key->sport, false)) return w->reason;
    if (guess == GUESS_RECEIVER) turned = !turned;
    node = false;
  }
  if (!w->opens) return 0;
  __u32 flags = (turned ? POLICY_FLOW_TURNED : 0) | (node ? POLICY_FLOW_NODE : 0);
  return policy_remember(w, flags, epoch, now);
}

/* Of a flow that is remembered, and of which something changed. */
cold void policy_again(struct policy_work* w, struct policy_flow* row, __u32 epoch) {
  const struct ct_key* key = &w->key;
  bool node = row->flags & POLICY_FLOW_NODE, was = !(row->flags & POLICY_FLOW_DENIED);
  bool admitted = w->backward ? policy_judge(w, &key->dst, &key->src, key->sport, node)
                              : policy_judge(w, &key->src, &key->dst, key->dport, node);
  row->flags = admitted ? row->flags & ~POLICY_FLOW_DENIED : row->flags | POLICY_FLOW_DENIED;
  row->rule = w->rule;
  row->epoch = epoch;
  if (admitted != was) tell_flow(admitted ? FLOW_ALLOWED : FLOW_CUT, admitted ? 0 : w->reason);
}

/* w->key and what goes with it are filled. 0: it passes; else why not. By itself: the verifier walks it once. */
global int policy_pass(struct __sk_buff* ctx, __u32 origin) {
  struct policy_work* w = this_policy_work();
  __u32 zero = 0, now = now_seconds();
  /* Before anything that it counts is read. */
  __u32* changes = bpf_map_lookup_elem(&policy_epoch, &zero);
  if (!w || !changes) return DROP_POLICY_UNKNOWN;
  __u32 epoch = *(volatile __u32*)changes;
  w->length = CTX_READ(ctx, len);
  policy_order(w);
  struct policy_flow* row = bpf_map_lookup_elem(&policy_flows, &w->both);
  bool reply = row && !!(row->flags & POLICY_FLOW_TURNED) != w->turned;
  /* A reply that is none: the other side opens a connection with the ports of an old one. */
  if (!row || row->expires <= now || (reply && w->syn)) {
    int reason = policy_first(w, origin, epoch, now);
    if (w->opens) tell_flow(reason ? FLOW_DENIED : FLOW_ALLOWED, reason);
    return reason;
  }
  w->backward = reply;
  if (unlikely(row->epoch != epoch)) policy_again(w, row, epoch);
  if (row->flags & POLICY_FLOW_DENIED) return DROP_POLICY_CUT;
  bool closed = ct_is_closed(row->flags);
  policy_touch(row, w, reply, now);
  if (unlikely(!closed && ct_is_closed(row->flags))) tell_closed(w, row->flags);
  return 0;
}

static __always_inline void policy_take(struct policy_work* w, const struct flow* flow) {
  w->key = flow->key;
  w->flow.kind = flow->kind;
  w->flow.tcp_flags = flow->tcp_flags;
  w->opens = flow->opens;
  w->syn = flow->key.proto == IPPROTO_TCP && (flow->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* A packet that opens a TCP connection between ends that no policy judges. */
global int tell_opened(struct __sk_buff* ctx, struct packet* p) {
  struct policy_work* w = this_policy_work();
  if (!p || !w) return 0;
  flow_of(ctx, p, NET_THIS_CLUSTER, &w->flow);
  if (w->flow.kind != FLOW_PORTS) return 0;
  policy_take(w, &w->flow);
  tell_unjudged(w);
  return 0;
}

/* Neighbour discovery and multicast listeners (RFC 4861, RFC 3810): of the link, not of a flow. */
static __always_inline bool is_of_link6(struct __sk_buff* ctx, const struct packet* p) {
  if (p->proto != IPPROTO_ICMPV6 || p->fragment != FRAGMENT_NONE) return false;
  __u8 type;
  if (bpf_skb_load_bytes(ctx, p->transport, &type, 1)) return false;
  if (type >= 133 && type <= 136) return p->ttl == 255;
  return (type >= 130 && type <= 132) || type == 143;
}

/* A packet that nobody translates. 0: it passes; else why not. */
global int policy_check(struct __sk_buff* ctx, struct packet* p, __u32 origin) {
  struct policy_work* w = this_policy_work();
  if (!p || !w) return DROP_MALFORMED;
  if (p->fragment != FRAGMENT_LATER && !find_transport(ctx, p)) return DROP_MALFORMED;
  if (p->family == 6 && is_of_link6(ctx, p)) return 0;
  flow_of(ctx, p, NET_THIS_CLUSTER, &w->flow);
  switch (w->flow.kind) {
    case FLOW_MALFORMED: return DROP_MALFORMED;
    case FLOW_EARLY: return origin == POLICY_FROM_NODE ? 0 : DROP_FRAGMENT_EARLY;
    case FLOW_ICMP_ERROR: {
      if (origin == POLICY_FROM_NODE) return 0;
      /* About a flow that passes: so does the error (RFC 1122 section 3.2.2). */
      if (read_quoted(ctx, p, NET_THIS_CLUSTER, &w->quoted)) {
        w->key = w->quoted.flow.key;
        policy_order(w);
        struct policy_flow* row = bpf_map_lookup_elem(&policy_flows, &w->both);
        if (row && row->expires > now_seconds() && !(row->flags & POLICY_FLOW_DENIED)) return 0;
      }
      w->flow.kind = FLOW_PLAIN;
      w->flow.opens = 0;
      break;
    }
  }
  policy_take(w, &w->flow);
  return policy_pass(ctx, origin);
}

#endif
