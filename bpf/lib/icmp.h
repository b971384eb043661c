/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP errors: those we send (too big, unreachable) and those about flows that we translate. */
#ifndef CAUSEWAY_LIB_ICMP_H
#define CAUSEWAY_LIB_ICMP_H

#include "lib/nat.h"

/* How much of the offending packet is quoted at most. Not the RFCs' maximum: enough for every receiver to find its
 * socket, and for the kernel to cut there (a transport checksum that is yet to be filled must stay inside). A smaller
 * packet is quoted whole: the kernel does not cut what came encapsulated. */
enum { QUOTE_MAX = 88 };

static __always_inline __u16 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

/* No error about an error (RFC 1122 3.2.2, RFC 4443 2.4 e), about multicast or a later fragment. */
static __always_inline bool may_answer(struct __sk_buff* ctx, const struct packet* p) {
  if (p->fragment == FRAGMENT_LATER || addr_is_multicast(&p->dst) || addr_is_multicast(&p->src)) return false;
  if (!is_icmp(p->proto)) return true;
  __u8 type;
  if (bpf_skb_load_bytes(ctx, p->transport, &type, 1)) return false;
  return classify_icmp(p->proto, type) == ICMP_REQUEST || classify_icmp(p->proto, type) == ICMP_REPLY;
}

/* What is wrong with a packet; everything above: too big, this many bytes would fit. */
enum complaint { NO_HOST = 0, NO_PORT = 1, EXPIRED = 2, COMPLAINTS = 3 };

/* Type and code of the error: RFC 792, RFC 1191, RFC 4443. */
static __always_inline __u16 type_of(__u8 family, __u32 complaint) {
  bool v4 = family == 4;
  switch (complaint) {
    case NO_HOST: return v4 ? ICMP4_UNREACHABLE | 1 << 8 : ICMP6_UNREACHABLE | 3 << 8;
    case NO_PORT: return v4 ? ICMP4_UNREACHABLE | 3 << 8 : ICMP6_UNREACHABLE | 4 << 8;
    case EXPIRED: return v4 ? ICMP4_TIME : ICMP6_TIME;
  }
  return v4 ? ICMP4_UNREACHABLE | 4 << 8 : ICMP6_TOO_BIG;
}

/* The Ethernet header turned round. */
static __always_inline bool turn_frame(struct __sk_buff* ctx) {
  void *data = ctx_data(ctx), *end = ctx_end(ctx);
  struct ethhdr* eth = data;
  if ((void*)(eth + 1) > end) return false;
  __u8 was[6];
  __builtin_memcpy(was, eth->h_dest, 6);
  __builtin_memcpy(eth->h_dest, eth->h_source, 6);
  __builtin_memcpy(eth->h_source, was, 6);
  return true;
}

/* Turns the packet into the error about itself, from `from` to its sender, and the Ethernet header round. False: the
 * packet must not or cannot be answered (and may be damaged: drop it). */
cold bool make_answer(struct __sk_buff* ctx, struct packet* p, __u32 complaint, const struct ip_addr* from) {
  if (!may_answer(ctx, p)) return false;
  __u8 family = p->family;
  __u32 length = CTX_READ(ctx, len);
  __u32 quote = length - ETH_LEN;
  struct ip_addr sender = p->src;
  if (quote > QUOTE_MAX) {
    quote = QUOTE_MAX;
    if (bpf_skb_change_tail(ctx, ETH_LEN + quote, 0)) return false;
  }
  if (bpf_skb_adjust_room(ctx, family == 4 ? IP4_LEN + 8 : IP6_LEN + 8, BPF_ADJ_ROOM_MAC, 0)) return false;

  struct {
    __u8 type;
    __u8 code;
    __be16 checksum;
    __be32 info;
    __u8 quote[QUOTE_MAX];
  } icmp = {};
  __u32 at = ETH_LEN + (family == 4 ? IP4_LEN : IP6_LEN);
  // Two tests, each of the register that the call gets: the verifier of 6.1 learns nothing from "not 0", nor from the
  // one test of a difference that clang makes of two neighbours.
  if (quote < IP4_LEN) return false;
  asm volatile("" : "+r"(quote));
  if (quote > QUOTE_MAX || bpf_skb_load_bytes(ctx, at + 8, icmp.quote, quote)) return false;
  __u16 type = type_of(family, complaint);
  icmp.type = type;
  icmp.code = type >> 8;
  if (complaint >= COMPLAINTS) icmp.info = bpf_htonl(complaint);
  __u32 payload = 8 + quote;
  __u64 sum = bpf_csum_diff(NULL, 0, (__be32*)&icmp, sizeof(icmp), 0); /* beyond the quote: zeros */

  p->src = *from;
  p->dst = sender;
  p->proto = family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  p->ttl = 64;
  p->fragment = FRAGMENT_NONE;
  p->may_fragment = 0;
  p->transport = at;
  if (family == 4) {
    struct iphdr ip = {
        .version = 4,
        .ihl = 5,
        .tos = 0xc0 /* as the kernel: internetwork control */,
        .ttl = 64,
        .protocol = IPPROTO_ICMP,
        .tot_len = bpf_htons(IP4_LEN + payload),
        .saddr = p->src.word[3],
        .daddr = p->dst.word[3],
    };
    ip.check = fold(bpf_csum_diff(NULL, 0, (__be32*)&ip, sizeof(ip), 0));
    if (bpf_skb_store_bytes(ctx, ETH_LEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM)) return false;
  } else {
    struct ipv6hdr ip = {.version = 6, .payload_len = bpf_htons(payload), .nexthdr = IPPROTO_ICMPV6, .hop_limit = 64};
    __builtin_memcpy(&ip.saddr, &p->src, 16);
    __builtin_memcpy(&ip.daddr, &p->dst, 16);
    if (bpf_skb_store_bytes(ctx, ETH_LEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM)) return false;
    sum = bpf_csum_diff(NULL, 0, (__be32*)&ip.saddr, 32, sum);
    sum += bpf_htonl(payload);
    sum += bpf_htonl(IPPROTO_ICMPV6);
  }
  icmp.checksum = fold(sum);
  if (bpf_skb_store_bytes(ctx, at, &icmp, 8, BPF_F_RECOMPUTE_CSUM)) return false;

  return turn_frame(ctx);
}

/* The packet that an ICMP error quotes. */
struct quoted {
  struct packet p;
  struct flow flow;
};

/* Reads the quoted packet's flow; its offsets are those in the whole packet. Only what can be translated: ports or echo
 * requests, no later fragments. */
cold bool read_quoted(struct __sk_buff* ctx, const struct packet* outer, __u32 net, struct quoted* q) {
  __u32 at = outer->transport + 8;
  __builtin_memset(q, 0, sizeof(*q));
  q->p.family = outer->family;
  if (outer->family == 4) {
    struct iphdr ip;
    if (bpf_skb_load_bytes(ctx, at, &ip, sizeof(ip))) return false;
    if (ip.version != 4 || ip.ihl < 5 || ip.frag_off & bpf_htons(0x1fff)) return false;
    addr_set4(&q->p.src, ip.saddr);
    addr_set4(&q->p.dst, ip.daddr);
    q->p.proto = ip.protocol;
    q->p.transport = at + ip.ihl * 4;
  } else {
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(ctx, at, &ip, sizeof(ip))) return false;
    if (ip.version != 6) return false;
    __builtin_memcpy(&q->p.src, &ip.saddr, 16);
    __builtin_memcpy(&q->p.dst, &ip.daddr, 16);
    q->p.proto = ip.nexthdr;
    q->p.transport = at + IP6_LEN;
  }
  struct ct_key* key = &q->flow.key;
  key->net = net;
  key->src = q->p.src;
  key->dst = q->p.dst;
  key->proto = q->p.proto;
  if (has_ports(key->proto)) {
    __be16 ports[2];
    if (bpf_skb_load_bytes(ctx, q->p.transport, ports, 4)) return false;
    key->sport = ports[0];
    key->dport = ports[1];
    q->flow.kind = FLOW_PORTS;
  } else if (is_icmp(key->proto)) {
    __u8 icmp[8];
    __be16 id;
    if (bpf_skb_load_bytes(ctx, q->p.transport, icmp, 8)) return false;
    __builtin_memcpy(&id, icmp + 4, 2);
    switch (classify_icmp(key->proto, icmp[0])) {
      case ICMP_REQUEST: key->sport = id; break;
      case ICMP_REPLY: key->dport = id; break;
      case ICMP_ERROR:
      case ICMP_ELSE: return false;
    }
    q->flow.kind = FLOW_ECHO;
  } else {
    q->flow.kind = FLOW_PLAIN;
  }
  return true;
}

/* The quoted packet went the other way: the row of its answers says how it looked before our translation. */
static __always_inline struct ct_value* find_quoted(const struct quoted* q, struct ct_key* answers) {
  answers->net = q->flow.key.net;
  answers->src = q->flow.key.dst;
  answers->dst = q->flow.key.src;
  answers->sport = q->flow.key.dport;
  answers->dport = q->flow.key.sport;
  answers->proto = q->flow.key.proto;
  answers->reserved[0] = answers->reserved[1] = answers->reserved[2] = 0;
  return bpf_map_lookup_elem(&conntrack, answers);
}

/* Changes one side of the quoted packet, and with it the error's checksum. The quoted IPv4 header's checksum is kept,
 * so the header's sum does not change; a quoted transport checksum is not: nobody verifies it. */
static __always_inline long rewrite_quoted(struct __sk_buff* ctx, const struct packet* outer, const struct quoted* q,
                                           enum side side, const struct ip_addr* to, __be16 to_port) {
  const struct ip_addr* from = side == SOURCE ? &q->p.src : &q->p.dst;
  __be16 from_port = side == SOURCE ? q->flow.key.sport : q->flow.key.dport;
  __s64 difference = address_difference(from, to);
  __u32 checksum = outer->transport + 2;
  if (write_address(ctx, outer->transport + 8, outer->family, side, to, difference)) return -1;
  if (outer->family == 6 && bpf_l4_csum_replace(ctx, checksum, 0, difference, 0)) return -1;
  if (q->flow.kind == FLOW_PLAIN || from_port == to_port) return 0;
  if (bpf_l4_csum_replace(ctx, checksum, from_port, to_port, 2)) return -1;
  __u32 where = q->p.transport + (q->flow.kind == FLOW_ECHO ? 4 : side == SOURCE ? 0 : 2);
  return bpf_skb_store_bytes(ctx, where, &to_port, 2, 0);
}

cold long rewrite_quoted_source(struct __sk_buff* ctx, const struct packet* outer, const struct quoted* q,
                                const struct ip_addr* to, __be16 port) {
  return rewrite_quoted(ctx, outer, q, SOURCE, to, port);
}
cold long rewrite_quoted_target(struct __sk_buff* ctx, const struct packet* outer, const struct quoted* q,
                                const struct ip_addr* to, __be16 port) {
  return rewrite_quoted(ctx, outer, q, TARGET, to, port);
}

#endif
