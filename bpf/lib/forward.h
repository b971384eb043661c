/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a packet goes: to a Pod here, to another node, out, or to the stack. */
#ifndef CAUSEWAY_LIB_FORWARD_H
#define CAUSEWAY_LIB_FORWARD_H

#include "lib/icmp.h"
#include "lib/vxlan.h"

/* redirect_peer works from tc ingress only. */
enum where { AT_INGRESS, AT_EGRESS };

/* One hop less, as any router. Direct writes first: the caller's packet pointers are void. */
static __always_inline bool decrement_ttl(struct __sk_buff* ctx, const struct packet* p) {
  if (p->family == 4) {
    void *data = ctx_data(ctx), *end = ctx_end(ctx);
    struct iphdr* ip = data + ETH_LEN;
    if ((void*)(ip + 1) > end) return false;
    __u32 check = ip->check + bpf_htons(0x0100);
    ip->check = check + (check >= 0xffff);
    ip->ttl--;
    return true;
  }
  /* No header checksum: a checksum over the whole packet that the NIC computed has to follow. */
  __u8 ttl = p->ttl - 1;
  return !bpf_skb_store_bytes(ctx, ETH_LEN + offsetof(struct ipv6hdr, hop_limit), &ttl, 1, BPF_F_RECOMPUTE_CSUM);
}

/* To a Pod of this node. */
static __always_inline int deliver(struct __sk_buff* ctx, const struct pod_value* pod, enum where where) {
  void *data = ctx_data(ctx), *end = ctx_end(ctx);
  struct ethhdr* eth = data;
  if ((void*)(eth + 1) > end) return drop(ctx, DROP_MALFORMED);
  __builtin_memcpy(eth->h_dest, pod->mac, 6);
  __builtin_memcpy(eth->h_source, pod->host_mac, 6);
  count(ctx, COUNT_TO_PEER);
  if (where == AT_INGRESS && likely(!(pod->flags & POD_F_BY_HOST_SIDE))) return bpf_redirect_peer(pod->ifindex, 0);
  mark_done(ctx);
  return bpf_redirect(pod->ifindex, 0);
}

/* Out of `ifindex` to a neighbour; all zero: to whom the kernel's route says. */
static __always_inline int redirect_to(__u32 ifindex, const struct ip_addr* next_hop) {
  if (addr_is_none(next_hop)) return bpf_redirect_neigh(ifindex, NULL, 0, 0);
  struct bpf_redir_neigh neighbour = {};
  if (addr_is4(next_hop)) {
    neighbour.nh_family = 2; /* AF_INET */
    neighbour.ipv4_nh = next_hop->word[3];
  } else {
    neighbour.nh_family = 10; /* AF_INET6 */
    __builtin_memcpy(neighbour.ipv6_nh, next_hop, 16);
  }
  return bpf_redirect_neigh(ifindex, &neighbour, sizeof(neighbour), 0);
}

/* Whom the kernel's routes name for a packet of these ends that came in here: BPF_FIB_LKUP_RET_..., `fib` is filled.
 * tot_len stays 0: with a length the kernel would also judge the MTU, in its own way. */
static __always_inline long ask_fib(struct __sk_buff* ctx, struct bpf_fib_lookup* fib, __u8 family,
                                    const struct ip_addr* from, const struct ip_addr* to) {
  *fib = (struct bpf_fib_lookup){.ifindex = CTX_READ(ctx, ifindex)};
  if (family == 4) {
    fib->family = 2; /* AF_INET */
    fib->ipv4_src = from->word[3];
    fib->ipv4_dst = to->word[3];
  } else {
    fib->family = 10; /* AF_INET6 */
    __builtin_memcpy(fib->ipv6_src, from, 16);
    __builtin_memcpy(fib->ipv6_dst, to, 16);
  }
  return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}
static __always_inline bool fib_finds(long result) {
  return result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_NO_NEIGH;
}

/* Does the packet fit into `mtu` bytes, each segment of it for large sends? */
static __always_inline bool fits(struct __sk_buff* ctx, const struct packet* p, __u32 mtu) {
  if (!mtu) return true;
  __u32 length = CTX_READ(ctx, len) - ETH_LEN;
  if (likely(length <= mtu)) return true;
  __u32 segment = CTX_READ(ctx, gso_size);
  if (!segment) return false;
  __u32 header = p->transport - ETH_LEN;
  if (p->proto == IPPROTO_TCP) {
    __u8 offset;
    if (bpf_skb_load_bytes(ctx, p->transport + 12, &offset, 1)) return false;
    header += offset >> 4 << 2;
  } else {
    header += UDP_LEN;
  }
  return header + segment <= mtu;
}

/* A Pod that is reached by the host side of its veth gets nothing larger than its interface: the veth drops that
 * without a word, which redirect_peer passes by. */
static __always_inline bool fits_host_side(struct __sk_buff* ctx, const struct packet* p, const struct pod_value* pod) {
  __u32 mtu = 0;
  return bpf_check_mtu(ctx, pod->ifindex, &mtu, 0, 0) <= 0 || fits(ctx, p, mtu);
}
/* To a Pod of this node, from another machine's or another Pod's side. */
static __always_inline int deliver_in(struct __sk_buff* ctx, const struct packet* p, const struct pod_value* pod) {
  /* The stack cuts it by the kernel's route, or answers that it is too big. */
  if (unlikely(pod->flags & POD_F_BY_HOST_SIDE) && unlikely(!fits_host_side(ctx, p, pod))) return to_stack(ctx);
  return decrement_ttl(ctx, p) ? deliver(ctx, pod, AT_INGRESS) : drop(ctx, DROP_WRITE_FAILED);
}

global int send_overlay(struct __sk_buff* ctx, const struct packet* p, const struct route_value* route) {
  if (!p || !route) return DROP;
  __u32 ifindex = route->ifindex;
  struct ip_addr next_hop = route->next_hop;
  count(ctx, COUNT_TO_OVERLAY);
  int verdict = encapsulate(ctx, p, route);
  if (verdict) return verdict;
  mark_done(ctx);
  return redirect_to(ifindex, &next_hop);
}

static __always_inline int send_native(struct __sk_buff* ctx, const struct route_value* route) {
  count(ctx, COUNT_TO_NATIVE);
  mark_done(ctx);
  return redirect_to(route->ifindex, &route->next_hop);
}

/* The node's address that speaks for it in ICMP errors: that of the route's uplink, else of any. */
static __attribute__((unused)) long first_uplink(void* map, __u32* ifindex, struct uplink_value* uplink, __u32* found) {
  *found = *ifindex;
  return 1;
}
cold bool node_address(__u32 ifindex, __u8 family, struct ip_addr* out) {
  struct uplink_value* uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
  if (!uplink) {
    bpf_for_each_map_elem(&uplinks, first_uplink, &ifindex, 0);
    uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
  }
  if (!uplink) return false;
  *out = family == 4 ? uplink->addr4 : uplink->addr6;
  return !addr_is_none(out);
}

/* A packet that was turned round finds its own way to its sender: a Pod here, the node, another node, or out by the
 * device that it came from. */
static __always_inline int send_back(struct __sk_buff* ctx, const struct packet* p, enum where where) {
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &p->dst);
  if (pod) return deliver(ctx, pod, where);
  __u32 device = CTX_READ(ctx, ifindex);
  struct route_value* route = find_route(NET_THIS_CLUSTER, &p->dst);
  if (route && route->kind == ROUTE_OVERLAY && config.overlay) return send_overlay(ctx, p, route);
  if (route && route->kind == ROUTE_NATIVE) return send_native(ctx, route);
  if (where == AT_EGRESS) return bpf_redirect(device, BPF_F_INGRESS); /* the node's own socket sent it */
  mark_done(ctx);
  return bpf_redirect_neigh(device, NULL, 0, 0);
}

/* Answers with an ICMP error. `complaint`: what is wrong (icmp.h), or the MTU that would fit. `ifindex`: the uplink
 * that was to carry the packet. */
global int answer(struct __sk_buff* ctx, struct packet* p, __u32 complaint, __u32 ifindex, enum where where) {
  if (!p) return DROP;
  struct ip_addr from;
  /* In the node's name, but not to itself: the kernel drops what comes in from its own address. That a port is closed
   * says who has the address. */
  if (complaint == NO_PORT || !node_address(ifindex, p->family, &from) || addr_equal(&from, &p->src)) from = p->dst;
  if (complaint == NO_HOST) count(ctx, COUNT_UNREACHABLE);
  if (complaint >= COMPLAINTS) count(ctx, COUNT_TOO_BIG);
  if (!make_answer(ctx, p, complaint, &from)) return DROP;
  return send_back(ctx, p, where);
}

#endif
