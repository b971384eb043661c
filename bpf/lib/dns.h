/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cluster DNS (abi/dns.h): what Pods ask goes to the node's own process as it is, while that listens; else it is a
 * packet to a Service like any other. From other machines nothing gets there. */
#ifndef CAUSEWAY_LIB_DNS_H
#define CAUSEWAY_LIB_DNS_H

#include "lib/dns_maps.h"
#include "lib/path.h"

/* A TCP connection that was opened to another node's process while there was none here goes on. */
cold bool dns_went_elsewhere(struct __sk_buff* ctx, const struct packet* p, const struct ct_key* key) {
  __u8 flags;
  if (p->fragment != FRAGMENT_NONE || bpf_skb_load_bytes(ctx, p->transport + 13, &flags, 1)) return false;
  if ((flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN) return false;
  struct ct_value* row = bpf_map_lookup_elem(&conntrack, key);
  return row && row->service && row->expires > now_seconds();
}

/* Whether the node's own process gets it. By itself, so that its frame is no part of the judgement's. */
cold bool dns_takes(struct __sk_buff* ctx, struct packet* p) {
  if (!dns_is_here(&p->dst) || !find_transport(ctx, p)) return false;
  if (p->proto != IPPROTO_UDP && p->proto != IPPROTO_TCP) return false;
  struct ct_key key = {.net = NET_THIS_CLUSTER, .src = p->src, .dst = p->dst, .proto = p->proto};
  if (p->fragment == FRAGMENT_LATER) {
    if (!frag_recall(p, NET_THIS_CLUSTER, &key.sport, &key.dport)) return false;
  } else {
    __be16 ports[2];
    if (bpf_skb_load_bytes(ctx, p->transport, ports, 4)) return false;
    key.sport = ports[0];
    key.dport = ports[1];
    if (p->fragment == FRAGMENT_FIRST) frag_remember(p, NET_THIS_CLUSTER, key.sport, key.dport);
  }
  if (key.dport != bpf_htons(DNS_PORT)) return false;
  if (p->proto == IPPROTO_TCP && dns_went_elsewhere(ctx, p, &key)) return false;
  return node_socket_receives(ctx, &key);
}

/* Of a packet to an address of config.dns: the verdict, or STEP_NONE. `judged`: policies have a say. */
global int dns_step(struct __sk_buff* ctx, struct packet* p, __u32 judged) {
  if (!p || !dns_takes(ctx, p)) return STEP_NONE;
  if (judged) {
    __u32 reason = policy_check(ctx, p, POLICY_FROM_OTHERS);
    if (reason) return drop(ctx, reason);
  } else if (config.policy && opens_tcp(ctx, p)) {
    tell_opened(ctx, p);
  }
  return to_stack(ctx);
}

/* From another machine: who has one of these addresses is nobody's business there. */
cold bool dns_is_asked_for(struct __sk_buff* ctx) {
  __be32 target;
  if (bpf_skb_load_bytes(ctx, ETH_LEN + 24, &target, 4)) return false; /* ARP: the target's address */
  struct ip_addr addr;
  addr_set4(&addr, target);
  return is_dns_address(&addr);
}
global int dns_is_target(const struct packet* p) {
  if (!p) return 0;
  return is_dns_address(&p->dst);
}

#endif
