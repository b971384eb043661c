/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Conntrack: rows in linked pairs (abi/ct.h), lazy expiry, liberal about what a TCP peer sends: no window tracking, so
 * nothing is ever called invalid (kubernetes#74839). */
#ifndef CAUSEWAY_LIB_CT_H
#define CAUSEWAY_LIB_CT_H

#include "lib/flow.h"

/* The tuple after this row's translation, turned round: the key of the other row. */
static __always_inline void ct_twin_key(const struct ct_key* key, const struct ct_value* value, struct ct_key* twin) {
  bool source = value->flags & CT_F_REWRITE_SRC, target = value->flags & CT_F_REWRITE_DST;
  twin->net = key->net;
  twin->src = target ? value->to_dst : key->dst;
  twin->dst = source ? value->to_src : key->src;
  twin->sport = target ? value->to_dport : key->dport;
  twin->dport = source ? value->to_sport : key->sport;
  twin->proto = key->proto;
  twin->reserved[0] = twin->reserved[1] = twin->reserved[2] = 0;
}

static __always_inline struct ct_value* ct_twin(const struct ct_key* key, const struct ct_value* value) {
  struct ct_key twin;
  ct_twin_key(key, value, &twin);
  return bpf_map_lookup_elem(&conntrack, &twin);
}

/* A pair lives until both rows have expired. */
cold bool ct_pair_alive(const struct ct_key* key, const struct ct_value* value, __u32 now) {
  struct ct_value* twin = ct_twin(key, value);
  return twin && twin->expires > now;
}

cold void ct_remove_pair(const struct ct_key* key, const struct ct_value* value) {
  struct ct_key own = *key, twin;
  ct_twin_key(key, value, &twin);
  bpf_map_delete_elem(&conntrack, &twin);
  bpf_map_delete_elem(&conntrack, &own);
}

static __always_inline bool ct_is_closed(__u32 flags) {
  __u32 fins = CT_F_FIN_FORWARD | CT_F_FIN_REPLY;
  return flags & CT_F_RESET || (flags & fins) == fins;
}

static __always_inline __u32 ct_lifetime(__u8 proto, __u32 flags) {
  if (proto == IPPROTO_TCP) {
    __u32 fins = flags & (CT_F_FIN_FORWARD | CT_F_FIN_REPLY);
    if (flags & CT_F_RESET) return CT_TCP_RESET;
    if (fins == (CT_F_FIN_FORWARD | CT_F_FIN_REPLY)) return CT_TCP_CLOSED;
    if (fins) return CT_TCP_HALF_CLOSED;
    return flags & CT_F_SEEN_REPLY ? CT_TCP_ESTABLISHED : CT_TCP_OPENING;
  }
  if (proto == IPPROTO_UDP) return flags & CT_F_SEEN_REPLY ? CT_UDP_REPLIED : CT_UDP_UNREPLIED;
  if (proto == IPPROTO_SCTP) return flags & CT_F_CONFIRMED ? CT_SCTP_ESTABLISHED : CT_SCTP_OPENING;
  return is_icmp(proto) ? CT_ICMP : CT_OTHER;
}

enum { CT_STATE_FLAGS = CT_F_SEEN_REPLY | CT_F_FIN_FORWARD | CT_F_FIN_REPLY | CT_F_RESET | CT_F_CONFIRMED };

/* The state after a packet, whatever it says. */
static __always_inline __u32 ct_heard(__u32 state, __u8 proto, bool reply) {
  if (reply) return state | CT_F_SEEN_REPLY;
  return proto == IPPROTO_SCTP && state & CT_F_SEEN_REPLY ? state | CT_F_CONFIRMED : state;
}

/* Both sides take part; before that a flow makes room for others. */
static __always_inline bool ct_is_answered(__u8 proto, __u32 flags) {
  return flags & (proto == IPPROTO_SCTP ? CT_F_CONFIRMED : CT_F_SEEN_REPLY);
}

/* Both rows tell one state; it changes a few times in a flow's life. */
cold void ct_set_state(const struct ct_key* key, struct ct_value* value, __u32 state, __u32 expires) {
  struct ct_value* twin = ct_twin(key, value);
  value->flags = (value->flags & ~CT_STATE_FLAGS) | state;
  value->expires = expires;
  if (!twin) return;
  twin->flags = (twin->flags & ~CT_STATE_FLAGS) | state;
  twin->expires = expires;
}

/* A packet of the flow passed: moves its state, renews its life. */
static __always_inline void ct_touch(struct ct_value* value, const struct flow* flow, __u32 now) {
  __u32 flags = value->flags;
  bool reply = flags & CT_F_REPLY;
  __u32 state = ct_heard(flags & CT_STATE_FLAGS, flow->key.proto, reply);
  if (flow->key.proto == IPPROTO_TCP && flow->kind == FLOW_PORTS) {
    bool closed = ct_is_closed(state);
    if (flow->tcp_flags & TCP_FIN) state |= reply ? CT_F_FIN_REPLY : CT_F_FIN_FORWARD;
    if (flow->tcp_flags & TCP_RST) state |= CT_F_RESET;
    /* The tuple is used again: a new connection in the old row. */
    if (!reply && closed && (flow->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN) state = 0;
    /* A reset that the other side does not believe (out of window): data goes on, and so does the flow. */
    else if (closed && state & CT_F_RESET && !(flow->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)))
      state &= ~CT_F_RESET;
  }
  __u32 expires = now + ct_lifetime(flow->key.proto, state);
  if (state != (flags & CT_STATE_FLAGS))
    ct_set_state(&flow->key, value, state, expires);
  else if (value->expires != expires)
    value->expires = expires;
}

/* The live row of this packet's flow; NULL: none. */
static __always_inline struct ct_value* ct_lookup(const struct ct_key* key, __u32 now) {
  struct ct_value* value = bpf_map_lookup_elem(&conntrack, key);
  if (!value) return NULL;
  if (unlikely(value->expires <= now) && !ct_pair_alive(key, value, now)) {
    ct_remove_pair(key, value);
    return NULL;
  }
  return value;
}

/* The same, touched. */
static __always_inline struct ct_value* ct_find(const struct flow* flow, __u32 now) {
  struct ct_value* value = ct_lookup(&flow->key, now);
  if (value) ct_touch(value, flow, now);
  return value;
}

/* When the map is full: what is dead, closing or was never answered makes room; an established flow never does. A walk
 * at most every 100 ms, of at most so many rows, so that a flood cannot buy more than some milliseconds of each second.
 */
enum { EVICT_INTERVAL_NS = 100000000, EVICT_ROWS = 1024 };

__u64 evict_last; /* nanoseconds of CLOCK_MONOTONIC */

struct evict_walk {
  __u32 now;
  __u32 evicted;
};

static __attribute__((unused)) long evict_one(void* map, struct ct_key* key, struct ct_value* value,
                                              struct evict_walk* walk) {
  bool dead = value->expires <= walk->now && !ct_pair_alive(key, value, walk->now);
  bool closing = ct_is_closed(value->flags);
  bool unanswered = !ct_is_answered(key->proto, value->flags) && !(value->flags & (CT_F_INBOUND | CT_F_NODE));
  if (!dead && !closing && !unanswered) return 0;
  ct_remove_pair(key, value);
  return ++walk->evicted >= EVICT_ROWS;
}

/* Not 0: there is room now. */
global int ct_make_room(void) {
  __u64 now = bpf_ktime_get_coarse_ns(), last = evict_last;
  if (now - last < EVICT_INTERVAL_NS) return 0;
  if (__sync_val_compare_and_swap(&evict_last, last, now) != last) return 0;
  struct evict_walk walk = {.now = now_seconds()};
  bpf_for_each_map_elem(&conntrack, evict_one, &walk, 0);
  if (!walk.evicted) return 0;
  __u32 reason = COUNT_EVICTED;
  struct counter_value* counter = bpf_map_lookup_elem(&counters, &reason);
  if (counter) counter->packets += walk.evicted;
  return 1;
}

enum { CT_FULL = -7 /* E2BIG */ };

/* An int: before 6.4 the maps' own functions answered with one, and a program that calls them directly finds nothing in
 * the upper half of the register. */
static __always_inline int ct_insert(const struct ct_key* key, const struct ct_value* value) {
  return (int)bpf_map_update_elem(&conntrack, key, value, BPF_NOEXIST);
}

#endif
