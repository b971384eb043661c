/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SERVICE_F_RETRY: a connection that its endpoint refuses or ignores is tried at another one, and the client does not
 * see it: a refusal is swallowed, the client's next SYN (after 1 s: RFC 6298) goes elsewhere, and what the old endpoint
 * still says is dropped. */
#ifndef CAUSEWAY_LIB_PATH_RETRY_H
#define CAUSEWAY_LIB_PATH_RETRY_H

#include "lib/path.h"

/* Only what answers the SYN: an established connection is its endpoint's. */
static __always_inline bool retry_may(__u32 flags) {
  return (flags & (CT_F_RETRY | CT_F_REPLY | CT_F_SEEN_REPLY)) == (CT_F_RETRY | CT_F_REPLY);
}

/* In the place of the reply row: whatever still comes from the endpoint that was left is dropped. */
cold void retry_abandon(const struct ct_key* reply, const struct ct_value* row, __u32 now) {
  struct ct_value left = {.created = now,
                          .expires = now + CT_TCP_OPENING,
                          .flags = CT_F_REPLY | CT_F_ABANDONED,
                          .service = row->service,
                          .backend = row->backend,
                          .generation = row->generation};
  ct_insert(reply, &left);
}

/* The client repeats its SYN, `row` is the forward row: the endpoint is left, path_new() chooses another. */
cold void retry_leave(struct __sk_buff* ctx, struct work* w, struct ct_value* row, __u32 now) {
  __u32 tries = row->flags >> CT_TRIES_SHIFT;
  bool again = row->flags & CT_F_AGAIN;
  if (tries < CT_TRIES_MAX) w->request.except = row->backend;
  w->tries = again ? tries : tries + 1;
  w->row = *row;
  path_forget(&w->flow.key, row);
  if (again) return; /* retry_again() has left it */
  count(ctx, COUNT_SERVICE_RETRIED);
  ct_twin_key(&w->flow.key, &w->row, &w->twin);
  retry_abandon(&w->twin, &w->row, now);
}

/* The endpoint refuses; w->key: the reply row's. Where another one remains, the client's next SYN goes there. */
cold bool retry_again(struct __sk_buff* ctx, struct work* w) {
  struct service_request* r = &w->request;
  struct ct_value* row = bpf_map_lookup_elem(&conntrack, &w->key);
  if (!row) return false;
  w->row = *row;
  __u32 tries = (w->row.flags >> CT_TRIES_SHIFT) + 1, now = now_seconds();
  if (tries >= CT_TRIES_MAX) return false;
  ct_twin_key(&w->key, &w->row, &w->twin);
  r->key.net = w->twin.net;
  r->key.addr = w->twin.dst;
  r->key.port = w->twin.dport;
  r->key.proto = w->twin.proto;
  r->key.reserved = 0;
  r->source = w->twin.src;
  r->outside = !!(w->row.flags & CT_F_OUTSIDE);
  r->from_node = !!(w->row.flags & CT_F_NODE);
  r->except = w->row.backend;
  if (service_select(r) != SERVICE_BALANCE) return false;
  path_forget(&w->key, row);
  retry_abandon(&w->key, &w->row, now);
  w->row.flags = (w->row.flags & (CT_F_OUTSIDE | CT_F_NODE)) | CT_F_RETRY | CT_F_AGAIN | tries << CT_TRIES_SHIFT;
  w->row.expires = now + CT_TCP_OPENING;
  ct_insert(&w->twin, &w->row);
  count(ctx, COUNT_SERVICE_RETRIED);
  return true;
}

global int path_retry(struct __sk_buff* ctx) {
  struct work* w = this_work();
  if (!w) return DROP;
  if (retry_again(ctx, w)) return drop(ctx, DROP_SERVICE_SWALLOWED);
  w->hopeless = 1;
  if (w->flow.kind == FLOW_ICMP_ERROR) return STEP_ERROR;
  struct ct_value* row = bpf_map_lookup_elem(&conntrack, &w->key);
  if (!row) return DROP;
  ct_touch(row, &w->flow, now_seconds());
  w->row = *row;
  return STEP_SEND;
}

#endif
