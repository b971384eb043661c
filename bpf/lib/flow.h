/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which flow a packet is of: the conntrack key as this packet carries it. */
#ifndef CAUSEWAY_LIB_FLOW_H
#define CAUSEWAY_LIB_FLOW_H

#include "lib/frag.h"

enum flow_kind {
  FLOW_PORTS,      /* TCP, UDP, SCTP: ports at transport + 0 and + 2 */
  FLOW_ECHO,       /* ICMP echo: id at transport + 4 */
  FLOW_PLAIN,      /* a protocol without ports */
  FLOW_ICMP_ERROR, /* about another packet: key not filled */
  FLOW_FRAGMENT,   /* a later fragment: key filled, nothing of the transport header is in this packet */
  FLOW_EARLY,      /* a later fragment whose first was not seen */
  FLOW_MALFORMED,
};

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

struct flow {
  struct ct_key key;
  __u8 kind; /* enum flow_kind */
  __u8 tcp_flags;
  __u8 opens; /* may open a flow: not an echo reply, not a reset */
};

enum {
  ICMP4_ECHO_REPLY = 0,
  ICMP4_UNREACHABLE = 3,
  ICMP4_QUENCH = 4,
  ICMP4_REDIRECT = 5,
  ICMP4_ECHO = 8,
  ICMP4_TIME = 11,
  ICMP4_PARAMETER = 12
};
enum {
  ICMP6_UNREACHABLE = 1,
  ICMP6_TOO_BIG = 2,
  ICMP6_TIME = 3,
  ICMP6_PARAMETER = 4,
  ICMP6_ECHO = 128,
  ICMP6_ECHO_REPLY = 129
};

enum icmp_class { ICMP_REQUEST, ICMP_REPLY, ICMP_ERROR, ICMP_ELSE };

static __always_inline enum icmp_class classify_icmp(__u8 proto, __u8 type) {
  if (proto == IPPROTO_ICMP) {
    switch (type) {
      case ICMP4_ECHO: return ICMP_REQUEST;
      case ICMP4_ECHO_REPLY: return ICMP_REPLY;
      case ICMP4_UNREACHABLE:
      case ICMP4_QUENCH:
      case ICMP4_TIME:
      case ICMP4_PARAMETER: return ICMP_ERROR;
    }
    return ICMP_ELSE;
  }
  if (type == ICMP6_ECHO) return ICMP_REQUEST;
  if (type == ICMP6_ECHO_REPLY) return ICMP_REPLY;
  return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER ? ICMP_ERROR : ICMP_ELSE;
}

static __always_inline bool is_icmp(__u8 proto) { return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6; }
static __always_inline bool has_ports(__u8 proto) {
  return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* Needs find_transport(). */
cold void flow_of(struct __sk_buff* ctx, const struct packet* p, __u32 net, struct flow* flow) {
  __builtin_memset(flow, 0, sizeof(*flow));
  flow->key.net = net;
  flow->key.src = p->src;
  flow->key.dst = p->dst;
  flow->key.proto = p->proto;
  flow->opens = 1;
  if (p->fragment == FRAGMENT_LATER) {
    bool known = frag_recall(p, net, &flow->key.sport, &flow->key.dport);
    flow->kind = known ? FLOW_FRAGMENT : FLOW_EARLY;
    return;
  }
  if (has_ports(p->proto)) {
    __be16 ports[2];
    flow->kind = FLOW_PORTS;
    if (bpf_skb_load_bytes(ctx, p->transport, ports, 4)) {
      flow->kind = FLOW_MALFORMED;
      return;
    }
    flow->key.sport = ports[0];
    flow->key.dport = ports[1];
    if (p->proto == IPPROTO_TCP) {
      if (bpf_skb_load_bytes(ctx, p->transport + 13, &flow->tcp_flags, 1)) flow->kind = FLOW_MALFORMED;
      if (flow->tcp_flags & TCP_RST) flow->opens = 0;
    }
  } else if (is_icmp(p->proto)) {
    __u8 icmp[8];
    if (bpf_skb_load_bytes(ctx, p->transport, icmp, 8)) {
      flow->kind = FLOW_MALFORMED;
      return;
    }
    __be16 id;
    __builtin_memcpy(&id, icmp + 4, 2);
    switch (classify_icmp(p->proto, icmp[0])) {
      case ICMP_REQUEST:
        flow->kind = FLOW_ECHO;
        flow->key.sport = id;
        break;
      case ICMP_REPLY:
        flow->kind = FLOW_ECHO;
        flow->key.dport = id;
        flow->opens = 0;
        break;
      case ICMP_ERROR: flow->kind = FLOW_ICMP_ERROR; return;
      case ICMP_ELSE: flow->kind = FLOW_PLAIN; break;
    }
  } else {
    flow->kind = FLOW_PLAIN;
  }
  if (p->fragment == FRAGMENT_FIRST) frag_remember(p, net, flow->key.sport, flow->key.dport);
}

#endif
