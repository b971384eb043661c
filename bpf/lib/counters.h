/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Map `counters`: what happened how often (abi/observe.h). */
#ifndef CAUSEWAY_LIB_COUNTERS_H
#define CAUSEWAY_LIB_COUNTERS_H

#include "abi/observe.h"
#include "lib/prelude.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, COUNTERS_MAX);
  __type(key, __u32);
  __type(value, struct counter_value);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

static __always_inline void count(struct __sk_buff* ctx, __u32 reason) {
  struct counter_value* value = bpf_map_lookup_elem(&counters, &reason);
  if (!value) return;
  value->packets++;
  value->bytes += CTX_READ(ctx, len);
}

/* Something that is not one packet. */
static __always_inline void count_event(__u32 reason) {
  struct counter_value* value = bpf_map_lookup_elem(&counters, &reason);
  if (value) value->packets++;
}

#endif
