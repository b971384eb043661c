/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The steps of path.h, one after the other, each called from the program itself. */
#ifndef CAUSEWAY_LIB_PATH_RUN_H
#define CAUSEWAY_LIB_PATH_RUN_H

#include "lib/path_classify.h"
#include "lib/path_error.h"
#include "lib/path_open.h"
#include "lib/path_refuse.h"
#include "lib/path_send.h"

/* A verdict, or STEP_NONE: the program goes on (with a source that may have been translated). */
static __always_inline int service_path(struct __sk_buff* ctx, struct packet* p, __u32 ask) {
  int step = path_classify(ctx, p, ask);
  if (config.services && step == STEP_NEW) step = path_new(ctx, p, ask);
  if (config.services && step == STEP_OPEN) step = path_open(ctx, p, ask);
  if (step == STEP_ERROR) step = path_error(ctx, p, ask);
  if (config.services && step == STEP_RETRY) step = path_retry(ctx);
  if (config.services && step == STEP_ERROR) step = path_error(ctx, p, ask);
  if (step == STEP_SEND) step = path_send(ctx, p, ask);
  if (step == STEP_OUT) step = path_out(ctx, p, ask);
  enum where where = ask & ASK_EGRESS ? AT_EGRESS : AT_INGRESS;
  __u32 complaint = NO_PORT, ifindex = 0;
  switch (step) {
    case STEP_OVERLAY: {
      struct route_value* route = find_route(NET_THIS_CLUSTER, &p->dst);
      return route ? send_overlay(ctx, p, route) : drop(ctx, DROP_NO_POD);
    }
    case STEP_ECHO: return make_echo_reply(ctx, p) ? path_back(ctx, p, ask) : DROP;
    case STEP_RESET: return make_reset(ctx, p) ? path_back(ctx, p, ask) : DROP;
    case STEP_NO_HOST: complaint = NO_HOST; break;
    case STEP_TOO_BIG: {
      struct work* w = this_work();
      if (!w) return DROP;
      complaint = w->mtu;
      ifindex = w->ifindex;
      break;
    }
    case STEP_REFUSE: break;
    default: return step;
  }
  return answer(ctx, p, complaint, ifindex, where);
}

#endif
