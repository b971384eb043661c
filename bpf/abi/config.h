/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The switches of the programs: read-only data that the loader fills before verification, so the verifier removes what
 * is switched off. Written by src/datapath from datapath::Features. */
#ifndef CAUSEWAY_ABI_CONFIG_H
#define CAUSEWAY_ABI_CONFIG_H

#include "abi/dns.h"

ABI_BEGIN

enum { NAT_RANGES_MAX = 4 };

struct nat_range {
  __u16 first; /* host order */
  __u16 last;  /* inclusive; an unused entry has first > last */
};

struct datapath_config {
  __u32 ipv4; /* switches: 0 or 1 */
  __u32 ipv6;
  __u32 overlay;
  __u32 masquerade;
  __u32 track_node_flows;
  __u32 vni;
  __u32 vxlan_port; /* host order */
  struct nat_range nat_ports[NAT_RANGES_MAX];
  __u32 services;   /* switch: Services, per packet */
  __u64 node_netns; /* netns cookie of the node itself; the socket hooks tell its sockets by it */
  __u32 policy;     /* switch: policies are enforced */
  __u32 dns_count;  /* of `dns`; 0: no DNS of the node */
  struct ip_addr dns[DNS_ADDRESSES];
};
ABI_LAYOUT(struct datapath_config, 128);

ABI_END
#endif
