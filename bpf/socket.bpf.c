// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Socket hooks of a cgroup: a Service's address becomes an endpoint's where the application connects or sends, so that
// no packet needs translation; what the application is told stays the Service's. Sockets of the node and of its Pods
// only: a process of another network namespace (a nested cluster with the same Service addresses) is left alone.
//
// What is not decided here goes on to the per-packet path: refusals of UDP (an ICMP error, as for any address), what
// shall be dropped, Services and Pods that are to be balanced per packet.
#include "abi/ct.h"
#include "lib/dns_maps.h"
#include "lib/service.h"

/* As CTX_READ and CTX_WRITE of lib/prelude.h. */
#define SOCK_READ_AT(ctx, at)                                                  \
  ({                                                                           \
    __u64 value_;                                                              \
    asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(value_) : "r"(ctx), "i"(at)); \
    (__u32) value_;                                                            \
  })
#define SOCK_WRITE_AT(ctx, at, value) \
  asm volatile("*(u32 *)(%0 + %1) = %2" : : "r"(ctx), "i"(at), "r"((__u64)(value)) : "memory")
#define IP4_AT offsetof(struct bpf_sock_addr, user_ip4)
#define IP6_AT offsetof(struct bpf_sock_addr, user_ip6)
#define PORT_AT offsetof(struct bpf_sock_addr, user_port)

enum { GO_ON = 1, REFUSE = 0, CONNECTION_REFUSED = -111 /* -ECONNREFUSED */ };
enum { IP4 = 4, IP6 = 6 };

static __always_inline void read_addr(struct bpf_sock_addr* ctx, int family, struct ip_addr* addr) {
  if (family == IP4) {
    addr_set4(addr, SOCK_READ_AT(ctx, IP4_AT));
    return;
  }
  addr->word[0] = SOCK_READ_AT(ctx, IP6_AT);
  addr->word[1] = SOCK_READ_AT(ctx, IP6_AT + 4);
  addr->word[2] = SOCK_READ_AT(ctx, IP6_AT + 8);
  addr->word[3] = SOCK_READ_AT(ctx, IP6_AT + 12);
}

/* Of the family that the application used: a Service's endpoints have its family, and IPv4-mapped stays so. */
static __always_inline void write_addr(struct bpf_sock_addr* ctx, int family, const struct ip_addr* addr, __be16 port) {
  if (family == IP4) {
    SOCK_WRITE_AT(ctx, IP4_AT, addr->word[3]);
  } else {
    SOCK_WRITE_AT(ctx, IP6_AT, addr->word[0]);
    SOCK_WRITE_AT(ctx, IP6_AT + 4, addr->word[1]);
    SOCK_WRITE_AT(ctx, IP6_AT + 8, addr->word[2]);
    SOCK_WRITE_AT(ctx, IP6_AT + 12, addr->word[3]);
  }
  SOCK_WRITE_AT(ctx, PORT_AT, port);
}

static __always_inline __be16 read_port(struct bpf_sock_addr* ctx) { return SOCK_READ_AT(ctx, PORT_AT); }

static __always_inline struct socket_peer* peer_of(struct bpf_sock_addr* ctx, __u64 flags) {
  struct bpf_sock* socket = ctx->sk;
  return socket ? bpf_sk_storage_get(&socket_peers, socket, NULL, flags) : NULL;
}

enum decision { LEAVE, REFUSED, CHOSEN };

/* What a flow of this socket to `asked` shall do; changes `asked` to the one loopback address that the maps know. */
cold enum decision decide(struct bpf_sock_addr* ctx, struct service_key* asked, struct service_choice* to) {
  const __u64 netns = bpf_get_netns_cookie(ctx);
  const bool node = netns == config.node_netns;
  if (is_loopback(&asked->addr)) {
    if (!node) return LEAVE;
    set_known_loopback(&asked->addr);
  }
  // A Pod's DNS is decided packet by packet: its socket outlives the process that answers. The node's own reaches that
  // by the kernel's routes.
  if (config.dns_count && asked->port == bpf_htons(DNS_PORT) && is_dns_address(&asked->addr) &&
      (!node || dns_is_here(&asked->addr)))
    return LEAVE;
  for (int attempt = 0; attempt < 2; attempt++) {
    struct service_value* row = service_find(asked);
    if (!row && (asked->proto != IPPROTO_TCP || !service_has_address(asked->net, &asked->addr))) return LEAVE;
    struct client_value* client = NULL;
    if (!node) {
      client = bpf_map_lookup_elem(&clients, &netns);
      if (!client || client->flags & CLIENT_F_PER_PACKET) return LEAVE;
    }
    if (!row) return REFUSED;
    /* From the node to itself: no packet of it passes another hook of ours, so nothing is left to them. */
    const bool within = node && bpf_map_lookup_elem(&node_addresses, &asked->addr);
    const struct service_side* side = &row->inside;
    if (!within && (row->flags & SERVICE_F_PER_PACKET || side->masquerade)) return LEAVE;
    struct ip_addr source = {};
    if (client) source = addr_is4(&asked->addr) ? client->addr4 : client->addr6;
    if (row->flags & SERVICE_F_SOURCE_RANGES) {
      if (!client && !within) return LEAVE; /* its source is known when it is routed */
      if (!service_admits(row->id, client ? &source : &asked->addr)) return LEAVE;
    }
    if (side->verdict == SERVICE_REJECT) return asked->proto == IPPROTO_TCP ? REFUSED : LEAVE;
    if (side->verdict != SERVICE_BALANCE) return LEAVE;
    if (service_choose(row, side, &source, 0, to)) {
      count_event(COUNT_SERVICE_OPENED);
      return CHOSEN;
    }
  }
  return LEAVE;
}

static __always_inline int on_connect(struct bpf_sock_addr* ctx, int family) {
  if (family == IP4 ? !config.ipv4 : !config.ipv6 && !config.ipv4) return GO_ON;
  const __u32 proto = SOCK_READ_AT(ctx, offsetof(struct bpf_sock_addr, protocol));
  if (proto != IPPROTO_TCP && proto != IPPROTO_UDP) return GO_ON;
  struct service_key asked = {.port = read_port(ctx), .proto = proto};
  read_addr(ctx, family, &asked.addr);
  const struct ip_addr used = asked.addr;
  struct service_choice to;
  switch (decide(ctx, &asked, &to)) {
    case CHOSEN: break;
    case REFUSED:
      count_event(COUNT_SERVICE_REJECTED);
      bpf_set_retval(CONNECTION_REFUSED);
      return REFUSE;
    case LEAVE: {
      struct socket_peer* old = peer_of(ctx, 0);
      if (old) old->port = 0;
      return GO_ON;
    }
  }
  struct socket_peer* peer = peer_of(ctx, BPF_SK_STORAGE_GET_F_CREATE);
  if (peer) {
    peer->service = used;
    peer->addr = to.addr;
    peer->service_port = asked.port;
    peer->port = to.port;
    peer->backend = to.backend;
    peer->generation = to.generation;
    struct backend_value* row = backend_at(to.backend);
    peer->id = row ? row->service : 0;
  }
  write_addr(ctx, family, &to.addr, to.port);
  return GO_ON;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr* ctx) { return on_connect(ctx, IP4); }

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr* ctx) { return on_connect(ctx, IP6); }

cold struct socket_value* find_flow(__u64 cookie, const struct service_key* at, __u8 direction) {
  struct socket_key key = {
      .cookie = cookie, .addr = at->addr, .port = at->port, .proto = IPPROTO_UDP, .direction = direction};
  return bpf_map_lookup_elem(&socket_flows, &key);
}

cold void remember_flow(__u64 cookie, const struct ip_addr* used, const struct service_key* asked,
                        const struct service_choice* to, __u32 now) {
  struct backend_value* row = backend_at(to->backend);
  if (!row) return;
  struct socket_key key = {
      .cookie = cookie, .addr = *used, .port = asked->port, .proto = IPPROTO_UDP, .direction = SOCKET_TO_BACKEND};
  struct socket_value value = {.addr = to->addr,
                               .port = to->port,
                               .service = row->service,
                               .backend = to->backend,
                               .generation = to->generation,
                               .expires = now + CT_UDP_REPLIED};
  bpf_map_update_elem(&socket_flows, &key, &value, BPF_ANY);
  key.addr = to->addr;
  key.port = to->port;
  key.direction = SOCKET_TO_SERVICE;
  value.addr = *used;
  value.port = asked->port;
  bpf_map_update_elem(&socket_flows, &key, &value, BPF_ANY);
}

static __always_inline int on_sendmsg(struct bpf_sock_addr* ctx, int family) {
  if (family == IP4 ? !config.ipv4 : !config.ipv6) return GO_ON;
  if (SOCK_READ_AT(ctx, offsetof(struct bpf_sock_addr, protocol)) != IPPROTO_UDP) return GO_ON;
  struct service_key asked = {.port = read_port(ctx), .proto = IPPROTO_UDP};
  read_addr(ctx, family, &asked.addr);
  const __u64 cookie = bpf_get_socket_cookie(ctx);
  const __u32 now = now_seconds();
  bool moved = false;
  if (peer_of(ctx, 0)) {
    struct socket_value* flow = find_flow(cookie, &asked, SOCKET_TO_BACKEND);
    if (flow && flow->expires > now) {
      if (backend_serves(flow->backend, flow->generation, flow->service)) {
        if (flow->expires != now + CT_UDP_REPLIED) flow->expires = now + CT_UDP_REPLIED;
        write_addr(ctx, family, &flow->addr, flow->port);
        return GO_ON;
      }
      moved = true;
    }
  }
  const struct ip_addr used = asked.addr;
  struct service_choice to;
  if (decide(ctx, &asked, &to) != CHOSEN) return GO_ON;
  if (moved) count_event(COUNT_SERVICE_RESTEERED);
  peer_of(ctx, BPF_SK_STORAGE_GET_F_CREATE);
  remember_flow(cookie, &used, &asked, &to, now);
  write_addr(ctx, family, &to.addr, to.port);
  return GO_ON;
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr* ctx) { return on_sendmsg(ctx, IP4); }

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr* ctx) { return on_sendmsg(ctx, IP6); }

/* A peer that the application knows by its Service's address. */
static __always_inline bool show_connected(struct bpf_sock_addr* ctx, int family, const struct socket_peer* peer,
                                           const struct ip_addr* addr, __be16 port) {
  if (!peer->port || port != peer->port || !addr_equal(addr, &peer->addr)) return false;
  write_addr(ctx, family, &peer->service, peer->service_port);
  return true;
}

static __always_inline int on_recvmsg(struct bpf_sock_addr* ctx, int family) {
  struct socket_peer* peer = peer_of(ctx, 0);
  if (likely(!peer)) return GO_ON;
  struct socket_key key = {.cookie = bpf_get_socket_cookie(ctx),
                           .port = read_port(ctx),
                           .proto = IPPROTO_UDP,
                           .direction = SOCKET_TO_SERVICE};
  read_addr(ctx, family, &key.addr);
  if (show_connected(ctx, family, peer, &key.addr, key.port)) return GO_ON;
  struct socket_value* flow = bpf_map_lookup_elem(&socket_flows, &key);
  if (!flow) return GO_ON;
  write_addr(ctx, family, &flow->addr, flow->port);
  const __u32 expires = now_seconds() + CT_UDP_REPLIED;
  if (flow->expires == expires) return GO_ON;
  flow->expires = expires;
  key.addr = flow->addr;
  key.port = flow->port;
  key.direction = SOCKET_TO_BACKEND;
  flow = bpf_map_lookup_elem(&socket_flows, &key);
  if (flow) flow->expires = expires;
  return GO_ON;
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr* ctx) { return on_recvmsg(ctx, IP4); }

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr* ctx) { return on_recvmsg(ctx, IP6); }

static __always_inline int on_getpeername(struct bpf_sock_addr* ctx, int family) {
  struct socket_peer* peer = peer_of(ctx, 0);
  if (likely(!peer)) return GO_ON;
  struct ip_addr addr;
  read_addr(ctx, family, &addr);
  show_connected(ctx, family, peer, &addr, read_port(ctx));
  return GO_ON;
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr* ctx) { return on_getpeername(ctx, IP4); }

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr* ctx) { return on_getpeername(ctx, IP6); }

char LICENSE[] SEC("license") = "Dual BSD/GPL";
