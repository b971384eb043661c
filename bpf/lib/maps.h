/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps, all pinned by name in the node's pin folder and shared by the programs; those of Services are in
 * lib/service_maps.h. */
#ifndef CAUSEWAY_LIB_MAPS_H
#define CAUSEWAY_LIB_MAPS_H

#include "abi/ct.h"
#include "abi/fabric.h"
#include "abi/pod.h"
#include "lib/addr.h"
#include "lib/counters.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PODS_MAX);
  __type(key, struct pod_key);
  __type(value, struct pod_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} pods SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, ROUTES_MAX);
  __type(key, struct route_key);
  __type(value, struct route_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} routes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct route_lengths);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} route_lengths SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PEERS_MAX);
  __type(key, struct peer_key);
  __type(value, struct peer_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} peers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, UPLINKS_MAX);
  __type(key, __u32);
  __type(value, struct uplink_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} uplinks SEC(".maps");

/* Preallocated and not LRU: an LRU drops one row of a pair, and established flows before dead ones. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 32768); /* the loader sets it */
  __type(key, struct ct_key);
  __type(value, struct ct_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} conntrack SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FRAGMENTS_MAX);
  __type(key, struct frag_key);
  __type(value, struct frag_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} fragments SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, EVENTS_BYTES);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

/* Counts and drops. */
static __always_inline int drop(struct __sk_buff* ctx, __u32 reason) {
  count(ctx, reason);
  return DROP;
}

static __always_inline int to_stack(struct __sk_buff* ctx) {
  count(ctx, COUNT_TO_STACK);
  return NEXT;
}

static __always_inline struct pod_value* find_pod(__u32 net, const struct ip_addr* addr) {
  struct pod_key key = {.net = net, .addr = *addr};
  return bpf_map_lookup_elem(&pods, &key);
}

/* The row of the longest prefix that holds the address. */
cold struct route_value* find_route(__u32 net, const struct ip_addr* addr) {
  struct route_key key = {.net = net, .addr = *addr};
  __u32 zero = 0;
  struct route_lengths* lengths = bpf_map_lookup_elem(&route_lengths, &zero);
  if (!lengths) return NULL;
  const struct route_mask* list = addr_is4(addr) ? lengths->v4 : lengths->v6;
  for (int i = 0; i < ROUTE_LENGTHS_MAX; i++) {
    key.prefixlen = list[i].prefixlen;
    if (!key.prefixlen) return NULL;
    for (int w = 0; w < 4; w++) key.addr.word[w] &= list[i].mask.word[w];
    struct route_value* route = bpf_map_lookup_elem(&routes, &key);
    if (route) return route;
  }
  return NULL;
}

#endif
