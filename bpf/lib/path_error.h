/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP errors about translated packets, of either direction: the packet that they quote becomes the one that the
 * receiver has sent. */
#ifndef CAUSEWAY_LIB_PATH_ERROR_H
#define CAUSEWAY_LIB_PATH_ERROR_H

#include "lib/path_retry.h"

static __always_inline bool is_unreachable(struct __sk_buff* ctx, const struct packet* p) {
  __u8 type[2];
  if (bpf_skb_load_bytes(ctx, p->transport, type, 2)) return false;
  if (p->family == 6) return type[0] == ICMP6_UNREACHABLE;
  return type[0] == ICMP4_UNREACHABLE && type[1] != 4; /* fragmentation needed */
}

global int path_error(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  struct work* w = this_work();
  if (!p || !w) return DROP;
  struct quoted* q = &w->quoted;
  if (!read_quoted(ctx, p, NET_THIS_CLUSTER, q)) return STEP_NONE;
  struct ct_value* row = find_quoted(q, &w->key);
  if (!row) return STEP_NONE;
  if (!row->service && !(ask & ASK_MASQUERADE && row->flags & CT_F_REWRITE_DST)) return STEP_NONE;
  if (row->service && retry_may(row->flags) && !w->hopeless && is_unreachable(ctx, p)) return STEP_RETRY;
  w->row = *row;
  w->related = 1; /* policies let its flow pass, so they do this */
  bool source = w->row.flags & CT_F_REWRITE_SRC, target = w->row.flags & CT_F_REWRITE_DST;
  if (source && rewrite_quoted_target(ctx, p, q, &w->row.to_src, w->row.to_sport)) return drop(ctx, DROP_WRITE_FAILED);
  if (target && rewrite_quoted_source(ctx, p, q, &w->row.to_dst, w->row.to_dport)) return drop(ctx, DROP_WRITE_FAILED);
  /* The sender of the error, if it is not the other end but a router on the way, keeps its address; unless its answers
   * have to come back here. */
  if (!addr_equal(&p->src, &q->p.dst) && w->row.flags & CT_F_REPLY) w->row.flags &= ~CT_F_REWRITE_SRC;
  w->flow.kind = FLOW_PLAIN;
  return STEP_SEND;
}

#endif
