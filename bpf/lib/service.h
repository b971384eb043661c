/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which endpoint a new flow to a Service gets: the same for packets and for connect(). */
#ifndef CAUSEWAY_LIB_SERVICE_H
#define CAUSEWAY_LIB_SERVICE_H

#include "lib/addr.h"
#include "lib/service_maps.h"

/* To itself: 127.0.0.0/8 and ::1, and what means the same to connect(): the unspecified address. */
static __always_inline bool is_loopback(const struct ip_addr* addr) {
  if (addr_is4(addr)) return (addr->word[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000) || !addr->word[3];
  return !(addr->word[0] | addr->word[1] | addr->word[2]) && !(addr->word[3] & ~bpf_htonl(1));
}

/* In its place: the one loopback address of its family that the maps know. */
static __always_inline void set_known_loopback(struct ip_addr* addr) {
  addr->word[3] = addr_is4(addr) ? bpf_htonl(0x7f000001) : bpf_htonl(1);
}

/* The row that serves an address and port: its own, or that of all addresses of the node. NULL: none. */
cold struct service_value* service_find(const struct service_key* asked) {
  /* A copy: on 6.1 a key may not lie in what a global function was given. */
  struct service_key key = *asked;
  struct service_value* row = bpf_map_lookup_elem(&services, &key);
  if (row) return row;
  __u32* flags = bpf_map_lookup_elem(&node_addresses, &key.addr);
  if (likely(!flags)) return NULL;
  key.addr = (struct ip_addr){};
  if (addr_is4(&asked->addr)) key.addr.word[2] = bpf_htonl(0xffff);
  row = bpf_map_lookup_elem(&services, &key);
  if (!row) return NULL;
  return row->kind == SERVICE_NODE_PORT && !(*flags & NODE_ADDRESS_NODE_PORTS) ? NULL : row;
}

/* Whether the address is a Service's, whatever its ports are. */
static __always_inline bool service_has_address(__u32 net, const struct ip_addr* addr) {
  struct service_key key = {.net = net, .addr = *addr};
  return bpf_map_lookup_elem(&services, &key);
}

/* Whether Service addresses come from where this one is. */
static __always_inline bool service_in_range(const struct ip_addr* addr) {
  struct range_key key = {.prefixlen = 128, .addr = *addr};
  return bpf_map_lookup_elem(&service_ranges, &key);
}

/* loadBalancerSourceRanges of the Service `id`. */
static __always_inline bool service_admits(__u32 id, const struct ip_addr* source) {
  struct source_key key = {.prefixlen = 32 + 128, .service = id, .addr = *source};
  return bpf_map_lookup_elem(&source_ranges, &key);
}

static __always_inline struct backend_value* backend_at(__u32 backend) {
  return backend ? bpf_map_lookup_elem(&backends, &backend) : NULL;
}

/* The endpoint that somebody remembers; NULL: gone, or its number was given to another one. */
static __always_inline struct backend_value* backend_of(__u32 backend, __u32 generation, __u32 service) {
  struct backend_value* row = backend_at(backend);
  return row && row->generation == generation && row->service == service ? row : NULL;
}

/* Whether a flow may stay where it is. */
static __always_inline bool backend_serves(__u32 backend, __u32 generation, __u32 service) {
  struct backend_value* row = backend_of(backend, generation, service);
  return row && row->state != BACKEND_GONE;
}

struct service_choice {
  struct ip_addr addr;
  __be16 port;
  __u16 reserved;
  __u32 backend;
  __u32 generation;
};

static __always_inline void take_backend(struct service_choice* choice, __u32 backend,
                                         const struct backend_value* row) {
  choice->addr = row->addr;
  choice->port = row->port;
  choice->reserved = 0;
  choice->backend = backend;
  choice->generation = row->generation;
}

static __always_inline __u32 slot_at(__u32 pool, __u32 epoch, __u32 index) {
  if (epoch & SLOTS_RUN) return (epoch & ~SLOTS_RUN) + index;
  struct slot_key key = {.pool = pool, .epoch = epoch, .index = index};
  __u32* backend = bpf_map_lookup_elem(&slots, &key);
  return backend ? *backend : 0;
}

/* Zero, but the verifier does not know. Before 6.8 it judges the callback of bpf_loop() for the first round only: what
 * it knows of the state then, it holds to be so in every round, and cuts away what the next ones need. */
volatile __u32 service_nought;

/* A walk over slots from `index` on, round the end. Slots beyond WALK_SLOTS are left out: `index` is random then. */
enum { WALK_SLOTS = 256 };
struct slot_walk {
  __u32 pool;
  __u32 epoch;
  __u32 slots;
  __u32 index;
  __u32 except;    /* not this backend */
  __u32 algorithm; /* SERVICE_LEAST_...: the best of all; else the first that serves */
  __u32 best;      /* 0: none */
  __u32 best_weight;
  __u64 best_cost;
};

static __attribute__((unused)) long walk_slot(__u32 i, struct slot_walk* walk) {
  __u32 backend = slot_at(walk->pool, walk->epoch, walk->index);
  if (++walk->index >= walk->slots) walk->index = 0;
  if (backend == walk->except) return 0;
  struct backend_value* row = backend_at(backend);
  if (!row || row->state == BACKEND_GONE) return 0;
  if (walk->algorithm == SERVICE_LEAST_CONNECTIONS || walk->algorithm == SERVICE_LEAST_LOAD) {
    __u32* open = bpf_map_lookup_elem(&backend_connections, &backend);
    /* One more flow counts: of two idle ones the heavier has it. */
    __u64 cost = 1ull + (walk->algorithm == SERVICE_LEAST_LOAD ? row->load : open ? *open : 0);
    if (walk->best && cost * walk->best_weight >= walk->best_cost * row->weight) return 0;
    walk->best = backend;
    walk->best_cost = cost;
    walk->best_weight = row->weight;
    return 0;
  }
  walk->best = backend;
  return 1;
}

/* Every node maps a client to the same place (SERVICE_SOURCE_HASH). The mixing of MurmurHash3. */
static __always_inline __u32 hash_addr(const struct ip_addr* addr) {
  __u32 hash = 0x63617573;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    __u32 word = bpf_ntohl(addr->word[i]) * 0xcc9e2d51;
    hash ^= (word << 15 | word >> 17) * 0x1b873593;
    hash = (hash << 13 | hash >> 19) * 5 + 0xe6546b64;
  }
  hash = (hash ^ hash >> 16) * 0x85ebca6b;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35;
  return hash ^ hash >> 16;
}

static __always_inline __u32 next_turn(__u32 pool) {
  __u32* cursor = bpf_map_lookup_elem(&service_cursors, &pool);
  if (cursor) return __sync_fetch_and_add(cursor, 1);
  /* Nodes do not all begin with the same endpoint. */
  __u32 first = bpf_get_prandom_u32(), after = first + 1;
  bpf_map_update_elem(&service_cursors, &pool, &after, BPF_NOEXIST);
  return first;
}

/* Where in the slots to look first. */
static __always_inline __u32 first_slot(const struct service_side* side, __u8 algorithm, const struct ip_addr* client) {
  if (algorithm == SERVICE_ROUND_ROBIN) return next_turn(side->pool) % side->slots;
  if (algorithm == SERVICE_SOURCE_HASH) return hash_addr(client) % side->slots;
  return (__u64)bpf_get_prandom_u32() * side->slots >> 32;
}

/* The backend with which the client had a flow less than `seconds` ago, while new flows of `pool` may go there; 0:
 * none. */
static __always_inline __u32 affine_backend(const struct affinity_key* key, const struct service_value* service,
                                            __u32 pool, __u32 now) {
  struct affinity_value* value = bpf_map_lookup_elem(&affinity, key);
  if (!value) return 0;
  __s32 age = now - value->last; /* below 0 where another CPU, a moment later, has renewed it */
  if (age >= (__s32)service->affinity) return 0;
  struct backend_value* row = backend_of(value->backend, value->generation, service->id);
  if (!row || !(row->state & (pool & 1 ? BACKEND_IN_LOCAL : BACKEND_IN_CLUSTER))) return 0;
  value->last = now;
  return value->backend;
}

/* Chooses for a new flow. `side` is that of `service`; `client` as in affinity_key; `except`: a backend that shall not
 * be chosen, or 0. 0: none. That is also so when the slots were replaced since the row was read: look it up again,
 * once. */
global int service_choose(const struct service_value* service, const struct service_side* side,
                          const struct ip_addr* client, __u32 except, struct service_choice* choice) {
  if (!service || !side || !client || !choice) return 0;
  __u32 slots_left = side->slots;
  if (!slots_left) return 0;
  struct affinity_key key = {.pool = side->pool, .client = *client};
  __u32 now = now_seconds();
  if (service->affinity) {
    __u32 backend = affine_backend(&key, service, side->pool, now);
    if (!backend) {
      struct affinity_key other = {.pool = side->pool ^ 1, .client = *client};
      backend = affine_backend(&other, service, side->pool, now);
    }
    struct backend_value* row = backend == except ? NULL : backend_at(backend);
    if (row) {
      take_backend(choice, backend, row);
      return 1;
    }
  }
  struct slot_walk walk = {.pool = side->pool,
                           .epoch = side->epoch,
                           .slots = slots_left,
                           .index = first_slot(side, service->algorithm, client),
                           .except = except,
                           .algorithm = service->algorithm,
                           .best = service_nought,
                           .best_weight = service_nought,
                           .best_cost = service_nought};
  bpf_loop(slots_left < WALK_SLOTS ? slots_left : WALK_SLOTS, walk_slot, &walk, 0);
  struct backend_value* row = backend_at(walk.best);
  if (!row) return 0;
  take_backend(choice, walk.best, row);
  if (service->affinity) {
    struct affinity_value value = {.backend = choice->backend, .generation = choice->generation, .last = now};
    bpf_map_update_elem(&affinity, &key, &value, BPF_ANY);
  }
  return 1;
}

/* What becomes of a new flow to an address, for the per-packet path. */
struct service_request {
  struct service_key key; /* asked for */
  struct ip_addr source;  /* as it comes */
  __u32 except;           /* not this backend; 0: any */
  __u8 outside;           /* 1: neither of a Pod of this node nor of the node itself */
  __u8 from_node;         /* 1: of the node itself */
  /* The answer: */
  __u8 kind;       /* enum service_kind */
  __u8 masquerade; /* BALANCE: 1: the endpoint sees an address of this node */
  __u32 id;        /* of the Service's port; 0: none */
  __u32 flags;     /* enum service_flags */
  __u32 algorithm;
  __u32 reason;             /* DROP and REJECT: enum counter_reason */
  struct service_choice to; /* BALANCE */
};

/* Answers with an enum service_verdict. PASS: nobody's, or an address of the node that serves nothing there. */
global int service_select(struct service_request* r) {
  if (!r) return SERVICE_PASS;
  for (int attempt = 0; attempt < 2; attempt++) {
    struct service_value* row = service_find(&r->key);
    if (!row) {
      r->id = 0;
      r->flags = 0;
      r->kind = 0;
      if (service_has_address(r->key.net, &r->key.addr)) {
        r->reason = r->outside ? DROP_SERVICE_OUTSIDE : COUNT_SERVICE_REJECTED;
        return r->outside ? SERVICE_DROP : SERVICE_REJECT;
      }
      r->reason = DROP_SERVICE_UNALLOCATED;
      return service_in_range(&r->key.addr) ? SERVICE_DROP : SERVICE_PASS;
    }
    const struct service_side* side = r->outside ? &row->outside : &row->inside;
    r->id = row->id;
    r->flags = row->flags;
    r->kind = row->kind;
    r->algorithm = row->algorithm;
    r->masquerade = side->masquerade;
    if (row->flags & SERVICE_F_SOURCE_RANGES && !service_admits(row->id, &r->source)) {
      r->reason = DROP_SERVICE_SOURCE;
      return SERVICE_DROP;
    }
    switch (side->verdict) {
      case SERVICE_BALANCE: break;
      case SERVICE_REJECT: r->reason = COUNT_SERVICE_REJECTED; return SERVICE_REJECT;
      case SERVICE_DROP:
        r->reason = r->outside && row->kind == SERVICE_CLUSTER_IP ? DROP_SERVICE_OUTSIDE : DROP_SERVICE_LOCAL;
        return SERVICE_DROP;
      default: return SERVICE_PASS;
    }
    struct ip_addr client = {};
    if (!r->from_node) client = r->source;
    if (service_choose(row, side, &client, r->except, &r->to)) return SERVICE_BALANCE;
  }
  r->reason = COUNT_SERVICE_REJECTED;
  return SERVICE_REJECT;
}

#endif
