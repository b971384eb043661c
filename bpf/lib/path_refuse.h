/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a Service says itself: a reset (RFC 9293 section 3.5.2), an echo reply. */
#ifndef CAUSEWAY_LIB_PATH_REFUSE_H
#define CAUSEWAY_LIB_PATH_REFUSE_H

#include <linux/tcp.h>

#include "lib/path.h"

/* Source and destination change places; a hop limit of our own. Sums over both addresses stay what they are. */
cold bool turn_addresses(struct __sk_buff* ctx, struct packet* p) {
  struct ip_addr was = p->src;
  p->src = p->dst;
  p->dst = was;
  if (p->family == 4) {
    __be32 addresses[2] = {p->src.word[3], p->dst.word[3]};
    __be16 old, new;
    if (bpf_skb_load_bytes(ctx, ETH_LEN + offsetof(struct iphdr, ttl), &old, 2)) return false;
    new = (old & bpf_htons(0xff)) | bpf_htons(64 << 8);
    if (bpf_skb_store_bytes(ctx, ETH_LEN + offsetof(struct iphdr, saddr), addresses, 8, 0) ||
        bpf_l3_csum_replace(ctx, ETH_LEN + offsetof(struct iphdr, check), old, new, 2) ||
        bpf_skb_store_bytes(ctx, ETH_LEN + offsetof(struct iphdr, ttl), &new, 2, 0))
      return false;
  } else {
    __u8 limit = 64;
    if (bpf_skb_store_bytes(ctx, ETH_LEN + offsetof(struct ipv6hdr, saddr), &p->src, 16, 0) ||
        bpf_skb_store_bytes(ctx, ETH_LEN + offsetof(struct ipv6hdr, daddr), &p->dst, 16, 0) ||
        bpf_skb_store_bytes(ctx, ETH_LEN + offsetof(struct ipv6hdr, hop_limit), &limit, 1, BPF_F_RECOMPUTE_CSUM))
      return false;
  }
  p->ttl = 64;
  return turn_frame(ctx);
}

/* An echo request becomes its reply. */
global bool make_echo_reply(struct __sk_buff* ctx, struct packet* p) {
  if (!p || p->fragment != FRAGMENT_NONE) return false;
  __u8 type = p->family == 4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY;
  __u8 was = p->family == 4 ? ICMP4_ECHO : ICMP6_ECHO;
  return !bpf_l4_csum_replace(ctx, p->transport + 2, was, type, 2) &&
         !bpf_skb_store_bytes(ctx, p->transport, &type, 1, 0) && turn_addresses(ctx, p);
}

enum { TCP_LEN = 20, TCP_CHECKSUM = 16 };

/* Is the checksum yet to be filled in by the device (CHECKSUM_PARTIAL)? The helper leaves it alone then. */
static __always_inline bool checksum_is_partial(struct __sk_buff* ctx, __u32 at) {
  __u16 before, after;
  if (bpf_skb_load_bytes(ctx, at, &before, 2) || bpf_l4_csum_replace(ctx, at, 0, 1, 2) ||
      bpf_skb_load_bytes(ctx, at, &after, 2))
    return false;
  return before == after;
}

/* A TCP segment becomes the reset that answers it. The network header stays where it is, and so does the place where a
 * device would fill in the checksum. */
global bool make_reset(struct __sk_buff* ctx, struct packet* p) {
  if (!p || p->fragment != FRAGMENT_NONE) return false;
  __u32 at = p->transport;
  struct tcphdr tcp, reset = {.doff = TCP_LEN / 4, .rst = 1};
  if (bpf_skb_load_bytes(ctx, at, &tcp, TCP_LEN) || tcp.rst) return false;
  __be16 old_length, length;
  __u32 length_at =
      ETH_LEN + (p->family == 4 ? offsetof(struct iphdr, tot_len) : offsetof(struct ipv6hdr, payload_len));
  __u32 before = p->family == 4 ? 0 : IP6_LEN; /* what the length leaves out */
  if (bpf_skb_load_bytes(ctx, length_at, &old_length, 2)) return false;
  reset.source = tcp.dest;
  reset.dest = tcp.source;
  if (tcp.ack) {
    reset.seq = tcp.ack_seq;
  } else {
    __u32 segment = bpf_ntohs(old_length) + ETH_LEN + before - at - tcp.doff * 4;
    reset.ack = 1;
    reset.ack_seq = bpf_htonl(bpf_ntohl(tcp.seq) + segment + tcp.syn + tcp.fin);
  }
  bool partial = checksum_is_partial(ctx, at + TCP_CHECKSUM);
  if (bpf_skb_change_tail(ctx, at + TCP_LEN, 0)) {
    /* The kernel does not cut what came encapsulated. A reset may be as long as what it answers (RFC 9293
     * section 3.5.3), options of no meaning included. */
    if (!turn_addresses(ctx, p)) return false;
    reset.doff = tcp.doff;
    __u32 was = (__u16)~tcp.check;
    if (partial) {
      reset.check = tcp.check;
    } else {
      tcp.check = 0;
      reset.check = fold(bpf_csum_diff((__be32*)&tcp, TCP_LEN, (__be32*)&reset, TCP_LEN, was));
    }
    return !bpf_skb_store_bytes(ctx, at, &reset, TCP_LEN, BPF_F_RECOMPUTE_CSUM);
  }
  length = bpf_htons(at + TCP_LEN - ETH_LEN - before);
  if (p->family == 4 && bpf_l3_csum_replace(ctx, ETH_LEN + offsetof(struct iphdr, check), old_length, length, 2))
    return false;
  if (bpf_skb_store_bytes(ctx, length_at, &length, 2, 0) || !turn_addresses(ctx, p)) return false;
  /* Both halves of the one address form add up as their IPv4 forms do: ::ffff:0:0 is 0 to this sum. */
  __u64 sum = bpf_csum_diff(NULL, 0, (__be32*)&p->src, 16, 0);
  sum = bpf_csum_diff(NULL, 0, (__be32*)&p->dst, 16, sum);
  sum += bpf_htonl(TCP_LEN);
  sum += bpf_htonl(IPPROTO_TCP);
  if (partial) {
    reset.check = ~fold(sum);
  } else {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    reset.check = fold(bpf_csum_diff(NULL, 0, (__be32*)&reset, TCP_LEN, sum));
  }
  return !bpf_skb_store_bytes(ctx, at, &reset, TCP_LEN, BPF_F_RECOMPUTE_CSUM);
}

/* To the sender of a packet that was turned round. */
global int path_back(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  return p ? send_back(ctx, p, ask & ASK_EGRESS ? AT_EGRESS : AT_INGRESS) : DROP;
}

#endif
