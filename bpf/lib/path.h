/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The per-packet path of Services: a row of steps, each a function of its own so that no chain of calls is deep.
 *
 *   classify   whose packet is it: a known flow's, a new one's, one to be refused, an ICMP error?
 *   new        is it for a Service, and which endpoint gets it?
 *   retry      an endpoint refuses: does another one remain?
 *   open       an endpoint was chosen: the pair of conntrack rows
 *   error      an ICMP error about a translated packet: what it quotes is translated back
 *   send       where does the translated packet go? Is it too big? Then translate and send
 *   out        the same by the kernel's routes
 *   refuse     a reset, an ICMP error, an echo reply
 *
 * Between steps the packet's work lies in one scratch for each CPU (tc runs with bottom halves off). */
#ifndef CAUSEWAY_LIB_PATH_H
#define CAUSEWAY_LIB_PATH_H

#include "lib/forward.h"
#include "lib/peer.h"
#include "lib/policy.h"
#include "lib/service.h"

/* What a program wants to know. */
enum ask {
  ASK_FLOW = 1 << 0,       /* is it of a flow that is translated? */
  ASK_SERVICE = 1 << 1,    /* is it for a Service? */
  ASK_PEER = 1 << 2,       /* its connected socket's endpoint is gone (path_is_stale) */
  ASK_OUTSIDE = 1 << 3,    /* neither a Pod of this node nor the node itself sent it */
  ASK_NODE = 1 << 4,       /* the node itself sent it */
  ASK_EGRESS = 1 << 5,     /* at an egress hook */
  ASK_MASQUERADE = 1 << 6, /* replies to what was masqueraded too */
  ASK_POLICY = 1 << 7,     /* policies judge the Pod that sent it */
};

/* What comes next; anything below is the program's verdict. */
enum step {
  STEP_NONE = 0x100, /* nothing of ours: the program goes on as if Services were not there */
  STEP_NEW,          /* not of a known flow, or no longer of one */
  STEP_RETRY,        /* a refusal that may be swallowed */
  STEP_OPEN,
  STEP_ERROR,
  STEP_SEND,
  STEP_OUT,
  STEP_OVERLAY,
  STEP_RESET,   /* refuse a TCP connection */
  STEP_REFUSE,  /* port unreachable */
  STEP_ECHO,    /* answer a ping */
  STEP_NO_HOST, /* the endpoint's Pod is gone */
  STEP_TOO_BIG, /* work.mtu says what would fit */
};

struct work {
  struct flow flow; /* as the packet carries it */
  struct service_request request;
  struct ct_value row; /* what to rewrite */
  struct ct_key key;   /* of that row, where it is not the packet's */
  struct ct_key twin;
  struct quoted quoted;
  struct ip_addr snat; /* all zero: the client keeps its address */
  __u32 tries;
  __u32 hopeless; /* 1: no other endpoint remains, the refusal is passed on */
  __u32 mtu;
  __u32 ifindex;
  __u32 related; /* 1: an ICMP error about a flow that is translated */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct work);
} works SEC(".maps");

static __always_inline struct work* this_work(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&works, &zero);
}

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SERVICE_MARKS);
  __type(key, __u32);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} service_marks SEC(".maps");

/* `ifindex`: of a Pod's veth; 0: the node itself. */
static __always_inline __u32 marks_of(__u32 ifindex) {
  __u32 index = ifindex & (SERVICE_MARKS - 1);
  __u32* marks = bpf_map_lookup_elem(&service_marks, &index);
  return marks ? *marks : 0;
}

static __always_inline void set_mark(__u32 ifindex, __u32 mark) {
  __u32 index = ifindex & (SERVICE_MARKS - 1);
  __u32* marks = bpf_map_lookup_elem(&service_marks, &index);
  if (marks && !(*marks & mark)) __sync_fetch_and_or(marks, mark);
}

/* At egress: does it come from a process of the node? (skb->sk is no proof on 6.1.) */
static __always_inline bool is_of_node(struct __sk_buff* ctx) { return !CTX_READ(ctx, ingress_ifindex); }

/* Where a Service's address may lie: in no Pod range. A node's address may serve node ports. */
static __always_inline bool may_be_service(const struct route_value* route) {
  if (!route) return true;
  switch (route->kind) {
    case ROUTE_OVERLAY:
    case ROUTE_NATIVE: return route->flags & ROUTE_F_NODE;
    case ROUTE_LOCAL_PODS: return false;
  }
  return true;
}

/* A connected UDP socket goes on sending to the endpoint that connect() found, also when that is gone. */
static __always_inline bool path_is_stale(struct __sk_buff* ctx, const struct packet* p) {
  if (p->proto != IPPROTO_UDP || p->fragment == FRAGMENT_LATER) return false;
  struct socket_peer* peer = socket_peer_of(ctx);
  if (!peer || !peer->id || !addr_equal(&peer->addr, &p->dst)) return false;
  __be16 port;
  if (bpf_skb_load_bytes(ctx, p->transport + 2, &port, 2) || port != peer->port) return false;
  return !backend_serves(peer->backend, peer->generation, peer->id);
}

static __always_inline bool is_syn(const struct flow* flow) {
  return (flow->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* Open flows of a backend, for SERVICE_LEAST_CONNECTIONS. */
static __always_inline void count_connection(__u32 backend, bool more) {
  __u32* open = bpf_map_lookup_elem(&backend_connections, &backend);
  if (!open) return;
  if (more)
    __sync_fetch_and_add(open, 1);
  else if (*open)
    __sync_fetch_and_sub(open, 1);
}

/* Forgets a flow of a Service. */
cold void path_forget(const struct ct_key* key, const struct ct_value* row) {
  if (row->flags & CT_F_COUNTED) count_connection(row->backend, false);
  ct_remove_pair(key, row);
}

#endif
