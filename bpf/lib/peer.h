/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the socket hooks made of the connect() of a packet's socket. For programs where the packet still carries the
 * sender's socket: a Pod's veth and egress of the uplink; never at ingress of the uplink. */
#ifndef CAUSEWAY_LIB_PEER_H
#define CAUSEWAY_LIB_PEER_H

#include "lib/service_maps.h"

/* NULL: no socket, or it was never translated. The row holds for a packet to peer->addr and peer->port only. */
static __always_inline struct socket_peer* socket_peer_of(struct __sk_buff* ctx) {
  struct bpf_sock* socket;
  asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(socket) : "r"(ctx), "i"(offsetof(struct __sk_buff, sk)));
  if (!socket) return NULL;
  socket = bpf_sk_fullsock(socket);
  return socket ? bpf_sk_storage_get(&socket_peers, socket, NULL, 0) : NULL;
}

#endif
