/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fragments: the first carries the ports, the others are told by (addresses, id, protocol), RFC 791 and RFC 8200. A
 * later fragment that overtakes the first is dropped and counted: fragments of one datagram take one path. */
#ifndef CAUSEWAY_LIB_FRAG_H
#define CAUSEWAY_LIB_FRAG_H

#include "lib/maps.h"
#include "lib/packet.h"

static __always_inline void frag_key_of(const struct packet* p, __u32 net, struct frag_key* key) {
  key->net = net;
  key->src = p->src;
  key->dst = p->dst;
  key->id = p->id;
  key->proto = p->proto;
  key->reserved[0] = key->reserved[1] = key->reserved[2] = 0;
}

cold void frag_remember(const struct packet* p, __u32 net, __be16 sport, __be16 dport) {
  struct frag_key key;
  frag_key_of(p, net, &key);
  struct frag_value value = {.sport = sport, .dport = dport, .expires = now_seconds() + FRAGMENT_SECONDS};
  bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

cold bool frag_recall(const struct packet* p, __u32 net, __be16* sport, __be16* dport) {
  struct frag_key key;
  frag_key_of(p, net, &key);
  struct frag_value* value = bpf_map_lookup_elem(&fragments, &key);
  if (!value || value->expires <= now_seconds()) return false;
  *sport = value->sport;
  *dport = value->dport;
  return true;
}

#endif
