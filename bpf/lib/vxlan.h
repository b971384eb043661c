/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* VXLAN (RFC 7348) without a device: the programs write and read the outer headers. */
#ifndef CAUSEWAY_LIB_VXLAN_H
#define CAUSEWAY_LIB_VXLAN_H

#include <linux/udp.h>

#include "lib/maps.h"
#include "lib/packet.h"

struct vxlan_header {
  __be32 flags; /* bit I: the VNI is valid */
  __be32 vni;   /* in the upper 24 bits */
};
enum { VXLAN_VNI_VALID = 0x08000000 };

struct inner_headers {
  struct udphdr udp;
  struct vxlan_header vxlan;
  struct ethhdr eth;
} __attribute__((packed));

struct outer4 {
  struct iphdr ip;
  struct inner_headers inner;
} __attribute__((packed));
struct outer6 {
  struct ipv6hdr ip;
  struct inner_headers inner;
} __attribute__((packed));

enum { OVERHEAD4 = sizeof(struct outer4), OVERHEAD6 = sizeof(struct outer6) };
_Static_assert(OVERHEAD4 == 50 && OVERHEAD6 == 70, "the MTU contract");

static __always_inline void fill_inner(struct __sk_buff* ctx, struct inner_headers* inner, const struct packet* p,
                                       __u32 vni, __u32 length) {
  /* The source port spreads flows over paths and queues (RFC 7348 section 4): ephemeral, from the flow's hash. */
  __u32 hash = bpf_get_hash_recalc(ctx);
  inner->udp.source = bpf_htons(49152 | ((hash ^ hash >> 16) & 0x3fff));
  inner->udp.dest = bpf_htons(config.vxlan_port);
  inner->udp.len = bpf_htons(length + sizeof(*inner));
  inner->udp.check = 0; /* allowed for tunnels over IPv6 too: RFC 6935 */
  inner->vxlan.flags = bpf_htonl(VXLAN_VNI_VALID);
  inner->vxlan.vni = bpf_htonl(vni << 8);
  __builtin_memset(inner->eth.h_dest, 0, 12);
  inner->eth.h_proto = p->family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

enum { EALREADY_ = 114 };

/* Room for `overhead` bytes of outer headers of family `outer`. */
static __always_inline long make_room(struct __sk_buff* ctx, const struct packet* p, __u8 outer, __u32 overhead,
                                      __u64 layers) {
  const __u64 common = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) |
                       BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
  long err = bpf_skb_adjust_room(ctx, overhead, BPF_ADJ_ROOM_MAC, common | layers);
  if (likely(err != -EALREADY_)) return err;
  /* It came encapsulated, and the kernel keeps that mark when the headers are taken away: an ICMP error that we made of
   * such a packet. Never a large send, so plain bytes do; skb->protocol has to follow by other means. */
  if (p->family == outer) return bpf_skb_adjust_room(ctx, overhead, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
  /* It inserts or removes the 20 bytes in which the headers differ: what it removes must be ours, not the packet's. */
  if (outer == 6) {
    err = bpf_skb_change_proto(ctx, bpf_htons(ETH_P_IPV6), 0);
    return err ?: bpf_skb_adjust_room(ctx, overhead - 20, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
  }
  err = bpf_skb_adjust_room(ctx, overhead + 20, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
  return err ?: bpf_skb_change_proto(ctx, bpf_htons(ETH_P_IP), 0);
}

/* Puts the outer headers in front and sends the packet to the route's VTEP. FIXED_GSO: what fits was checked, segments
 * stay as they are. */
static __always_inline int encapsulate(struct __sk_buff* ctx, const struct packet* p, const struct route_value* route) {
  __u32 length = CTX_READ(ctx, len) - ETH_LEN;
  if (addr_is4(&route->vtep)) {
    struct outer4 outer = {};
    fill_inner(ctx, &outer.inner, p, route->vni, length);
    outer.ip.version = 4;
    outer.ip.ihl = 5;
    outer.ip.tot_len = bpf_htons(length + OVERHEAD4);
    outer.ip.frag_off = bpf_htons(0x4000);
    outer.ip.ttl = 64;
    outer.ip.protocol = IPPROTO_UDP;
    outer.ip.saddr = route->source.word[3];
    outer.ip.daddr = route->vtep.word[3];
    __u32 sum = 0;
    __u16* words = (__u16*)&outer.ip;
#pragma unroll
    for (int i = 0; i < 10; i++) sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    outer.ip.check = ~((sum & 0xffff) + (sum >> 16));
    if (make_room(ctx, p, 4, OVERHEAD4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) ||
        bpf_skb_store_bytes(ctx, ETH_LEN, &outer, sizeof(outer), 0))
      return drop(ctx, DROP_WRITE_FAILED);
  } else {
    struct outer6 outer = {};
    fill_inner(ctx, &outer.inner, p, route->vni, length);
    outer.ip.version = 6;
    outer.ip.payload_len = bpf_htons(length + sizeof(outer.inner));
    outer.ip.nexthdr = IPPROTO_UDP;
    outer.ip.hop_limit = 64;
    __builtin_memcpy(&outer.ip.saddr, &route->source, 16);
    __builtin_memcpy(&outer.ip.daddr, &route->vtep, 16);
    if (make_room(ctx, p, 6, OVERHEAD6, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6) ||
        bpf_skb_store_bytes(ctx, ETH_LEN, &outer, sizeof(outer), 0))
      return drop(ctx, DROP_WRITE_FAILED);
  }
  return 0;
}

enum decap { DECAP_NO, DECAP_DONE, DECAP_DROP };

/* Is this our VXLAN? If so, from a known node only, takes the outer headers away and parses the inner packet into *p.
 */
static __always_inline enum decap decapsulate(struct __sk_buff* ctx, struct packet* p) {
  struct {
    struct udphdr udp;
    struct vxlan_header vxlan;
    struct ethhdr eth;
  } __attribute__((packed)) in;
  if (p->fragment != FRAGMENT_NONE) return DECAP_NO;
  if (bpf_skb_load_bytes(ctx, p->transport, &in, sizeof(in))) return DECAP_NO;
  if (in.udp.dest != bpf_htons(config.vxlan_port)) return DECAP_NO;
  if (in.vxlan.flags != bpf_htonl(VXLAN_VNI_VALID) || in.vxlan.vni != bpf_htonl(config.vni << 8)) return DECAP_NO;

  __u32 ifindex = CTX_READ(ctx, ifindex);
  struct uplink_value* uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
  if (!uplink || !addr_equal(&p->dst, p->family == 4 ? &uplink->addr4 : &uplink->addr6)) return DECAP_NO;
  struct peer_key peer = {.addr = p->src};
  if (!bpf_map_lookup_elem(&peers, &peer)) {
    count(ctx, DROP_PEER_UNKNOWN);
    return DECAP_DROP;
  }
  __u32 protocol = in.eth.h_proto;
  bool inner4 = protocol == bpf_htons(ETH_P_IP);
  if (!inner4 && protocol != bpf_htons(ETH_P_IPV6)) {
    count(ctx, DROP_MALFORMED);
    return DECAP_DROP;
  }
  __s32 outer = p->transport - ETH_LEN + (int)sizeof(in);
  if (inner4 != (p->family == 4)) {
    /* Shrinking does not change skb->protocol before kernel 6.3; this does, and grows or shrinks by the 20 bytes in
     * which the headers differ. */
    if (bpf_skb_change_proto(ctx, protocol, 0)) goto refused;
    outer += inner4 ? -20 : 20;
  }
  if (bpf_skb_adjust_room(ctx, -outer, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO)) goto refused;
  if (inner4 != (p->family == 4)) {
    __u16 type = protocol;
    if (bpf_skb_store_bytes(ctx, offsetof(struct ethhdr, h_proto), &type, 2, 0)) goto refused;
  }
  count(ctx, COUNT_DECAPSULATED);
  if (parse_as(ctx, protocol, p) == PARSE_OK) return DECAP_DONE;
  count(ctx, DROP_MALFORMED);
  return DECAP_DROP;
refused:
  count(ctx, DROP_WRITE_FAILED);
  return DECAP_DROP;
}

#endif
