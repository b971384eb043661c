// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A device that leads out of the node, ingress: what other nodes and the outside send. Ours is VXLAN of known nodes,
// what is for a Pod of this node, and replies to what left with the node's address; the rest is the stack's.
#include "lib/dns.h"
#include "lib/path_run.h"

// To a Pod of this node, from the wire or out of the tunnel.
static __always_inline int to_pod(struct __sk_buff* ctx, const struct packet* p, const struct pod_value* pod) {
  if (unlikely(p->ttl <= 1)) return to_stack(ctx);  // which forwards it nowhere
  return deliver_in(ctx, p, pod);
}

// What to ask about a packet that came from the wire or out of the tunnel.
static __always_inline __u32 ask_about(struct __sk_buff* ctx, const struct packet* p, const struct pod_value* pod,
                                       const struct route_value* route, bool tunnelled) {
  // A Pod's own flows to Services that have rows: their endpoints answer it.
  if (pod) return config.services && marks_of(pod->ifindex) & SERVICE_MARK_CLIENT ? ASK_FLOW : 0;
  if (tunnelled && !(route && route->kind == ROUTE_THIS_NODE)) return 0;
  __u32 ask = config.services ? ASK_FLOW | ASK_SERVICE | ASK_OUTSIDE : 0;
  if (!config.masquerade) return ask;
  __u32 ifindex = CTX_READ(ctx, ifindex);
  struct uplink_value* uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
  if (uplink && addr_equal(&p->dst, p->family == 4 ? &uplink->addr4 : &uplink->addr6)) ask |= ASK_FLOW | ASK_MASQUERADE;
  return ask;
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

// The kernel answers for every address that it has a local route to, on every device.
global int arp_of_others(struct __sk_buff* ctx) {
  return dns_is_asked_for(ctx) ? drop(ctx, DROP_SERVICE_OUTSIDE) : NEXT;
}

SEC("tc")
int uplink_ingress(struct __sk_buff* ctx) {
  if (config.dns_count && CTX_READ(ctx, protocol) == bpf_htons(ETH_P_ARP)) return arp_of_others(ctx);
  struct packet p;
  if (parse(ctx, &p) != PARSE_OK) return NEXT;
  bool tunnelled = false;
  if (config.overlay && p.proto == IPPROTO_UDP) {
    switch (decapsulate(ctx, &p)) {
      case DECAP_NO: break;
      case DECAP_DONE: tunnelled = true; break;
      case DECAP_DROP: return DROP;
    }
  }
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &p.dst);
  struct route_value* route = pod || !tunnelled ? NULL : find_route(NET_THIS_CLUSTER, &p.dst);
  __u32 ask = ask_about(ctx, &p, pod, route, tunnelled);
  if (ask) {
    int verdict = service_path(ctx, &p, ask);
    if (verdict != STEP_NONE) return verdict;
  }
  if (pod) {
    if (policy_concerns(pod)) {
      __u32 reason = policy_check(ctx, &p, POLICY_FROM_OTHERS);
      if (reason) return drop(ctx, reason);
    } else if (config.policy && opens_tcp(ctx, &p)) {
      tell_opened(ctx, &p);
    }
    if (!tunnelled && config.masquerade && may_open(ctx, &p) && !find_route(NET_THIS_CLUSTER, &p.src)) {
      __u32 reason = note_inbound(ctx, &p);
      if (reason) return drop(ctx, reason);
    }
    return to_pod(ctx, &p, pod);
  }
  if (!tunnelled) return config.dns_count && dns_is_target(&p) ? drop(ctx, DROP_SERVICE_OUTSIDE) : NEXT;
  // Out of the tunnel: a Pod of this node or the node itself. Nothing is carried on from here.
  if (route && route->kind == ROUTE_THIS_NODE) return to_stack(ctx);
  return answer(ctx, &p, NO_HOST, CTX_READ(ctx, ifindex), AT_INGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
