/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services: what is balanced over what. Maps `services`, `slots` and `backends` (written by the agent), `affinity`,
 * `socket_flows` and `socket_peers` (written by the programs), and small ones about the node and its Pods.
 *
 * A new set of slots is written under a new epoch, then the rows of `services` that use it are flipped, then the old
 * slots go: no packet ever sees half of a Service. */
#ifndef CAUSEWAY_ABI_SERVICE_H
#define CAUSEWAY_ABI_SERVICE_H

#include "abi/types.h"

ABI_BEGIN

/* Rows that the maps have at first; the loader sets it, the agent grows them (a new map, the rows, a swap), which loads
 * every program anew: so at first there is room for 30,000 Services of 4 endpoints. Empty rows of a hash take 16 bytes
 * each: slots begin with fewer, as endpoints of one Service that follow one another in `backends` need none. */
enum {
  SERVICES_FIRST = 65536,
  SLOTS_FIRST = 32768,
  BACKENDS_FIRST = 131072,
  AFFINITY_MAX = 65536,
  SERVICE_CURSORS_MAX = 16384,
  SOCKET_FLOWS_MAX = 65536,
  NODE_ADDRESSES_MAX = 4096,
  SERVICE_RANGES_MAX = 1024,
  SOURCE_RANGES_FIRST = 65536,
  CLIENTS_MAX = 16384
};

/* Map `services` (hash, not preallocated): what is asked for.
 * The unspecified address of a family (::ffff:0.0.0.0 or ::) is every address of `node_addresses`; a row of one address
 * wins over it. Port 0 with protocol 0: the address is a Service's, whatever its ports are: a port without a row is
 * refused. */
struct service_key {
  __u32 net;
  struct ip_addr addr;
  __be16 port;
  __u8 proto; /* IPPROTO_* */
  __u8 reserved;
#ifdef __cplusplus
  ABI_COMPARE(service_key);
#endif
};
ABI_LAYOUT(struct service_key, 24);

enum service_kind {
  SERVICE_CLUSTER_IP = 1,
  SERVICE_NODE_PORT = 2,
  SERVICE_EXTERNAL_IP = 3,
  SERVICE_LOAD_BALANCER = 4,
  SERVICE_HOST_PORT = 5,
  SERVICE_ADDRESS = 6, /* port 0: the address is known */
};

enum service_verdict {
  SERVICE_PASS = 0,    /* not for us: the packet goes on as it is */
  SERVICE_BALANCE = 1, /* to one of the pool */
  SERVICE_REJECT = 2,  /* RST, or ICMP port unreachable; ECONNREFUSED at connect() */
  SERVICE_DROP = 3,    /* silently: no endpoint on this node, where only those may answer */
};

enum service_algorithm {
  SERVICE_RANDOM = 0, /* weights: an endpoint has as many slots as its weight */
  SERVICE_ROUND_ROBIN = 1,
  SERVICE_LEAST_CONNECTIONS = 2,
  SERVICE_LEAST_LOAD = 3,
  SERVICE_SOURCE_HASH = 4, /* the slots are a Maglev table: a prime number of them */
};

enum service_flags {
  SERVICE_F_PER_PACKET = 1u << 0,    /* the socket hooks leave it to the per-packet path */
  SERVICE_F_RETRY = 1u << 1,         /* a SYN that is not answered goes to another endpoint */
  SERVICE_F_SOURCE_RANGES = 1u << 2, /* only sources of `source_ranges` may */
};

/* Whose packets: of Pods of this node and of the node itself (inside), or of anybody else (outside). */
struct service_side {
  __u32 pool;      /* 0: none */
  __u32 epoch;     /* of the pool's slots; with SLOTS_RUN: the first backend */
  __u32 slots;     /* how many: indices 0 .. slots - 1 */
  __u8 verdict;    /* enum service_verdict */
  __u8 masquerade; /* 1: the endpoint sees an address of this node */
  __u8 reserved[2];
#ifdef __cplusplus
  ABI_COMPARE(service_side);
#endif
};
ABI_LAYOUT(struct service_side, 16);

struct service_value {
  __u32 id;       /* of the Service's port in one family, never 0: the rows of ClusterIP, NodePort ... share it */
  __u32 flags;    /* enum service_flags */
  __u32 affinity; /* ClientIP: seconds, 1-86400; 0: none */
  __u8 kind;      /* enum service_kind */
  __u8 algorithm; /* enum service_algorithm */
  __u8 reserved[2];
  struct service_side inside;
  struct service_side outside;
#ifdef __cplusplus
  ABI_COMPARE(service_value);
#endif
};
ABI_LAYOUT(struct service_value, 48);

/* Map `slots` (hash, not preallocated) -> __u32, the backend. A change of few slots is written in place (each row is
 * right by itself), any other under a new epoch. A reader that finds no slot holds an old row of `services`: it looks
 * that up once more; old slots stay for 100 ms after the flip. */
struct slot_key {
  __u32 pool;
  __u32 epoch;
  __u32 index;
#ifdef __cplusplus
  ABI_COMPARE(slot_key);
#endif
};
ABI_LAYOUT(struct slot_key, 12);

/* An epoch with this bit: the pool has no rows in `slots`, its backends follow one another from (epoch without it) on.
 * So it is while a Service has the endpoints that it began with. */
enum { SLOTS_RUN = 1u << 31 };

/* Map `backends` (array): an endpoint of one Service's port, by its number; 0 is none.
 * Who remembers a backend remembers its generation too: a number that was given to another endpoint, or whose endpoint
 * no longer serves, has another one. */
struct backend_value {
  struct ip_addr addr;
  __be16 port;
  __u8 proto;
  __u8 state; /* enum backend_state */
  __u32 generation;
  __u32 service; /* whose it is (service_value.id): who remembers a backend of another Service forgets it */
  __u16 load;    /* of its node, 0 (idle) - 1000 (busy); for SERVICE_LEAST_LOAD */
  __u16 weight;  /* 1-65535; for SERVICE_LEAST_CONNECTIONS and SERVICE_LEAST_LOAD */
#ifdef __cplusplus
  ABI_COMPARE(backend_value);
#endif
};
ABI_LAYOUT(struct backend_value, 32);

enum backend_state {
  BACKEND_GONE = 0,
  BACKEND_SERVING = 1, /* its flows go on, new ones go elsewhere */
  /* Bits: it is in this pool. */
  BACKEND_IN_CLUSTER = 2,
  BACKEND_IN_LOCAL = 4,
  BACKEND_ELIGIBLE = 6, /* in both */
};

/* Map `backend_connections` (array beside `backends`, written by the programs) -> __u32: open flows of the per-packet
 * path, for SERVICE_LEAST_CONNECTIONS. The agent corrects it when it sweeps conntrack. */

/* Map `affinity` (LRU hash): a client stays with its backend while that is in the pool and of this generation. Where it
 * has none of this pool it goes to that of the Service's other pool, if that is in this one too: an affinity is of the
 * Service, whichever of its addresses is asked. */
struct affinity_key {
  __u32 pool;
  __u32 net;
  struct ip_addr client; /* of a Pod its address, also at connect(); of the node the unspecified address */
#ifdef __cplusplus
  ABI_COMPARE(affinity_key);
#endif
};
ABI_LAYOUT(struct affinity_key, 24);

struct affinity_value {
  __u32 backend;
  __u32 generation;
  __u32 last; /* seconds of CLOCK_MONOTONIC of its last new flow */
#ifdef __cplusplus
  ABI_COMPARE(affinity_value);
#endif
};
ABI_LAYOUT(struct affinity_value, 12);

/* Map `service_cursors` (LRU hash by pool) -> __u32: where SERVICE_ROUND_ROBIN is. */

/* Map `socket_peers` (storage of sockets, goes with them): what the socket hooks made of a connect(). It holds while
 * the socket's peer is the backend. A socket that sent to Services without connect() has an all zero row: its flows
 * are in `socket_flows`. */
struct socket_peer {
  struct ip_addr service; /* the address that the application used */
  struct ip_addr addr;    /* of the backend */
  __be16 service_port;
  __be16 port;
  __u32 id; /* of the Service's port */
  __u32 backend;
  __u32 generation;
#ifdef __cplusplus
  ABI_COMPARE(socket_peer);
#endif
};
ABI_LAYOUT(struct socket_peer, 48);

/* Map `socket_flows` (LRU hash): what the socket hooks translated for sockets that are not connected. A row by the
 * address that the application used keeps the socket with its backend; one by the backend's address says what the
 * application shall see. */
enum socket_direction { SOCKET_TO_BACKEND = 1, SOCKET_TO_SERVICE = 2 };

struct socket_key {
  __u64 cookie; /* of the socket */
  struct ip_addr addr;
  __be16 port;
  __u8 proto;
  __u8 direction; /* enum socket_direction: the address is the Service's, or the backend's */
  __u32 reserved;
#ifdef __cplusplus
  ABI_COMPARE(socket_key);
#endif
};
ABI_LAYOUT(struct socket_key, 32);

struct socket_value {
  struct ip_addr addr; /* the other one */
  __be16 port;
  __u16 reserved;
  __u32 service;
  __u32 backend;
  __u32 generation;
  __u32 expires; /* seconds of CLOCK_MONOTONIC, after the last packet: as conntrack forgets it */
#ifdef __cplusplus
  ABI_COMPARE(socket_value);
#endif
};
ABI_LAYOUT(struct socket_value, 36);

/* Map `node_addresses` (hash by struct ip_addr) -> __u32: the addresses of this node, loopback among them. */
enum node_address_flags {
  NODE_ADDRESS_NODE_PORTS = 1u << 0, /* node ports are served on it */
};

/* Map `clients` (hash by the netns cookie, __u64): the Pods of this node, as the socket hooks know them. */
struct client_value {
  struct ip_addr addr4; /* all zero: none */
  struct ip_addr addr6;
  __u32 flags; /* enum client_flags */
  __u32 reserved;
#ifdef __cplusplus
  ABI_COMPARE(client_value);
#endif
};
ABI_LAYOUT(struct client_value, 40);
enum client_flags {
  CLIENT_F_PER_PACKET = 1u << 0, /* the socket hooks leave this Pod alone: sandboxes, virtual machines, meshes */
};

/* Map `service_marks` (array, written by the programs, and by the agent for flows that it takes over) -> __u32: who
 * takes part in flows of the per-packet path; only their packets are looked up in conntrack. By the ifindex of the
 * Pod's veth modulo SERVICE_MARKS, 0 for the node itself: a wrong hit costs a look-up and nothing else. Never cleared.
 */
enum { SERVICE_MARKS = 8192 };
enum service_mark {
  SERVICE_MARK_CLIENT = 1u << 0,  /* opened flows */
  SERVICE_MARK_BACKEND = 1u << 1, /* is an endpoint of some */
};

/* Maps `service_ranges` (LPM trie -> __u32 1): where Service addresses come from; an address without a Service there is
 * dropped. `source_ranges` (LPM trie -> __u32 1): who may use the Service `id`. */
struct range_key {
  __u32 prefixlen; /* 96 + n for an IPv4 prefix of n bits */
  struct ip_addr addr;
#ifdef __cplusplus
  ABI_COMPARE(range_key);
#endif
};
ABI_LAYOUT(struct range_key, 20);

struct source_key {
  __u32 prefixlen; /* 32 (id) and as above */
  __u32 service;
  struct ip_addr addr;
#ifdef __cplusplus
  ABI_COMPARE(source_key);
#endif
};
ABI_LAYOUT(struct source_key, 24);

ABI_END
#endif
