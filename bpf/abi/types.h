/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every map layout is made of. The headers of abi/ are read by the BPF programs (C) and by the agent (C++):
 * plain structs, no hidden padding, network byte order where the type says __be. A layout may only gain fields in
 * its reserved room; anything else is a new schema version (ABI_VERSION), which is a new pin folder. */
#ifndef CAUSEWAY_ABI_TYPES_H
#define CAUSEWAY_ABI_TYPES_H

#include <linux/types.h>

#ifdef __cplusplus
#include <compare>
#include <type_traits>
#define ABI_BEGIN namespace causeway::abi {
#define ABI_END }
/* No hidden padding, and the size that both sides agree on. */
#define ABI_LAYOUT(type, bytes)                                  \
  static_assert(std::has_unique_object_representations_v<type>); \
  static_assert(sizeof(type) == (bytes))
#define ABI_COMPARE(type) auto operator<=>(const type&) const = default
#else
#define ABI_BEGIN
#define ABI_END
#define ABI_LAYOUT(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#define ABI_COMPARE(type)
#endif

ABI_BEGIN

enum { ABI_VERSION = 1 };

/* An address of either family; IPv4 as IPv4-mapped IPv6 (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2). All zero: none.
 * One form for both families keeps one set of maps and one path through the programs. */
struct ip_addr {
  __be32 word[4];
#ifdef __cplusplus
  ABI_COMPARE(ip_addr);
#endif
};
ABI_LAYOUT(struct ip_addr, 16);

/* Which network an address is of: 0 is this cluster. Carried in the VNI on the wire. */
enum { NET_THIS_CLUSTER = 0 };

/* The bits of skb->mark that are ours; nobody else's bits are read or written.
 * MARK_DONE: one of our programs decided about this packet, the next hook lets it pass. Written only after the
 * packet left the Pod's namespace (crossing a namespace clears the mark), so a Pod cannot forge it. */
enum {
  MARK_MASK = 0x30000000,
  MARK_DONE = 0x10000000,
};

ABI_END
#endif
