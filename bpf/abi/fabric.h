/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where packets go that are not for a Pod of this node: maps `routes`, `peers` and `uplinks` (hashes). */
#ifndef CAUSEWAY_ABI_FABRIC_H
#define CAUSEWAY_ABI_FABRIC_H

#include "abi/types.h"

ABI_BEGIN

enum { ROUTES_MAX = 65536, PEERS_MAX = 16384, UPLINKS_MAX = 64 };

/* Longest prefix wins. A destination without a row is outside of the cluster.
 * A hash with the prefix length in the key, asked once for each prefix length in use (`route_lengths`), longest first:
 * a cluster has two or three, a hash lookup costs some 30 ns at any size, and the kernel's LPM trie 150 and more. */
struct route_key {
  __u32 prefixlen; /* 32 (net) + 128 for an IPv6 host, 32 + 96 + n for an IPv4 prefix of n bits */
  __u32 net;
  struct ip_addr addr; /* bits beyond the prefix are 0 */
#ifdef __cplusplus
  ABI_COMPARE(route_key);
#endif
};
ABI_LAYOUT(struct route_key, 24);

/* Map `route_lengths` (array of one): the prefix lengths of the rows, longest first; prefixlen 0 ends the list. A
 * length without a row is harmless, a row without its length is not found. */
enum { ROUTE_LENGTHS_MAX = 16 };
struct route_mask {
  __u32 prefixlen; /* as in route_key */
  struct ip_addr mask;
#ifdef __cplusplus
  ABI_COMPARE(route_mask);
#endif
};
struct route_lengths {
  struct route_mask v4[ROUTE_LENGTHS_MAX];
  struct route_mask v6[ROUTE_LENGTHS_MAX];
#ifdef __cplusplus
  ABI_COMPARE(route_lengths);
#endif
};
ABI_LAYOUT(struct route_lengths, 2 * ROUTE_LENGTHS_MAX * 20);

enum route_kind {
  ROUTE_OVERLAY = 1,    /* another node, by VXLAN to `vtep` */
  ROUTE_NATIVE = 2,     /* another node on our link, by `next_hop` */
  ROUTE_THIS_NODE = 3,  /* an address of this node: the stack takes it */
  ROUTE_LOCAL_PODS = 4, /* this node's own Pod range: who is not in `pods` does not exist (unreachable) */
  ROUTE_CLUSTER = 5,    /* inside the cluster but by the kernel's routes: never masqueraded */
};

enum route_flags {
  /* The address of a node, not a Pod range: only Pod traffic takes this row, the node's own goes as it is. */
  ROUTE_F_NODE = 1u << 0,
};

struct route_value {
  __u8 kind;               /* enum route_kind */
  __u8 flags;              /* enum route_flags */
  __u16 mtu;               /* largest IP packet that fits, in bytes, before encapsulation; 0 = no limit known here */
  __u32 ifindex;           /* uplink; OVERLAY and NATIVE */
  struct ip_addr next_hop; /* neighbour on that uplink; all zero: the kernel's route to `vtep` (OVERLAY) or to the
                              destination (NATIVE) says */
  struct ip_addr vtep;     /* OVERLAY: outer destination */
  struct ip_addr source;   /* OVERLAY: outer source, of the family of `vtep` */
  __u32 vni;               /* OVERLAY: 24 bits */
  __u32 node;              /* number of the node, for flow events; 0 = none */
  __u32 reserved[2];
#ifdef __cplusplus
  ABI_COMPARE(route_value);
#endif
};
ABI_LAYOUT(struct route_value, 72);

/* Who may send us VXLAN: outer source addresses. Everybody else's is dropped (PEER_UNKNOWN). */
struct peer_key {
  struct ip_addr addr;
#ifdef __cplusplus
  ABI_COMPARE(peer_key);
#endif
};
ABI_LAYOUT(struct peer_key, 16);

struct peer_value {
  __u32 node; /* number of the node, for flow events; 0 = none */
  __u32 reserved;
#ifdef __cplusplus
  ABI_COMPARE(peer_value);
#endif
};
ABI_LAYOUT(struct peer_value, 8);

/* The node's devices that lead to other nodes and to the outside. */
struct uplink_value {
  struct ip_addr addr4; /* the node's address on it: VXLAN is received on it, Pods leave with it; all zero: none */
  struct ip_addr addr6;
  __u32 flags; /* reserved */
  __u32 reserved;
#ifdef __cplusplus
  ABI_COMPARE(uplink_value);
#endif
};
ABI_LAYOUT(struct uplink_value, 40);

ABI_END
#endif
