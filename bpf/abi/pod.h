/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Pods of this node: map `pods`, one row for each address of each Pod (hash, not preallocated). */
#ifndef CAUSEWAY_ABI_POD_H
#define CAUSEWAY_ABI_POD_H

#include "abi/types.h"

ABI_BEGIN

enum { PODS_MAX = 16384 };

struct pod_key {
  __u32 net;
  struct ip_addr addr;
#ifdef __cplusplus
  ABI_COMPARE(pod_key);
#endif
};
ABI_LAYOUT(struct pod_key, 20);

enum pod_flags {
  /* Deliver by the host side of the veth and its qdisc instead of redirect_peer: an ingress bandwidth limit. */
  POD_F_BY_HOST_SIDE = 1u << 0,
  /* No policy selects it, in either direction. */
  POD_F_OPEN = 1u << 1,
};

struct pod_value {
  __u32 ifindex;    /* host side of the veth, in the node's namespace */
  __u32 flags;      /* enum pod_flags */
  __u8 mac[6];      /* the Pod's eth0: the only source MAC that the Pod may use */
  __u8 host_mac[6]; /* host side of the veth: the gateway's MAC as the Pod sees it */
  /* By whom it is judged (abi/policy.h); a set of 0: by nobody. */
  __u32 ingress_set;
  __u32 egress_set;
  __u32 id;          /* number of the Pod on this node, for flow events; 0 = none */
  __u32 policy_bank; /* 0: not known yet, so nothing passes where policies are enforced */
#ifdef __cplusplus
  ABI_COMPARE(pod_value);
#endif
};
ABI_LAYOUT(struct pod_value, 36);

ABI_END
#endif
