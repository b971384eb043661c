/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which addresses are cluster DNS, and whether a process of this node answers there (abi/dns.h). */
#ifndef CAUSEWAY_LIB_DNS_MAPS_H
#define CAUSEWAY_LIB_DNS_MAPS_H

#include "abi/dns.h"
#include "lib/addr.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, DNS_ADDRESSES);
  __type(key, __u32);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} dns_here SEC(".maps");

/* Its index; DNS_ADDRESSES: it is none. */
static __always_inline __u32 dns_index(const struct ip_addr* addr) {
#pragma unroll
  for (__u32 i = 0; i < DNS_ADDRESSES; i++) {
    const volatile struct ip_addr* dns = &config.dns[i];
    if (i < config.dns_count && addr->word[3] == dns->word[3] && addr->word[2] == dns->word[2] &&
        addr->word[1] == dns->word[1] && addr->word[0] == dns->word[0])
      return i;
  }
  return DNS_ADDRESSES;
}

static __always_inline bool is_dns_address(const struct ip_addr* addr) { return dns_index(addr) < DNS_ADDRESSES; }

static __always_inline bool dns_is_here(const struct ip_addr* addr) {
  __u32 index = dns_index(addr);
  __u32* here = index < DNS_ADDRESSES ? bpf_map_lookup_elem(&dns_here, &index) : NULL;
  return here && *here;
}

#endif
