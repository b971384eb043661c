/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Masquerade: a flow leaves with the node's address and a port that nothing else uses toward that remote endpoint.
 *
 * The reply row is the reservation: who inserts (remote -> node:port) owns the port toward that remote, so one port
 * serves many remotes. Ports come from config.nat_ports, outside of the node's own ranges where enough are left, and a
 * port on which a socket of the node would receive is never taken. */
#ifndef CAUSEWAY_LIB_NAT_H
#define CAUSEWAY_LIB_NAT_H

#include "lib/ct.h"
#include "lib/rewrite.h"

enum nat_result { NAT_DONE = 0, NAT_NO_PORT = 1, NAT_FULL = 2 };

static __always_inline bool nat_port_allowed(__u16 port) {
#pragma unroll
  for (int i = 0; i < NAT_RANGES_MAX; i++)
    if (port >= config.nat_ports[i].first && port <= config.nat_ports[i].last) return true;
  return false;
}

/* Would a socket of this node receive a packet of `key`? */
static __always_inline bool node_socket_receives(struct __sk_buff* ctx, const struct ct_key* key) {
  struct bpf_sock_tuple tuple = {};
  struct bpf_sock* sk;
  __u32 size;
  if (addr_is4(&key->src)) {
    tuple.ipv4.saddr = key->src.word[3];
    tuple.ipv4.daddr = key->dst.word[3];
    tuple.ipv4.sport = key->sport;
    tuple.ipv4.dport = key->dport;
    size = sizeof(tuple.ipv4);
  } else {
    __builtin_memcpy(tuple.ipv6.saddr, &key->src, 16);
    __builtin_memcpy(tuple.ipv6.daddr, &key->dst, 16);
    tuple.ipv6.sport = key->sport;
    tuple.ipv6.dport = key->dport;
    size = sizeof(tuple.ipv6);
  }
  if (key->proto == IPPROTO_TCP)
    sk = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
  else if (key->proto == IPPROTO_UDP)
    sk = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
  else
    return false;
  if (!sk) return false;
  bpf_sk_release(sk);
  return true;
}

/* One search for a port: too large for the stack, one for each CPU (egress runs with bottom halves off). */
struct nat_search {
  struct ct_key key;   /* of the reply row; dport is the candidate */
  struct ct_value row; /* the reply row */
  struct ct_key twin;  /* of the row that has the port */
  __u32 now;
  __u16 start;
  __u16 stride;
  __u8 found;
  __u8 full;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct nat_search);
} nat_searches SEC(".maps");

/* Takes the candidate port if it is free. */
cold bool nat_take(struct __sk_buff* ctx, struct nat_search* search, bool ask_sockets) {
  struct ct_value* taken = bpf_map_lookup_elem(&conntrack, &search->key);
  if (taken) {
    ct_twin_key(&search->key, taken, &search->twin);
    struct ct_value* twin = bpf_map_lookup_elem(&conntrack, &search->twin);
    if (taken->expires > search->now || (twin && twin->expires > search->now)) return false;
    bpf_map_delete_elem(&conntrack, &search->twin);
    bpf_map_delete_elem(&conntrack, &search->key);
  }
  if (ask_sockets && node_socket_receives(ctx, &search->key)) return false;
  long err = ct_insert(&search->key, &search->row);
  if (err == CT_FULL) search->full = 1;
  if (err) return false;
  search->found = 1;
  return true;
}

struct nat_walk {
  struct __sk_buff* ctx;
  struct nat_search* search;
};

static __attribute__((unused)) long nat_try(__u32 index, struct nat_walk* walk) {
  struct nat_search* search = walk->search;
  __u16 port = search->start + index * search->stride;
  if (!nat_port_allowed(port)) return 0;
  search->key.dport = bpf_htons(port);
  return nat_take(walk->ctx, search, true) || search->full;
}

enum nat_how {
  NAT_KEEP = 1 << 0,        /* the port that the key names will do, if it is free */
  NAT_ASK_SOCKETS = 1 << 1, /* not where a socket of the node has it */
  NAT_CHANGE = 1 << 2,      /* another one will do */
};

/* Inserts the reply row of this CPU's search, which its caller filled, under a port that is free; the port is left in
 * its key. `how`: enum nat_how; answers with an enum nat_result. By itself, because the verifier walks all of it for
 * every state of a caller that it is part of. */
global int nat_find_port(struct __sk_buff* ctx, __u32 how) {
  __u32 zero = 0;
  struct nat_search* search = bpf_map_lookup_elem(&nat_searches, &zero);
  if (!search) return NAT_FULL;
  if (!(how & NAT_KEEP && nat_take(ctx, search, how & NAT_ASK_SOCKETS)) && how & NAT_CHANGE && !search->full) {
    __u32 random = bpf_get_prandom_u32();
    struct nat_walk walk = {.ctx = ctx, .search = search};
    search->start = random;
    search->stride = random >> 16 | 1; /* odd: visits each of the 65,536 once */
    search->row.flags |= CT_F_REWRITE_DST;
    bpf_loop(65536, nat_try, &walk, 0);
  }
  if (search->found) return NAT_DONE;
  return search->full ? NAT_FULL : NAT_NO_PORT;
}

/* Opens the pair of a flow that leaves with address `to`. On NAT_DONE, `to_port` is its source port. `forward_flags`:
 * CT_F_NODE for the node's own. */
cold enum nat_result nat_open(struct __sk_buff* ctx, const struct flow* flow, const struct ip_addr* to,
                              __u32 forward_flags, __be16* to_port) {
  __u32 zero = 0;
  struct nat_search* search = bpf_map_lookup_elem(&nat_searches, &zero);
  if (!search) return NAT_FULL;
  struct ct_key* key = &search->key;
  struct ct_value* row = &search->row;
  const struct ct_key* forward = &flow->key;
  __builtin_memset(search, 0, sizeof(*search));
  search->now = now_seconds();
  key->net = forward->net;
  key->src = forward->dst;
  key->dst = *to;
  key->sport = forward->dport;
  key->dport = forward->sport;
  key->proto = forward->proto;
  row->to_dst = forward->src;
  row->to_dport = forward->sport;
  row->created = search->now;
  row->expires = search->now + ct_lifetime(forward->proto, 0);
  row->flags = CT_F_REPLY | CT_F_REWRITE_DST | forward_flags;

  /* The port it has, if it may keep it: an echo id always may, and so may what is the node's own (its socket is not in
   * its own way). Where there is no port that we can rewrite, there is no other choice. */
  bool own = forward_flags & CT_F_NODE;
  bool fixed = !(flow->kind == FLOW_ECHO || (flow->kind == FLOW_PORTS && forward->proto != IPPROTO_SCTP));
  bool keep = fixed || own || flow->kind == FLOW_ECHO || nat_port_allowed(bpf_ntohs(forward->sport));
  enum nat_result found =
      nat_find_port(ctx, (keep ? NAT_KEEP : 0) | (own || fixed ? 0 : NAT_ASK_SOCKETS) | (fixed ? 0 : NAT_CHANGE));
  if (found != NAT_DONE) return found;

  *to_port = key->dport;
  row->to_src = *to;
  row->to_sport = key->dport;
  row->to_dst = (struct ip_addr){};
  row->to_dport = 0;
  row->flags = CT_F_REWRITE_SRC | forward_flags;
  long err = ct_insert(forward, row);
  if (likely(!err)) return NAT_DONE;
  bpf_map_delete_elem(&conntrack, key);
  if (err == CT_FULL) return NAT_FULL;
  /* Another CPU opened the same flow meanwhile: its port counts. */
  struct ct_value* other = bpf_map_lookup_elem(&conntrack, forward);
  if (!other || !(other->flags & CT_F_REWRITE_SRC)) return NAT_FULL;
  *to_port = other->to_sport;
  return NAT_DONE;
}

/* Opens the pair of a flow from outside to a Pod's own address, so that its replies are not masqueraded. */
cold long ct_open_inbound(const struct flow* flow, __u32 now) {
  struct ct_value row = {.created = now, .expires = now + ct_lifetime(flow->key.proto, 0), .flags = CT_F_INBOUND};
  struct ct_key twin;
  long err = ct_insert(&flow->key, &row);
  if (err) return err;
  ct_twin_key(&flow->key, &row, &twin);
  row.flags |= CT_F_REPLY;
  err = ct_insert(&twin, &row);
  if (err) bpf_map_delete_elem(&conntrack, &flow->key);
  return err;
}

#endif
