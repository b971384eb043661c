/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a Pod may say on its link: its own addresses, nothing in a router's name. */
#ifndef CAUSEWAY_LIB_GUARD_H
#define CAUSEWAY_LIB_GUARD_H

#include "lib/flow.h"

enum guard { GUARD_PASS = 0 }; /* else the drop reason */

static __always_inline bool mac_equal(const __u8* a, const __u8* b) {
  return *(const __u32*)a == *(const __u32*)b && *(const __u16*)(a + 4) == *(const __u16*)(b + 4);
}

static __always_inline bool is_own(const struct ip_addr* addr, __u32 ifindex) {
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, addr);
  return pod && pod->ifindex == ifindex;
}

struct arp4 {
  __be16 hardware, protocol;
  __u8 hardware_length, protocol_length;
  __be16 operation;
  __u8 sender_mac[6];
  __be32 sender;
  __u8 target_mac[6];
  __be32 target;
} __attribute__((packed));

/* ARP: sender is the Pod itself, by address and MAC (or asks whether an address is free: RFC 5227 probe). */
cold __u32 guard_arp(struct __sk_buff* ctx) {
  struct ethhdr eth;
  struct arp4 arp;
  struct ip_addr sender;
  if (bpf_skb_load_bytes(ctx, 0, &eth, sizeof(eth)) || bpf_skb_load_bytes(ctx, ETH_LEN, &arp, sizeof(arp)) ||
      arp.hardware != bpf_htons(1) || arp.protocol != bpf_htons(ETH_P_IP) || arp.hardware_length != 6 ||
      arp.protocol_length != 4)
    return DROP_MALFORMED;
  if (__builtin_memcmp(eth.h_source, arp.sender_mac, 6)) return DROP_FOREIGN_NEIGHBOUR;
  if (!arp.sender) return arp.operation == bpf_htons(1) ? GUARD_PASS : DROP_FOREIGN_NEIGHBOUR;
  addr_set4(&sender, arp.sender);
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, &sender);
  if (!pod || pod->ifindex != CTX_READ(ctx, ifindex) || __builtin_memcmp(pod->mac, arp.sender_mac, 6))
    return DROP_FOREIGN_NEIGHBOUR;
  return GUARD_PASS;
}

/* ICMPv6 of neighbour discovery (RFC 4861): no router advertisements or redirects, advertisements of own addresses
 * only. Looks behind extension headers, where such messages like to hide. */
cold __u32 guard_neighbour6(struct __sk_buff* ctx, const struct packet* p) {
  __u32 at = p->transport;
  int proto = walk_extensions(ctx, &at, p->proto, NULL);
  if (proto != IPPROTO_ICMPV6) return proto < 0 ? DROP_MALFORMED : GUARD_PASS;
  __u8 type;
  if (bpf_skb_load_bytes(ctx, at, &type, 1)) return DROP_MALFORMED;
  if (type == 134 || type == 137) return DROP_ROUTER_ADVERTISEMENT;
  if (type != 136) return GUARD_PASS;
  struct ip_addr target;
  if (bpf_skb_load_bytes(ctx, at + 8, &target, 16)) return DROP_MALFORMED;
  return addr_is_link_local(&target) || is_own(&target, CTX_READ(ctx, ifindex)) ? GUARD_PASS : DROP_FOREIGN_NEIGHBOUR;
}

static __always_inline bool needs_neighbour_guard(const struct packet* p) {
  if (p->family == 4) return false;
  switch (p->proto) {
    case IPPROTO_ICMPV6:
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
    case IPPROTO_FRAGMENT:
    case IPPROTO_AH: return true;
  }
  return false;
}

#endif
