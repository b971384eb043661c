// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A device that leads out of the node, egress: the node's own traffic to remote Pods is encapsulated, what a Pod sends
// out of the cluster gets the node's address. What our own programs sent here is marked and passes.
#include "lib/path_run.h"

// The address with which Pods leave by this device.
static __always_inline struct ip_addr* address_of(struct uplink_value* uplink, __u8 family) {
  return family == 4 ? &uplink->addr4 : &uplink->addr6;
}

// An ICMP error that a Pod sends about a packet which reached it translated: the outside knows only the node's address.
cold int error_from_pod(struct __sk_buff* ctx, struct packet* p, const struct ip_addr* to) {
  struct quoted q;
  struct ct_key answers;
  if (read_quoted(ctx, p, NET_THIS_CLUSTER, &q)) {
    struct ct_value* row = find_quoted(&q, &answers);
    if (row && row->flags & CT_F_REWRITE_SRC) {
      struct ip_addr quoted_to = row->to_src;
      if (rewrite_quoted_target(ctx, p, &q, &quoted_to, row->to_sport)) return drop(ctx, DROP_WRITE_FAILED);
    } else if (row) {
      return NEXT;  // about a flow to the Pod's own address
    }
  }
  struct flow flow = {.kind = FLOW_PLAIN};
  if (rewrite_source(ctx, p, &flow, to, 0)) return drop(ctx, DROP_WRITE_FAILED);
  count(ctx, COUNT_MASQUERADED);
  return NEXT;
}

// STEP_ERROR: error_from_pod() is to be asked. `flags`: CT_F_NODE for the node's own flows, which keep their address
// and, but for a clash, their port.
global int masquerade(struct __sk_buff* ctx, struct packet* p, const struct ip_addr* to, __u32 flags) {
  if (!p || !to) return DROP;
  struct flow flow;
  if (!find_transport(ctx, p)) return flags ? NEXT : drop(ctx, DROP_MALFORMED);
  flow_of(ctx, p, NET_THIS_CLUSTER, &flow);
  bool own = flags & CT_F_NODE;
  switch (flow.kind) {
    case FLOW_MALFORMED: return own ? NEXT : drop(ctx, DROP_MALFORMED);
    case FLOW_EARLY: return own ? NEXT : drop(ctx, DROP_FRAGMENT_EARLY);
    case FLOW_ICMP_ERROR: return own ? NEXT : STEP_ERROR;
  }
  struct ip_addr target = *to;
  __be16 port;
  struct ct_value* row = ct_find(&flow, now_seconds());
  if (row) {
    if (!(row->flags & CT_F_REWRITE_SRC)) return NEXT;  // the reply of a flow that came in
    target = row->to_src;
    port = row->to_sport;
  } else if (own && !flow.opens) {
    return NEXT;
  } else {
    enum nat_result opened = nat_open(ctx, &flow, to, flags, &port);
    if (unlikely(opened == NAT_FULL) && ct_make_room()) opened = nat_open(ctx, &flow, to, flags, &port);
    switch (opened) {
      case NAT_DONE: break;
      case NAT_NO_PORT: return own ? NEXT : drop(ctx, DROP_NO_PORT_LEFT);
      case NAT_FULL: return own ? NEXT : drop(ctx, DROP_CONNTRACK_FULL);
    }
  }
  if (own && port == flow.key.sport) return NEXT;
  if (rewrite_source(ctx, p, &flow, &target, port)) return drop(ctx, DROP_WRITE_FAILED);
  if (!own) count(ctx, COUNT_MASQUERADED);
  return NEXT;
}

// The node's own flows enter conntrack where they could meet a masqueraded one: ICMP ids, of which no socket table
// tells, and everything where masquerade shares the node's ports.
static __always_inline bool tracks_own(const struct packet* p) { return is_icmp(p->proto) || config.track_node_flows; }

SEC("tc")
int uplink_egress(struct __sk_buff* ctx) {
  struct packet p;
  if (marked_done(ctx)) return NEXT;
  if (parse(ctx, &p) != PARSE_OK) return NEXT;
  __u32 ifindex = CTX_READ(ctx, ifindex);
  struct uplink_value* uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
  if (!uplink) return NEXT;
  struct ip_addr* address = address_of(uplink, p.family);
  struct route_value* route = find_route(NET_THIS_CLUSTER, &p.dst);
  if (config.services && is_of_node(ctx)) {
    __u32 marks = marks_of(0), ask = marks & SERVICE_MARK_BACKEND ? ASK_FLOW : 0;
    if (may_be_service(route)) ask |= marks & SERVICE_MARK_CLIENT ? ASK_SERVICE | ASK_FLOW : ASK_SERVICE;
    if (path_is_stale(ctx, &p)) ask |= ASK_PEER;
    if (ask) {
      int verdict = service_path(ctx, &p, ask | ASK_NODE | ASK_EGRESS);
      if (verdict != STEP_NONE) return verdict;
    }
  }
  bool own = addr_equal(&p.src, address);
  if (route) {
    switch (route->kind) {
      case ROUTE_OVERLAY:
        // From node to node nothing is wrapped; only a Pod's packet goes encapsulated to a node.
        if (!config.overlay || (route->flags & ROUTE_F_NODE && !find_pod(NET_THIS_CLUSTER, &p.src))) return NEXT;
        if (unlikely(!fits(ctx, &p, route->mtu))) return answer(ctx, &p, route->mtu, ifindex, AT_EGRESS);
        return send_overlay(ctx, &p, route);
      case ROUTE_LOCAL_PODS: return answer(ctx, &p, NO_HOST, ifindex, AT_EGRESS);
      default: return NEXT;
    }
  }
  if (!config.masquerade || addr_is_multicast(&p.dst) || addr_is_link_local(&p.dst)) return NEXT;
  if (own) return tracks_own(&p) ? masquerade(ctx, &p, address, CT_F_NODE) : NEXT;
  if (!find_pod(NET_THIS_CLUSTER, &p.src)) return NEXT;
  if (addr_is_none(address)) return drop(ctx, DROP_NO_ADDRESS);
  int verdict = masquerade(ctx, &p, address, 0);
  return verdict == STEP_ERROR ? error_from_pod(ctx, &p, address) : verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
