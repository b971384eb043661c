/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet and what to rewrite in it (work.row): where does it go then? Decided, and its size judged, before anything
 * is written, so that an answer quotes what the sender sent. */
#ifndef CAUSEWAY_LIB_PATH_SEND_H
#define CAUSEWAY_LIB_PATH_SEND_H

#include "lib/path.h"

/* 0: it could not be written. By itself: see nat_find_port(). */
global int translate(struct __sk_buff* ctx, struct packet* p) {
  struct work* w = this_work();
  if (!p || !w) return 0;
  struct ct_value* row = &w->row;
  if (row->service)
    count(ctx, COUNT_SERVICE_TRANSLATED);
  else if (!(row->flags & CT_F_NODE))
    count(ctx, COUNT_UNMASQUERADED);
  if (row->flags & CT_F_REWRITE_DST && rewrite_target(ctx, p, &w->flow, &row->to_dst, row->to_dport)) return 0;
  if (row->flags & CT_F_REWRITE_SRC && rewrite_source(ctx, p, &w->flow, &row->to_src, row->to_sport)) return 0;
  if (w->flow.kind != FLOW_PORTS || w->flow.key.proto != IPPROTO_SCTP) return 1;
  __be16 source = row->flags & CT_F_REWRITE_SRC ? row->to_sport : w->flow.key.sport;
  __be16 target = row->flags & CT_F_REWRITE_DST ? row->to_dport : w->flow.key.dport;
  return (source == w->flow.key.sport && target == w->flow.key.dport) || !rewrite_sctp(ctx, p, source, target);
}

/* Translates; one hop less, but for what the node itself sent. */
cold bool translate_hop(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  return translate(ctx, p) && (ask & ASK_NODE || decrement_ttl(ctx, p));
}

static __always_inline const struct ip_addr* source_after(const struct packet* p, const struct work* w) {
  return w->row.flags & CT_F_REWRITE_SRC ? &w->row.to_src : &p->src;
}

/* Both ends are the node itself. At egress that is in again, at the device by which it leaves. */
cold int send_to_node(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  if (!translate(ctx, p)) return drop(ctx, DROP_WRITE_FAILED);
  if (!(ask & ASK_EGRESS)) return NEXT;
  return turn_frame(ctx) ? bpf_redirect(CTX_READ(ctx, ifindex), BPF_F_INGRESS) : drop(ctx, DROP_WRITE_FAILED);
}

/* Policies see a flow to a Service without its address: the source before, the destination after translation. */
static __always_inline void path_take(struct policy_work* judge, const struct work* w) {
  policy_take(judge, &w->flow);
  if (w->row.flags & CT_F_REWRITE_DST) {
    judge->key.dst = w->row.to_dst;
    judge->key.dport = w->row.to_dport;
  }
}
/* 0: it passes; else why not. */
global int path_judge(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  struct work* w = this_work();
  struct policy_work* judge = this_policy_work();
  if (!p || !w || !judge) return DROP_POLICY_UNKNOWN;
  if (w->related) return 0;
  path_take(judge, w);
  return policy_pass(ctx, ask & ASK_NODE ? POLICY_FROM_NODE : POLICY_FROM_OTHERS);
}
/* A TCP connection to a Service's endpoint that no policy judges. */
global int path_tell(struct packet* p) {
  struct work* w = this_work();
  struct policy_work* judge = this_policy_work();
  if (!p || !w || !judge) return 0;
  path_take(judge, w);
  tell_unjudged(judge);
  return 0;
}

global int path_send(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  struct work* w = this_work();
  if (!p || !w) return DROP;
  bool egress = ask & ASK_EGRESS, node = ask & ASK_NODE;
  /* Copies: the row may change, and the packet will. */
  struct ip_addr to = w->row.flags & CT_F_REWRITE_DST ? w->row.to_dst : p->dst;
  if (egress && addr_equal(&to, &p->dst)) {
    /* A reply of the node: it is on its way already. Out of the cluster its port is not chosen once more. */
    if (!translate(ctx, p)) return drop(ctx, DROP_WRITE_FAILED);
    return find_route(NET_THIS_CLUSTER, &to) ? STEP_NONE : NEXT;
  }
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &to);
  if (config.policy && (ask & ASK_POLICY || policy_concerns(pod))) {
    __u32 reason = path_judge(ctx, p, ask);
    if (reason) return drop(ctx, reason);
  } else if (config.policy && !node && !(w->row.flags & CT_F_REPLY) && w->flow.kind == FLOW_PORTS &&
             w->flow.key.proto == IPPROTO_TCP && is_syn(&w->flow) && (pod || find_pod(NET_THIS_CLUSTER, &p->src))) {
    path_tell(p);
  }
  struct route_value* route = pod ? NULL : find_route(NET_THIS_CLUSTER, &to);
  if (route && route->kind == ROUTE_THIS_NODE) return send_to_node(ctx, p, ask);
  if (p->ttl <= 1 && !node) return to_stack(ctx);
  if (pod) {
    /* By the host side of its veth, which refuses what is too large. */
    bool by_host_side = egress || pod->flags & POD_F_BY_HOST_SIDE;
    __u32 mtu = 0;
    if (by_host_side && bpf_check_mtu(ctx, pod->ifindex, &mtu, 0, 0) > 0 && mtu && !fits(ctx, p, mtu)) {
      w->mtu = mtu;
      w->ifindex = 0;
      return STEP_TOO_BIG;
    }
    return translate_hop(ctx, p, ask) ? deliver(ctx, pod, egress ? AT_EGRESS : AT_INGRESS)
                                      : drop(ctx, DROP_WRITE_FAILED);
  }
  if (!route) return STEP_OUT;
  switch (route->kind) {
    case ROUTE_OVERLAY:
      /* From node to node nothing is wrapped. */
      if (!config.overlay || (route->flags & ROUTE_F_NODE && !find_pod(NET_THIS_CLUSTER, source_after(p, w))))
        return STEP_OUT;
      break;
    case ROUTE_NATIVE: break;
    case ROUTE_LOCAL_PODS: return w->row.flags & CT_F_REPLY ? drop(ctx, DROP_NO_POD) : STEP_NO_HOST;
    default: return STEP_OUT;
  }
  if (unlikely(!fits(ctx, p, route->mtu))) {
    w->mtu = route->mtu;
    w->ifindex = route->ifindex;
    return STEP_TOO_BIG;
  }
  if (!translate_hop(ctx, p, ask)) return drop(ctx, DROP_WRITE_FAILED);
  return route->kind == ROUTE_OVERLAY ? STEP_OVERLAY : send_native(ctx, route);
}

/* By the kernel's routes, past its netfilter. */
global int path_out(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  struct work* w = this_work();
  if (!p || !w) return DROP;
  const struct ip_addr* to = w->row.flags & CT_F_REWRITE_DST ? &w->row.to_dst : &p->dst;
  const struct ip_addr* from = source_after(p, w);
  struct bpf_fib_lookup fib;
  long result = ask_fib(ctx, &fib, p->family, from, to);
  if (result == BPF_FIB_LKUP_RET_NOT_FWDED) return send_to_node(ctx, p, ask);
  if (!fib_finds(result)) return STEP_NO_HOST;
  __u32 ifindex = fib.ifindex, mtu = 0;
  if (bpf_check_mtu(ctx, ifindex, &mtu, 0, 0) > 0 && mtu && !fits(ctx, p, mtu)) {
    w->mtu = mtu;
    w->ifindex = ifindex;
    return STEP_TOO_BIG;
  }
  struct bpf_redir_neigh neighbour = {.nh_family = fib.family};
  if (p->family == 4)
    neighbour.ipv4_nh = fib.ipv4_dst;
  else
    __builtin_memcpy(neighbour.ipv6_nh, fib.ipv6_dst, 16);
  if (!translate_hop(ctx, p, ask)) return drop(ctx, DROP_WRITE_FAILED);
  mark_done(ctx);
  count(ctx, COUNT_TO_OUTSIDE);
  return bpf_redirect_neigh(ifindex, &neighbour, sizeof(neighbour), 0);
}

#endif
