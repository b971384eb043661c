/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses in the one form of both families (abi/types.h). */
#ifndef CAUSEWAY_LIB_ADDR_H
#define CAUSEWAY_LIB_ADDR_H

#include "lib/prelude.h"

static __always_inline void addr_set4(struct ip_addr* addr, __be32 ip) {
  addr->word[0] = 0;
  addr->word[1] = 0;
  addr->word[2] = bpf_htonl(0xffff);
  addr->word[3] = ip;
}

static __always_inline bool addr_equal(const struct ip_addr* a, const struct ip_addr* b) {
  return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] && a->word[0] == b->word[0];
}

static __always_inline bool addr_is_none(const struct ip_addr* a) {
  return !(a->word[0] | a->word[1] | a->word[2] | a->word[3]);
}

static __always_inline bool addr_is4(const struct ip_addr* a) {
  return a->word[2] == bpf_htonl(0xffff) && !(a->word[0] | a->word[1]);
}

static __always_inline bool addr_is_link_local(const struct ip_addr* a) {
  if (addr_is4(a)) return (a->word[3] & bpf_htonl(0xffff0000)) == bpf_htonl(0xa9fe0000); /* 169.254/16 */
  return (a->word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);                  /* fe80::/10 */
}

/* Broadcast and class E included: nothing of it is forwarded. */
static __always_inline bool addr_is_multicast(const struct ip_addr* a) {
  if (addr_is4(a)) return bpf_ntohl(a->word[3]) >= 0xe0000000;
  return (a->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

#endif
