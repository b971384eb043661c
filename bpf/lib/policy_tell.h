/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events about flows that policies judge, and of TCP connections that none judges (abi/observe.h). Never for each
 * packet: first ones, changes and ends. */
#ifndef CAUSEWAY_LIB_POLICY_TELL_H
#define CAUSEWAY_LIB_POLICY_TELL_H

#include "lib/policy_judge.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct event_gate);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} event_gates SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, EVENTS_RECENT);
  __type(key, __u32);
  __type(value, struct event_recent);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} event_recent SEC(".maps");

/* Of a flow that nobody remembers, a denied one say: each of its packets is a first one. */
cold bool told_lately(const struct policy_work* w, __u32 reason, __u64 now) {
  const __u32* words = (const void*)&w->key;
  __u64 hash = reason;
  for (int i = 0; i < (int)(sizeof(w->key) / 4); i++) {
    hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 32;
  }
  __u32 slot = hash & (EVENTS_RECENT - 1);
  struct event_recent* recent = bpf_map_lookup_elem(&event_recent, &slot);
  if (!recent) return false;
  if (recent->flow == hash && now - recent->time < EVENT_QUIET_NS) return true;
  recent->flow = hash;
  recent->time = now;
  return false;
}

cold bool may_tell(__u64 now, __u64 most) {
  __u32 zero = 0;
  struct event_gate* gate = bpf_map_lookup_elem(&event_gates, &zero);
  if (!gate) return false;
  if (gate->window != now >> EVENT_WINDOW_SHIFT) {
    gate->window = now >> EVENT_WINDOW_SHIFT;
    gate->used = 0;
  }
  if (gate->used >= most) return false;
  ++gate->used;
  return true;
}

/* About the flow of this CPU's work. By itself, so that its frame is no part of the callers'. */
global int tell_flow(__u32 verdict, __u32 reason) {
  struct policy_work* w = this_policy_work();
  __u64 now = bpf_ktime_get_ns();
  if (!w || (verdict == FLOW_DENIED && told_lately(w, reason, now))) return 0;
  __u64 most = w->unjudged ? EVENTS_UNJUDGED : EVENTS_PER_WINDOW;
  struct flow_event* event = may_tell(now, most) ? bpf_ringbuf_reserve(&events, sizeof(*event), 0) : NULL;
  if (!event) {
    count_event(COUNT_EVENT_LOST);
    return 0;
  }
  event->header.time = now;
  event->header.type = EVENT_FLOW;
  event->header.length = sizeof(*event);
  event->src = w->backward ? w->key.dst : w->key.src;
  event->dst = w->backward ? w->key.src : w->key.dst;
  event->sport = w->backward ? w->key.dport : w->key.sport;
  event->dport = w->backward ? w->key.sport : w->key.dport;
  event->proto = w->key.proto;
  event->verdict = verdict;
  event->node = w->node;
  event->reserved = 0;
  event->reason = reason;
  event->bank = w->bank;
  event->egress_set = w->egress_set;
  event->egress_rule = w->egress_rule;
  event->ingress_set = w->ingress_set;
  event->ingress_rule = w->ingress_rule;
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
  return 0;
}

/* A look at the flags where they are at hand: what begins by another protocol would need a look-up for each packet. */
static __always_inline bool opens_tcp(struct __sk_buff* ctx, const struct packet* p) {
  if (p->proto != IPPROTO_TCP || p->fragment == FRAGMENT_LATER) return false;
  __u8* flags = ctx_data(ctx) + (p->transport & 0x7f) + 13;
  if ((void*)(flags + 1) > ctx_end(ctx)) return false;
  return (*flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* Nobody remembers it: what is sent again is told once in a while. */
cold void tell_unjudged(struct policy_work* w) {
  w->bank = w->egress_set = w->egress_rule = w->ingress_set = w->ingress_rule = 0;
  w->backward = w->node = 0;
  w->unjudged = 1;
  if (!told_lately(w, 0, bpf_ktime_get_ns())) tell_flow(FLOW_ALLOWED, 0);
  w->unjudged = 0;
}

/* What was judged is told at the beginning. */
cold void tell_closed(struct policy_work* w, __u32 flags) {
  w->bank = w->egress_set = w->egress_rule = w->ingress_set = w->ingress_rule = 0;
  w->node = !!(flags & POLICY_FLOW_NODE);
  tell_flow(FLOW_CLOSED, 0);
}

#endif
