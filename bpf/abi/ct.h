/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Conntrack: map `conntrack` (preallocated hash; sized by --conntrack-entries, two rows for each flow).
 *
 * A flow is a pair of rows: the key of each row is the tuple as packets of that direction carry it *before* our
 * translation, and the row says what to rewrite. The twin's key follows from key and value, so a packet costs one
 * lookup and a pair is removed together. A pair lives until both rows have expired (lazily: an expired pair counts as
 * absent). */
#ifndef CAUSEWAY_ABI_CT_H
#define CAUSEWAY_ABI_CT_H

#include "abi/types.h"

ABI_BEGIN

struct ct_key {
  __u32 net;
  struct ip_addr src;
  struct ip_addr dst;
  __be16 sport; /* ICMP echo: a request has its id here and 0 in dport, a reply the other way round */
  __be16 dport; /* protocols without ports: both 0 */
  __u8 proto;   /* IPPROTO_* */
  __u8 reserved[3];
#ifdef __cplusplus
  ABI_COMPARE(ct_key);
#endif
};
ABI_LAYOUT(struct ct_key, 44);

enum ct_flags {
  CT_F_REPLY = 1u << 0,       /* this row is the reply direction (the other side opened the flow) */
  CT_F_REWRITE_SRC = 1u << 1, /* to_src, to_sport are valid */
  CT_F_REWRITE_DST = 1u << 2, /* to_dst, to_dport are valid */
  CT_F_SEEN_REPLY = 1u << 3,  /* both directions had packets */
  CT_F_FIN_FORWARD = 1u << 4, /* TCP: the opener has sent its FIN */
  CT_F_FIN_REPLY = 1u << 5,
  CT_F_RESET = 1u << 6,
  CT_F_NODE = 1u << 7,    /* opened by the node itself: replies go to the stack */
  CT_F_INBOUND = 1u << 8, /* opened from outside to a Pod's own address: replies leave untranslated */
  /* Of flows to Services: */
  CT_F_OUTSIDE = 1u << 9,    /* opened neither by a Pod of this node nor by the node */
  CT_F_COUNTED = 1u << 10,   /* counts in `backend_connections` of its backend */
  CT_F_RETRY = 1u << 11,     /* while unanswered it may go to another backend; CT_TRIES_SHIFT: how often it did */
  CT_F_AGAIN = 1u << 12,     /* `backend` refused: the client's next SYN goes to another one; no twin */
  CT_F_ABANDONED = 1u << 13, /* a backend that was left: what it still says is dropped; no twin */
  /* SCTP: the opener spoke again after an answer, as its COOKIE ECHO does (RFC 9260 section 5.1). */
  CT_F_CONFIRMED = 1u << 14,
};

enum { CT_TRIES_SHIFT = 24, CT_TRIES_MAX = 8 };

/* Lifetimes after the last packet, in seconds, as kube-proxy sets the kernel's; the kernel's own defaults otherwise. */
enum {
  CT_TCP_ESTABLISHED = 86400,
  CT_TCP_HALF_CLOSED = 3600,
  CT_TCP_CLOSED = 30, /* both FINs seen: the quarantine before the port is taken again */
  CT_TCP_RESET = 10,
  CT_TCP_OPENING = 60,
  CT_UDP_UNREPLIED = 30,
  CT_UDP_REPLIED = 120,
  CT_ICMP = 30,
  CT_SCTP_OPENING = 10, /* until it is confirmed: an INIT costs its sender nothing, nor is its answer a sign of life */
  CT_SCTP_ESTABLISHED = 210,
  CT_OTHER = 600,
};

struct ct_value {
  struct ip_addr to_src;
  struct ip_addr to_dst;
  __be16 to_sport;
  __be16 to_dport;
  __u32 expires; /* seconds of CLOCK_MONOTONIC; the pair is gone when both rows are past */
  __u32 created; /* seconds of CLOCK_MONOTONIC */
  __u32 flags;   /* enum ct_flags; the twin has the same, but for CT_F_REPLY and the rewrites */
  __u32 service; /* 0, or id of the Service's port; backend and the backend's generation when the flow began */
  __u32 backend;
  __u32 generation;
  __u32 policy_epoch; /* reserved for policy: verdict {allow, deny, redirect}, redirect target, rule */
  __u32 redirect;
  __u32 rule;
#ifdef __cplusplus
  ABI_COMPARE(ct_value);
#endif
};
ABI_LAYOUT(struct ct_value, 72);

/* Fragments after the first carry no ports: map `fragments` (LRU hash) remembers the first one's. */
enum { FRAGMENTS_MAX = 8192, FRAGMENT_SECONDS = 30 };

struct frag_key {
  __u32 net;
  struct ip_addr src;
  struct ip_addr dst;
  __be32 id;
  __u8 proto;
  __u8 reserved[3];
#ifdef __cplusplus
  ABI_COMPARE(frag_key);
#endif
};
ABI_LAYOUT(struct frag_key, 44);

struct frag_value {
  __be16 sport;
  __be16 dport;
  __u32 expires; /* seconds of CLOCK_MONOTONIC */
#ifdef __cplusplus
  ABI_COMPARE(frag_value);
#endif
};
ABI_LAYOUT(struct frag_value, 8);

ABI_END
#endif
