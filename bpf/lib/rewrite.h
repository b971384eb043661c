/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Changes of one address and one port, checksums kept (incrementally, RFC 1624). */
#ifndef CAUSEWAY_LIB_REWRITE_H
#define CAUSEWAY_LIB_REWRITE_H

#include "lib/crc32c.h"
#include "lib/flow.h"

enum side { SOURCE, TARGET };

static __always_inline __u32 address_offset(__u8 family, enum side side) {
  if (family == 4) return side == SOURCE ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr);
  return side == SOURCE ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr);
}

/* An address of the IP header at offset `at` and, IPv4, the header's checksum. */
static __always_inline long write_address(struct __sk_buff* ctx, __u32 at, __u8 family, enum side side,
                                          const struct ip_addr* to, __s64 difference) {
  __u32 where = at + address_offset(family, side);
  if (family == 6) return bpf_skb_store_bytes(ctx, where, to, 16, 0);
  long err = bpf_l3_csum_replace(ctx, at + offsetof(struct iphdr, check), 0, difference, 0);
  return err ?: bpf_skb_store_bytes(ctx, where, &to->word[3], 4, 0);
}

static __always_inline __s64 address_difference(const struct ip_addr* from, const struct ip_addr* to) {
  return bpf_csum_diff((__be32*)from->word, 16, (__be32*)to->word, 16, 0);
}

/* Address and port of one side of the packet. `from_port`, `to_port`: ports or the echo id. */
static __always_inline long rewrite(struct __sk_buff* ctx, struct packet* p, const struct flow* flow, enum side side,
                                    const struct ip_addr* to, __be16 to_port) {
  struct ip_addr* from = side == SOURCE ? &p->src : &p->dst;
  __be16 from_port = side == SOURCE ? flow->key.sport : flow->key.dport;
  __s64 difference = address_difference(from, to);
  __u8 proto = p->proto, kind = flow->kind;
  __u32 at = p->transport;
  if (write_address(ctx, ETH_LEN, p->family, side, to, difference)) return -1;
  *from = *to;
  if (kind == FLOW_FRAGMENT) return 0;

  __u32 checksum = 0, flags = 0;
  bool pseudo = true;
  if (proto == IPPROTO_TCP)
    checksum = at + 16;
  else if (proto == IPPROTO_UDP)
    checksum = at + 6, flags = BPF_F_MARK_MANGLED_0;
  else if (proto == IPPROTO_ICMPV6)
    checksum = at + 2;
  else if (proto == IPPROTO_ICMP)
    checksum = at + 2, pseudo = false;
  else
    return 0; /* SCTP's checksum covers ports and no address: rewrite_sctp() */

  if (pseudo && bpf_l4_csum_replace(ctx, checksum, 0, difference, flags | BPF_F_PSEUDO_HDR)) return -1;
  if (to_port == from_port || (kind != FLOW_PORTS && kind != FLOW_ECHO)) return 0;
  if (bpf_l4_csum_replace(ctx, checksum, from_port, to_port, flags | 2)) return -1;
  __u32 where = at + (kind == FLOW_ECHO ? 4 : side == SOURCE ? 0 : 2);
  return bpf_skb_store_bytes(ctx, where, &to_port, 2, 0);
}

/* The ports of an SCTP packet. Not of a fragment: how long the whole is, is unknown. */
cold long rewrite_sctp(struct __sk_buff* ctx, const struct packet* p, __be16 source, __be16 target) {
  __u16 ports[2] = {source, target}, was[2];
  __be16 bytes;
  __u32 checksum;
  if (p->fragment != FRAGMENT_NONE) return -1;
  /* As the IP header says: a frame may be padded. */
  if (bpf_skb_load_bytes(ctx, ETH_LEN + (p->family == 4 ? 2 : 4), &bytes, 2)) return -1;
  __u32 length = bpf_ntohs(bytes) + ETH_LEN + (p->family == 4 ? 0 : IP6_LEN) - p->transport;
  if (bpf_skb_load_bytes(ctx, p->transport, was, 4)) return -1;
  if (bpf_skb_load_bytes(ctx, p->transport + SCTP_CHECKSUM, &checksum, 4)) return -1;
  checksum ^= crc32c_difference((__u32)(ports[1] ^ was[1]) << 16 | (ports[0] ^ was[0]), length);
  long err = bpf_skb_store_bytes(ctx, p->transport, ports, 4, BPF_F_RECOMPUTE_CSUM);
  return err ?: bpf_skb_store_bytes(ctx, p->transport + SCTP_CHECKSUM, &checksum, 4, BPF_F_RECOMPUTE_CSUM);
}

/* A call has five arguments at most. */
cold long rewrite_source(struct __sk_buff* ctx, struct packet* p, const struct flow* flow, const struct ip_addr* to,
                         __be16 port) {
  return rewrite(ctx, p, flow, SOURCE, to, port);
}
cold long rewrite_target(struct __sk_buff* ctx, struct packet* p, const struct flow* flow, const struct ip_addr* to,
                         __be16 port) {
  return rewrite(ctx, p, flow, TARGET, to, port);
}

#endif
