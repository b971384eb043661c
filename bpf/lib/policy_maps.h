/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of policies (abi/policy.h). */
#ifndef CAUSEWAY_LIB_POLICY_MAPS_H
#define CAUSEWAY_LIB_POLICY_MAPS_H

#include "abi/ct.h"
#include "abi/policy.h"
#include "lib/prelude.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POLICY_ADDRESSES_FIRST); /* the loader sets it, as of all hashes here */
  __type(key, struct policy_address_key);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} policy_addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POLICY_BLOCKS_MAX);
  __type(key, struct policy_block_key);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} policy_blocks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POLICY_PORTS_MAX);
  __type(key, struct policy_port_key);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} policy_ports SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POLICY_SETS_FIRST);
  __type(key, struct policy_set_key);
  __type(value, struct policy_set_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} policy_sets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POLICY_VERDICTS_FIRST);
  __type(key, struct policy_verdict_key);
  __type(value, struct policy_verdict_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} policy_verdicts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} policy_epoch SEC(".maps");

/* One row for each flow; only those of Pods that some policy selects. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, struct ct_key);
  __type(value, struct policy_flow);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} policy_flows SEC(".maps");

#endif
