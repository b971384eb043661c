// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Host side of a Pod's veth, ingress: everything the Pod sends. Is it really the Pod's, and where does it go?
#include "lib/dns.h"
#include "lib/forward.h"
#include "lib/guard.h"
#include "lib/path_run.h"

// From nobody (duplicate address detection, MLD) or from a link-local address: only to the link itself, so to our
// stack.
cold int to_link_only(struct __sk_buff* ctx, const struct packet* p) {
  if (p->family == 4 || !(addr_is_none(&p->src) || addr_is_link_local(&p->src)) ||
      !(addr_is_link_local(&p->dst) || addr_is_multicast(&p->dst)))
    return drop(ctx, DROP_SPOOFED_IP);
  __u32 reason = guard_neighbour6(ctx, p);
  return reason ? drop(ctx, reason) : to_stack(ctx);
}

// Out of the cluster: by the kernel's routes, past its netfilter. The uplink's egress program masquerades.
cold int to_outside(struct __sk_buff* ctx, struct packet* p) {
  if (addr_is_link_local(&p->dst) || addr_is_multicast(&p->dst)) return to_stack(ctx);
  struct bpf_fib_lookup fib;
  if (!fib_finds(ask_fib(ctx, &fib, p->family, &p->src, &p->dst))) return to_stack(ctx);
  __u32 ifindex = fib.ifindex;
  if (!bpf_map_lookup_elem(&uplinks, &ifindex)) return to_stack(ctx);
  __u32 mtu = 0;
  if (bpf_check_mtu(ctx, ifindex, &mtu, 0, 0) > 0 && mtu && !fits(ctx, p, mtu)) {
    if (p->may_fragment) return to_stack(ctx);
    return answer(ctx, p, mtu, ifindex, AT_INGRESS);
  }
  struct bpf_redir_neigh neighbour = {.nh_family = fib.family};
  if (p->family == 4)
    neighbour.ipv4_nh = fib.ipv4_dst;
  else
    __builtin_memcpy(neighbour.ipv6_nh, fib.ipv6_dst, 16);
  if (!decrement_ttl(ctx, p)) return drop(ctx, DROP_WRITE_FAILED);
  count(ctx, COUNT_TO_OUTSIDE);
  return bpf_redirect_neigh(ifindex, &neighbour, sizeof(neighbour), 0);
}

SEC("tc")
int from_pod(struct __sk_buff* ctx) {
  struct packet p;
  switch (parse(ctx, &p)) {
    case PARSE_OK: break;
    case PARSE_MALFORMED: return drop(ctx, DROP_MALFORMED);
    case PARSE_NOT_IP: {
      // Nothing but IP and ARP leaves a Pod.
      if (CTX_READ(ctx, protocol) != bpf_htons(ETH_P_ARP)) return drop(ctx, DROP_MALFORMED);
      __u32 reason = guard_arp(ctx);
      return reason ? drop(ctx, reason) : to_stack(ctx);
    }
  }

  __u32 ifindex = CTX_READ(ctx, ifindex);
  struct pod_value* own = find_pod(NET_THIS_CLUSTER, &p.src);
  if (unlikely(!own || own->ifindex != ifindex)) return to_link_only(ctx, &p);
  void* data = ctx_data(ctx);
  struct ethhdr* eth = data;
  if ((void*)(eth + 1) > ctx_end(ctx)) return drop(ctx, DROP_MALFORMED);
  if (unlikely(!mac_equal(eth->h_source, own->mac))) return drop(ctx, DROP_SPOOFED_MAC);
  if (needs_neighbour_guard(&p)) {
    __u32 reason = guard_neighbour6(ctx, &p);
    if (reason) return drop(ctx, reason);
  }
  const bool judged = policy_concerns(own);
  if (unlikely(p.ttl <= 1)) {
    __u32 reason = judged ? policy_check(ctx, &p, POLICY_FROM_OTHERS) : 0;
    return reason ? drop(ctx, reason) : to_stack(ctx);  // which answers "time exceeded", or is the destination
  }

  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &p.dst);
  struct route_value* route = pod ? NULL : find_route(NET_THIS_CLUSTER, &p.dst);
  if (config.dns_count && !pod && is_dns_address(&p.dst)) {
    int verdict = dns_step(ctx, &p, judged);
    if (verdict != STEP_NONE) return verdict;
  }
  if (config.services) {
    __u32 marks = marks_of(ifindex), ask = marks & SERVICE_MARK_BACKEND ? ASK_FLOW : 0;
    if (!pod && may_be_service(route)) ask |= marks & SERVICE_MARK_CLIENT ? ASK_SERVICE | ASK_FLOW : ASK_SERVICE;
    if (path_is_stale(ctx, &p)) ask |= ASK_PEER;
    if (ask) {
      int verdict = service_path(ctx, &p, judged ? ask | ASK_POLICY : ask);
      if (verdict != STEP_NONE) return verdict;
    }
  }
  if (judged || policy_concerns(pod)) {
    __u32 reason = policy_check(ctx, &p, POLICY_FROM_OTHERS);
    if (reason) return drop(ctx, reason);
  } else if (config.policy && opens_tcp(ctx, &p)) {
    tell_opened(ctx, &p);
  }
  if (pod) return deliver_in(ctx, &p, pod);

  if (!route) return to_outside(ctx, &p);
  switch (route->kind) {
    case ROUTE_OVERLAY:
      if (!config.overlay) return to_stack(ctx);
      break;
    case ROUTE_NATIVE: break;
    case ROUTE_LOCAL_PODS: return answer(ctx, &p, NO_HOST, 0, AT_INGRESS);
    default: return to_stack(ctx);
  }
  if (unlikely(!fits(ctx, &p, route->mtu))) {
    // The stack cuts it by the kernel's route, and the uplink's egress program sends the pieces on.
    if (p.may_fragment) return to_stack(ctx);
    return answer(ctx, &p, route->mtu, route->ifindex, AT_INGRESS);
  }
  if (!decrement_ttl(ctx, &p)) return drop(ctx, DROP_WRITE_FAILED);
  return route->kind == ROUTE_OVERLAY ? send_overlay(ctx, &p, route) : send_native(ctx, route);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
