// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A device that leads out of the node, ingress: what other nodes and the outside send. Ours is VXLAN of known nodes,
// what is for a Pod of this node, and replies to what left with the node's address; the rest is the stack's.
#include "lib/forward.h"

// To a Pod of this node, from the wire or out of the tunnel.
static __always_inline int to_pod(struct __sk_buff* ctx, const struct packet* p, const struct pod_value* pod) {
  if (unlikely(p->ttl <= 1)) return to_stack(ctx);
  return decrement_ttl(ctx, p) ? deliver(ctx, pod, AT_INGRESS) : drop(ctx, DROP_WRITE_FAILED);
}

// Out of the tunnel: a Pod of this node or the node itself. Nothing is carried on from here.
cold int from_tunnel(struct __sk_buff* ctx, struct packet* p) {
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &p->dst);
  if (likely(pod)) return to_pod(ctx, p, pod);
  struct route_value* route = find_route(NET_THIS_CLUSTER, &p->dst);
  if (route && route->kind == ROUTE_THIS_NODE) return to_stack(ctx);
  return answer(ctx, p, 0, CTX_READ(ctx, ifindex), AT_INGRESS);
}

// Worth asking whether it comes from outside? An established TCP connection never is: the Pod's replies keep its row
// alive.
static __always_inline bool may_open(struct __sk_buff* ctx, const struct packet* p) {
  if (p->proto != IPPROTO_TCP || p->fragment != FRAGMENT_NONE) return true;
  __u8 flags;
  if (bpf_skb_load_bytes(ctx, p->transport + 13, &flags, 1)) return true;
  return flags & (TCP_SYN | TCP_FIN | TCP_RST);
}

// From outside of the cluster to a Pod's own address: remembered, so that the Pod's replies keep that address.
global int note_inbound(struct __sk_buff* ctx, struct packet* p) {
  if (!p) return DROP_MALFORMED;
  struct flow flow;
  if (!find_transport(ctx, p)) return DROP_MALFORMED;
  flow_of(ctx, p, NET_THIS_CLUSTER, &flow);
  if (flow.kind == FLOW_MALFORMED) return DROP_MALFORMED;
  if (flow.kind == FLOW_EARLY || flow.kind == FLOW_FRAGMENT || flow.kind == FLOW_ICMP_ERROR) return 0;
  __u32 now = now_seconds();
  if (ct_find(&flow, now) || !flow.opens) return 0;
  if (ct_open_inbound(&flow, now) == CT_FULL && ct_make_room()) ct_open_inbound(&flow, now);
  return 0;
}

// An ICMP error about a packet that left with the node's address: back to what its sender knows.
cold int error_to_masqueraded(struct __sk_buff* ctx, struct packet* p) {
  struct quoted q;
  struct ct_key answers;
  if (!read_quoted(ctx, p, NET_THIS_CLUSTER, &q)) return NEXT;
  struct ct_value* row = find_quoted(&q, &answers);
  if (!row || !(row->flags & CT_F_REWRITE_DST)) return NEXT;
  struct ip_addr to = row->to_dst;
  __be16 port = row->to_dport;
  bool own = row->flags & CT_F_NODE;
  if (rewrite_quoted(ctx, p, &q, SOURCE, &to, port)) return drop(ctx, DROP_WRITE_FAILED);
  count(ctx, COUNT_UNMASQUERADED);
  if (own) return NEXT;
  struct flow flow = {.kind = FLOW_PLAIN};
  if (rewrite(ctx, p, &flow, TARGET, &to, 0)) return drop(ctx, DROP_WRITE_FAILED);
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &p->dst);
  return pod ? to_pod(ctx, p, pod) : drop(ctx, DROP_NO_POD);
}

enum { TO_NODE_ICMP_ERROR = 0x100 };  // no verdict: the caller asks error_to_masqueraded(), whose stack is deep

// To one of the node's addresses: is it the reply to something masqueraded?
global int to_node(struct __sk_buff* ctx, struct packet* p) {
  if (!p) return DROP;
  struct flow flow;
  if (!find_transport(ctx, p)) return NEXT;
  flow_of(ctx, p, NET_THIS_CLUSTER, &flow);
  switch (flow.kind) {
    case FLOW_MALFORMED:
    case FLOW_EARLY: return NEXT;
    case FLOW_ICMP_ERROR: return TO_NODE_ICMP_ERROR;
  }
  struct ct_value* row = ct_find(&flow, now_seconds());
  if (!row || !(row->flags & CT_F_REWRITE_DST)) return NEXT;
  struct ip_addr to = row->to_dst;
  __be16 port = row->to_dport;
  bool own = row->flags & CT_F_NODE;
  if (own && port == flow.key.dport) return NEXT;
  if (rewrite(ctx, p, &flow, TARGET, &to, port)) return drop(ctx, DROP_WRITE_FAILED);
  if (own) return NEXT;
  count(ctx, COUNT_UNMASQUERADED);
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &p->dst);
  return pod ? to_pod(ctx, p, pod) : drop(ctx, DROP_NO_POD);
}

SEC("tc")
int uplink_ingress(struct __sk_buff* ctx) {
  struct packet p;
  if (parse(ctx, &p) != PARSE_OK) return NEXT;
  if (config.overlay && p.proto == IPPROTO_UDP) {
    switch (decapsulate(ctx, &p)) {
      case DECAP_NO: break;
      case DECAP_DONE: return from_tunnel(ctx, &p);
      case DECAP_DROP: return DROP;
    }
  }
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &p.dst);
  if (pod) {
    if (config.masquerade && may_open(ctx, &p) && !find_route(NET_THIS_CLUSTER, &p.src)) {
      __u32 reason = note_inbound(ctx, &p);
      if (reason) return drop(ctx, reason);
    }
    return to_pod(ctx, &p, pod);
  }
  if (!config.masquerade) return NEXT;
  __u32 ifindex = CTX_READ(ctx, ifindex);
  struct uplink_value* uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
  if (uplink && addr_equal(&p.dst, p.family == 4 ? &uplink->addr4 : &uplink->addr6)) {
    int verdict = to_node(ctx, &p);
    return verdict == TO_NODE_ICMP_ERROR ? error_to_masqueraded(ctx, &p) : verdict;
  }
  return NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
