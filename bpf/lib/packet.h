/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a program knows of a packet: the network header always, the transport header when somebody asks. */
#ifndef CAUSEWAY_LIB_PACKET_H
#define CAUSEWAY_LIB_PACKET_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "lib/addr.h"

enum { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

struct packet {
  struct ip_addr src;
  struct ip_addr dst;
  __u16 family; /* 4 or 6 */
  __u8 proto;   /* IPv4 protocol, IPv6 first next header; after find_transport() the transport's */
  __u8 ttl;
  __u16 transport;   /* offset of what follows the network header; after find_transport() of the transport header */
  __u8 fragment;     /* FRAGMENT_*; IPv6: known after find_transport() */
  __u8 may_fragment; /* IPv4 without DF */
  __be32 id;         /* of the fragment */
};

enum parse { PARSE_OK, PARSE_NOT_IP, PARSE_MALFORMED };

static __always_inline enum parse parse_ip4(void* data, void* end, struct packet* p) {
  struct iphdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return PARSE_MALFORMED;
  addr_set4(&p->src, ip->saddr);
  addr_set4(&p->dst, ip->daddr);
  p->family = 4;
  p->proto = ip->protocol;
  p->ttl = ip->ttl;
  p->transport = ETH_LEN + ip->ihl * 4;
  __u16 fragment = bpf_ntohs(ip->frag_off);
  p->fragment = fragment & 0x1fff ? FRAGMENT_LATER : fragment & 0x2000 ? FRAGMENT_FIRST : FRAGMENT_NONE;
  p->may_fragment = !(fragment & 0x4000);
  p->id = ip->id;
  return PARSE_OK;
}

static __always_inline enum parse parse_ip6(void* data, void* end, struct packet* p) {
  struct ipv6hdr* ip = data + ETH_LEN;
  if ((void*)(ip + 1) > end || ip->version != 6) return PARSE_MALFORMED;
  __builtin_memcpy(&p->src, &ip->saddr, 16);
  __builtin_memcpy(&p->dst, &ip->daddr, 16);
  p->family = 6;
  p->proto = ip->nexthdr;
  p->ttl = ip->hop_limit;
  p->transport = ETH_LEN + IP6_LEN;
  p->fragment = FRAGMENT_NONE;
  p->may_fragment = 0;
  p->id = 0;
  return PARSE_OK;
}

/* `protocol`: the EtherType in network order. */
static __always_inline enum parse parse_as(struct __sk_buff* ctx, __u32 protocol, struct packet* p) {
  __u32 need = protocol == bpf_htons(ETH_P_IP) ? ETH_LEN + IP4_LEN : ETH_LEN + IP6_LEN;
  void *data = ctx_data(ctx), *end = ctx_end(ctx);
  if (unlikely(data + need > end)) {
    /* Headers outside of the linear part: rare, some drivers and AF_PACKET senders. */
    if (bpf_skb_pull_data(ctx, need)) return PARSE_MALFORMED;
    data = ctx_data(ctx);
    end = ctx_end(ctx);
  }
  if (config.ipv4 && protocol == bpf_htons(ETH_P_IP)) return parse_ip4(data, end, p);
  if (config.ipv6 && protocol == bpf_htons(ETH_P_IPV6)) return parse_ip6(data, end, p);
  return PARSE_NOT_IP;
}

static __always_inline enum parse parse(struct __sk_buff* ctx, struct packet* p) {
  __u32 protocol = CTX_READ(ctx, protocol);
  if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6)) return PARSE_NOT_IP;
  return parse_as(ctx, protocol, p);
}

/* Walks IPv6 extension headers (RFC 8200 section 4) at offset *at; `proto` is the first next header. Returns the
 * transport protocol, or -1 where the chain is cut or longer than anybody sends. */
static __always_inline int walk_extensions(struct __sk_buff* ctx, __u32* at, __u8 proto, struct packet* fragment) {
  __u32 offset = *at;
#pragma unroll
  for (int i = 0; i < 6; i++) {
    __u8 header[8];
    switch (proto) {
      case IPPROTO_HOPOPTS:
      case IPPROTO_ROUTING:
      case IPPROTO_DSTOPTS:
        if (bpf_skb_load_bytes(ctx, offset, header, 8)) return -1;
        offset += 8 + header[1] * 8;
        break;
      case IPPROTO_AH:
        if (bpf_skb_load_bytes(ctx, offset, header, 8)) return -1;
        offset += 8 + header[1] * 4;
        break;
      case IPPROTO_FRAGMENT: {
        if (bpf_skb_load_bytes(ctx, offset, header, 8)) return -1;
        __u16 where = (__u16)header[2] << 8 | header[3];
        if (fragment) {
          fragment->fragment = where & 0xfff8 ? FRAGMENT_LATER : where & 1 ? FRAGMENT_FIRST : FRAGMENT_NONE;
          __builtin_memcpy(&fragment->id, header + 4, 4);
        }
        offset += 8;
        if (where & 0xfff8) {
          *at = offset;
          return header[0];
        }
        break;
      }
      default: *at = offset; return proto;
    }
    proto = header[0];
  }
  return -1;
}

/* Finds the transport header behind IPv6 extension headers. False: malformed. */
static __always_inline bool find_transport(struct __sk_buff* ctx, struct packet* p) {
  if (p->family == 4) return true;
  __u32 at = p->transport;
  int proto = walk_extensions(ctx, &at, p->proto, p);
  if (proto < 0) return false;
  p->proto = proto;
  p->transport = at;
  return true;
}

#endif
