/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A new flow to a Service: the pair of rows, with another source address or port where the replies would not come back
 * here otherwise. */
#ifndef CAUSEWAY_LIB_PATH_OPEN_H
#define CAUSEWAY_LIB_PATH_OPEN_H

#include "lib/path.h"

/* The uplink by which the kernel would send; 0: none. */
cold __u32 uplink_toward(struct __sk_buff* ctx, const struct packet* p, const struct ip_addr* to) {
  struct bpf_fib_lookup fib;
  return fib_finds(ask_fib(ctx, &fib, p->family, &p->src, to)) ? fib.ifindex : 0;
}

/* The address that the endpoint shall see, into work.snat. 0: there is none of this family. */
global int choose_source(struct __sk_buff* ctx, const struct packet* p, __u32 ask) {
  struct work* w = this_work();
  if (!p || !w) return 0;
  const struct service_request* r = &w->request;
  const struct ip_addr* to = &r->to.addr;
  bool masquerade = r->masquerade;
  __u32 via = CTX_READ(ctx, ifindex);
  w->snat = (struct ip_addr){};
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, to);
  if (pod) {
    set_mark(pod->ifindex, SERVICE_MARK_BACKEND);
    masquerade |= addr_equal(to, &p->src); /* the Pod itself: it would answer itself past us */
  } else {
    struct route_value* route = find_route(NET_THIS_CLUSTER, to);
    if (route && route->kind == ROUTE_THIS_NODE) {
      set_mark(0, SERVICE_MARK_BACKEND);
      /* The stack answers a client by the uplink, where we see it. To itself it would answer past us, and takes no
       * packet from its own address: it sees the Service's. */
      if (ask & ASK_NODE) w->snat = p->dst;
      return 1;
    }
    if (!route) {
      masquerade |= config.masquerade && !(ask & ASK_OUTSIDE);
      via = uplink_toward(ctx, p, to);
    } else if (route->ifindex) {
      via = route->ifindex;
    }
  }
  if (!masquerade || ask & ASK_NODE) return 1;
  return node_address(via, p->family, &w->snat);
}

/* Both rows of work.flow. The reply row is the reservation (nat.h): where it is taken, by the same client's flow to
 * this endpoint through another Service, the flow gets another port. On NAT_DONE work.row is the forward row, and what
 * is new is counted. */
global int pair_open(struct __sk_buff* ctx, __u32 flags) {
  __u32 zero = 0;
  struct work* w = this_work();
  struct nat_search* search = bpf_map_lookup_elem(&nat_searches, &zero);
  if (!w || !search) return NAT_FULL;
  const struct ct_key* forward = &w->flow.key;
  const struct service_request* r = &w->request;
  struct ct_key* key = &search->key;
  struct ct_value* row = &search->row;
  bool snat = !addr_is_none(&w->snat);
  __builtin_memset(search, 0, sizeof(*search));
  search->now = now_seconds();
  key->net = forward->net;
  key->src = r->to.addr;
  key->dst = snat ? w->snat : forward->src;
  key->sport = r->to.port;
  key->dport = forward->sport;
  key->proto = forward->proto;
  row->to_src = forward->dst;
  row->to_sport = forward->dport;
  row->to_dst = forward->src;
  row->to_dport = forward->sport;
  row->created = search->now;
  row->expires = search->now + ct_lifetime(forward->proto, 0);
  row->flags = CT_F_REPLY | CT_F_REWRITE_SRC | (snat ? CT_F_REWRITE_DST : 0) | flags;
  row->service = r->id;
  row->backend = r->to.backend;
  row->generation = r->to.generation;
  /* Out of the ranges of sockets, also where the client keeps its address: the kernel takes its port to be free for a
   * connection to the endpoint itself (by a socket hook), which passes us unseen and would get this flow's answers. */
  bool keep = nat_port_allowed(bpf_ntohs(forward->sport)) ||
              (!snat && (flags & CT_F_OUTSIDE || forward->proto == IPPROTO_SCTP));
  enum nat_result found = nat_find_port(ctx, (keep ? NAT_KEEP : 0) | (snat ? NAT_ASK_SOCKETS : 0) | NAT_CHANGE);
  if (found != NAT_DONE) return found;

  w->row = *row;
  w->row.to_dst = r->to.addr;
  w->row.to_dport = r->to.port;
  w->row.to_src = key->dst;
  w->row.to_sport = key->dport;
  w->row.flags = CT_F_REWRITE_DST | (row->flags & CT_F_REWRITE_DST ? CT_F_REWRITE_SRC : 0) | flags;
  long err = ct_insert(forward, &w->row);
  if (unlikely(err && err != CT_FULL)) {
    /* Another CPU opened the same flow meanwhile: its endpoint counts, if it still serves. */
    struct ct_value* other = bpf_map_lookup_elem(&conntrack, forward);
    if (other && other->service && other->flags & CT_F_REWRITE_DST) {
      if (backend_serves(other->backend, other->generation, other->service)) {
        bpf_map_delete_elem(&conntrack, key);
        w->row = *other;
        return NAT_DONE;
      }
      path_forget(forward, other);
      err = ct_insert(forward, &w->row);
    }
  }
  if (unlikely(err)) {
    bpf_map_delete_elem(&conntrack, key);
    return NAT_FULL;
  }
  if (flags & CT_F_COUNTED) count_connection(w->row.backend, true);
  count(ctx, COUNT_SERVICE_OPENED);
  return NAT_DONE;
}

global int path_open(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  struct work* w = this_work();
  if (!p || !w) return DROP;
  const struct service_request* r = &w->request;
  if (!choose_source(ctx, p, ask)) return drop(ctx, DROP_NO_ADDRESS);
  if (!(ask & (ASK_OUTSIDE | ASK_NODE))) set_mark(CTX_READ(ctx, ifindex), SERVICE_MARK_CLIENT);
  if (ask & ASK_NODE) set_mark(0, SERVICE_MARK_CLIENT);
  __u32 flags = (ask & ASK_OUTSIDE ? CT_F_OUTSIDE : 0) | (ask & ASK_NODE ? CT_F_NODE : 0);
  if (r->algorithm == SERVICE_LEAST_CONNECTIONS) flags |= CT_F_COUNTED;
  if (r->flags & SERVICE_F_RETRY && w->flow.key.proto == IPPROTO_TCP) flags |= CT_F_RETRY | w->tries << CT_TRIES_SHIFT;
  enum nat_result opened = pair_open(ctx, flags);
  if (unlikely(opened == NAT_FULL) && ct_make_room()) opened = pair_open(ctx, flags);
  switch (opened) {
    case NAT_DONE: break;
    case NAT_NO_PORT: return drop(ctx, DROP_NO_PORT_LEFT);
    case NAT_FULL: return drop(ctx, DROP_CONNTRACK_FULL);
  }
  return STEP_SEND;
}

#endif
