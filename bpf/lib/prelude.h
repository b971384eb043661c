/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every program includes first: kernel interface, access to the context, verdicts. */
#ifndef CAUSEWAY_LIB_PRELUDE_H
#define CAUSEWAY_LIB_PRELUDE_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "abi/config.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A function of its own: off the fast path, or with a frame that others should not carry (512 bytes for a whole chain).
 */
#define cold static __attribute__((noinline, unused))
/* The same, verified by itself and once, whoever calls it: pointers are to be checked for NULL first. */
#define global __attribute__((noinline))

const volatile struct datapath_config config = {
    .ipv4 = 1,
    .ipv6 = 1,
    .overlay = 1,
    .masquerade = 1,
    .services = 1,
    .vni = 1,
    .vxlan_port = 4789,
    .nat_ports = {{1024, 29999}, {61000, 65535}, {1, 0}, {1, 0}},
};

/* clang folds the offset of a context field into the pointer on some paths, and the verifier refuses a "modified ctx
 * ptr". One load or store by hand keeps base and offset together. */
#define CTX_READ(ctx, field)                                                                                  \
  ({                                                                                                          \
    __u64 value_;                                                                                             \
    asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(value_) : "r"(ctx), "i"(offsetof(struct __sk_buff, field))); \
    value_;                                                                                                   \
  })
#define CTX_WRITE(ctx, field, value)                                                   \
  asm volatile("*(u32 *)(%0 + %1) = %2"                                                \
               :                                                                       \
               : "r"(ctx), "i"(offsetof(struct __sk_buff, field)), "r"((__u64)(value)) \
               : "memory")

/* Packet pointers: read again after every helper that may change the packet. */
static __always_inline void* ctx_data(struct __sk_buff* ctx) { return (void*)CTX_READ(ctx, data); }
static __always_inline void* ctx_end(struct __sk_buff* ctx) { return (void*)CTX_READ(ctx, data_end); }

/* Let the next program or the stack decide: TCX_NEXT, which clsact calls TC_ACT_UNSPEC. */
enum { NEXT = -1, DROP = TC_ACT_SHOT };

enum { ETH_LEN = ETH_HLEN, IP4_LEN = 20, IP6_LEN = 40, UDP_LEN = 8, VXLAN_LEN = 8 };

/* Seconds of CLOCK_MONOTONIC; coarse, a jiffy old at most. */
static __always_inline __u32 now_seconds(void) { return bpf_ktime_get_coarse_ns() / 1000000000ull; }

static __always_inline bool marked_done(struct __sk_buff* ctx) {
  return (CTX_READ(ctx, mark) & MARK_MASK) == MARK_DONE;
}
static __always_inline void mark_done(struct __sk_buff* ctx) {
  __u32 mark = CTX_READ(ctx, mark);
  CTX_WRITE(ctx, mark, (mark & ~MARK_MASK) | MARK_DONE);
}

#endif
