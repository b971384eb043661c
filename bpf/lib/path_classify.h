/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The first step: whose packet is it? */
#ifndef CAUSEWAY_LIB_PATH_CLASSIFY_H
#define CAUSEWAY_LIB_PATH_CLASSIFY_H

#include "lib/path_retry.h"

/* A flow to a Service that has rows. TCP keeps its endpoint, whatever became of that; the others go elsewhere when
 * theirs no longer serves. No window is tracked: nothing of a known flow passes untranslated. */
cold int classify_known(struct __sk_buff* ctx, struct work* w, struct ct_value* row, __u32 now) {
  struct flow* flow = &w->flow;
  __u32 flags = row->flags;
  bool syn = !(flags & CT_F_REPLY) && is_syn(flow); /* false of a fragment: it has no flags */
  if (flags & CT_F_ABANDONED || (flags & CT_F_AGAIN && !syn)) return drop(ctx, DROP_SERVICE_SWALLOWED);
  if (flow->key.proto == IPPROTO_TCP && flow->kind == FLOW_PORTS) {
    bool closed = ct_is_closed(flags);
    if (syn && !closed && flags & CT_F_RETRY && !(flags & CT_F_SEEN_REPLY)) {
      retry_leave(ctx, w, row, now);
      return STEP_NEW;
    }
    /* The port is used again: a new connection, perhaps to another endpoint. Also where the end of the old one was not
     * seen: an endpoint that is gone answers nothing that could tell. */
    if (syn && (closed || !backend_serves(row->backend, row->generation, row->service))) {
      path_forget(&flow->key, row);
      return STEP_NEW;
    }
    /* The client's port is used again past us, to the endpoint itself (by a socket hook, or the client knows its
     * address): this answers a SYN that we did not translate. */
    if (flags & CT_F_REPLY && closed && (flow->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK)) {
      path_forget(&flow->key, row);
      return STEP_NEW;
    }
    if (retry_may(flags) && flow->tcp_flags & TCP_RST) {
      w->key = flow->key;
      return STEP_RETRY;
    }
    if (flags & CT_F_COUNTED && !ct_is_closed(flags)) {
      __u32 backend = row->backend;
      ct_touch(row, flow, now);
      if (ct_is_closed(row->flags)) {
        struct ct_value* twin = ct_twin(&flow->key, row);
        row->flags &= ~CT_F_COUNTED;
        if (twin) twin->flags &= ~CT_F_COUNTED;
        count_connection(backend, false);
      }
      w->row = *row;
      return STEP_SEND;
    }
  } else if (flow->key.proto != IPPROTO_TCP && !(flags & CT_F_REPLY) &&
             !backend_serves(row->backend, row->generation, row->service)) {
    count(ctx, COUNT_SERVICE_RESTEERED);
    path_forget(&flow->key, row);
    return STEP_NEW;
  }
  ct_touch(row, flow, now);
  w->row = *row;
  return STEP_SEND;
}

/* A TCP segment that opens nothing, to a Service: of a connection that nobody knows any more. Its sender shall know. To
 * an address of the node it may be the node's own connection. */
cold int classify_stray(struct __sk_buff* ctx, struct work* w, __u32 ask) {
  struct service_value* row = bpf_map_lookup_elem(&services, &w->request.key);
  if (!row || row->kind == SERVICE_NODE_PORT || row->kind == SERVICE_HOST_PORT) return STEP_NONE;
  if (ask & ASK_OUTSIDE && row->outside.verdict != SERVICE_BALANCE) return drop(ctx, DROP_SERVICE_OUTSIDE);
  count(ctx, COUNT_SERVICE_REJECTED);
  return w->flow.tcp_flags & TCP_RST ? DROP : STEP_RESET;
}

/* A new flow: for a Service? */
global int path_new(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  struct work* w = this_work();
  if (!p || !w) return DROP;
  struct flow* flow = &w->flow;
  struct service_request* r = &w->request;
  r->key.net = flow->key.net;
  r->key.addr = p->dst;
  r->key.port = flow->key.dport;
  r->key.proto = flow->key.proto;
  r->key.reserved = 0;
  r->source = p->src;
  r->outside = !!(ask & ASK_OUTSIDE);
  r->from_node = !!(ask & ASK_NODE);
  if (ask & ASK_PEER) {
    struct socket_peer* peer = socket_peer_of(ctx);
    if (!peer) return STEP_NONE;
    r->key.addr = peer->service;
    if (is_loopback(&r->key.addr)) set_known_loopback(&r->key.addr);
    r->key.port = peer->service_port;
    count(ctx, COUNT_SERVICE_RESTEERED);
  }
  if (flow->key.proto == IPPROTO_TCP && flow->kind == FLOW_PORTS && !is_syn(flow)) return classify_stray(ctx, w, ask);
  int verdict = service_select(r);
  if (verdict == SERVICE_REJECT && r->except) { /* no other: the same once more */
    r->except = 0;
    verdict = service_select(r);
  }
  switch (verdict) {
    case SERVICE_BALANCE:
      /* The first one opened the flow, or was refused: a later fragment alone is of no use to anybody. */
      return flow->kind == FLOW_FRAGMENT ? drop(ctx, DROP_FRAGMENT_EARLY) : STEP_OPEN;
    case SERVICE_DROP: return drop(ctx, r->reason);
    case SERVICE_REJECT: break;
    default:
      if (!(ask & ASK_PEER)) return STEP_NONE;
      r->reason = COUNT_SERVICE_REJECTED; /* the Service is gone, the endpoint too */
  }
  /* RFC 1122 section 3.2.2: no ICMP error about a later fragment. */
  if (flow->kind == FLOW_FRAGMENT) return drop(ctx, DROP_FRAGMENT_EARLY);
  /* A ping of a Service's address says that this node serves it (an address is known only to the inside). */
  if (flow->kind == FLOW_ECHO && flow->opens) return STEP_ECHO;
  count(ctx, r->reason);
  return flow->key.proto == IPPROTO_TCP && flow->kind == FLOW_PORTS ? STEP_RESET : STEP_REFUSE;
}

global int path_classify(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  struct work* w = this_work();
  if (!p || !w) return DROP;
  if (!find_transport(ctx, p)) return STEP_NONE;
  struct flow* flow = &w->flow;
  flow_of(ctx, p, NET_THIS_CLUSTER, flow);
  w->request.except = 0;
  w->tries = 0;
  w->hopeless = 0;
  w->related = 0;
  switch (flow->kind) {
    case FLOW_MALFORMED: return STEP_NONE;
    case FLOW_ICMP_ERROR: return STEP_ERROR;
    case FLOW_EARLY:
      /* Its ports are unknown. To an address that has nothing but Services it must not pass. */
      if (ask & ASK_SERVICE && service_has_address(NET_THIS_CLUSTER, &p->dst)) return drop(ctx, DROP_FRAGMENT_EARLY);
      return STEP_NONE;
  }
  if (ask & (ASK_FLOW | ASK_PEER)) {
    __u32 now = now_seconds();
    struct ct_value* row = ct_lookup(&flow->key, now);
    if (row && row->service) {
      int step = classify_known(ctx, w, row, now);
      if (step != STEP_NEW) return step;
    } else if (row && ask & ASK_PEER) {
      /* masquerade() made it: the endpoint that is gone was outside of the cluster. */
      ct_remove_pair(&flow->key, row);
    } else if (row) {
      if (!(ask & ASK_MASQUERADE)) return STEP_NONE;
      ct_touch(row, flow, now);
      if (!(row->flags & CT_F_REWRITE_DST)) return STEP_NONE;
      w->row = *row;
      return STEP_SEND;
    }
  }
  return ask & (ASK_SERVICE | ASK_PEER) ? STEP_NEW : STEP_NONE;
}

#endif
