/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of Services (abi/service.h), shared by the per-packet programs and the socket hooks. The loader sets how
 * many rows they have. */
#ifndef CAUSEWAY_LIB_SERVICE_MAPS_H
#define CAUSEWAY_LIB_SERVICE_MAPS_H

#include "abi/service.h"
#include "lib/counters.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SERVICES_FIRST);
  __type(key, struct service_key);
  __type(value, struct service_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SLOTS_FIRST);
  __type(key, struct slot_key);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BACKENDS_FIRST);
  __type(key, __u32);
  __type(value, struct backend_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} backends SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BACKENDS_FIRST);
  __type(key, __u32);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} backend_connections SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, AFFINITY_MAX);
  __type(key, struct affinity_key);
  __type(value, struct affinity_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} affinity SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, SERVICE_CURSORS_MAX);
  __type(key, __u32);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} service_cursors SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, SOCKET_FLOWS_MAX);
  __type(key, struct socket_key);
  __type(value, struct socket_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} socket_flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct socket_peer);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} socket_peers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, NODE_ADDRESSES_MAX);
  __type(key, struct ip_addr);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} node_addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SERVICE_RANGES_MAX);
  __type(key, struct range_key);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} service_ranges SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SOURCE_RANGES_FIRST);
  __type(key, struct source_key);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} source_ranges SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CLIENTS_MAX);
  __type(key, __u64);
  __type(value, struct client_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} clients SEC(".maps");

#endif
