/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs count and report: map `counters` (per-CPU array by reason) and the ring buffer `events`. */
#ifndef CAUSEWAY_ABI_OBSERVE_H
#define CAUSEWAY_ABI_OBSERVE_H

#include "abi/types.h"

ABI_BEGIN

/* X(name, text): why a packet was counted. The numbers are ABI: new ones go to the end. */
#define COUNTER_REASONS(X)                                                                     \
  X(COUNT_TO_PEER, "delivered to a Pod of this node")                                          \
  X(COUNT_TO_NATIVE, "sent to another node by its route")                                      \
  X(COUNT_TO_OVERLAY, "sent to another node encapsulated")                                     \
  X(COUNT_TO_OUTSIDE, "sent out of the cluster")                                               \
  X(COUNT_TO_STACK, "given to the node's stack")                                               \
  X(COUNT_DECAPSULATED, "received encapsulated")                                               \
  X(COUNT_MASQUERADED, "left with the node's address")                                         \
  X(COUNT_UNMASQUERADED, "reply to a masqueraded flow")                                        \
  X(COUNT_FROM_STACK, "delivered to a Pod by the node's stack")                                \
  X(COUNT_TOO_BIG, "answered with ICMP too-big")                                               \
  X(COUNT_UNREACHABLE, "answered with ICMP unreachable: no such Pod")                          \
  X(DROP_SPOOFED_IP, "dropped: source address is not the Pod's")                               \
  X(DROP_SPOOFED_MAC, "dropped: source MAC is not the Pod's")                                  \
  X(DROP_FOREIGN_NEIGHBOUR, "dropped: ARP or neighbour discovery for somebody else's address") \
  X(DROP_ROUTER_ADVERTISEMENT, "dropped: router advertisement or redirect by a Pod")           \
  X(DROP_MALFORMED, "dropped: malformed packet")                                               \
  X(DROP_PEER_UNKNOWN, "dropped: VXLAN from an unknown node")                                  \
  X(DROP_NO_PORT_LEFT, "dropped: no source port left for masquerade")                          \
  X(DROP_CONNTRACK_FULL, "dropped: conntrack is full")                                         \
  X(DROP_FRAGMENT_EARLY, "dropped: fragment before the first one")                             \
  X(DROP_NO_ADDRESS, "dropped: the node has no address of this family to masquerade with")     \
  X(DROP_WRITE_FAILED, "dropped: the kernel refused to change the packet")                     \
  X(DROP_MISDELIVERED, "dropped: delivered to a veth that has another address")                \
  X(COUNT_EVICTED, "unreplied or closing flow evicted: conntrack was full")                    \
  X(DROP_NO_POD, "dropped: reply to a Pod that is gone")                                       \
  X(COUNT_SERVICE_OPENED, "flow to a Service opened")                                          \
  X(COUNT_SERVICE_TRANSLATED, "packet of a flow to a Service translated")                      \
  X(COUNT_SERVICE_REJECTED, "refused: Service without endpoints, or no such port")             \
  X(COUNT_SERVICE_RESTEERED, "flow moved off an endpoint that is gone")                        \
  X(COUNT_SERVICE_RETRIED, "connection tried at another endpoint")                             \
  X(COUNT_SERVICE_ADOPTED, "flow of the kernel's conntrack taken over")                        \
  X(DROP_SERVICE_LOCAL, "dropped: Service without endpoints on this node")                     \
  X(DROP_SERVICE_SOURCE, "dropped: source is not in loadBalancerSourceRanges")                 \
  X(DROP_SERVICE_UNALLOCATED, "dropped: Service address that nobody has")                      \
  X(DROP_SERVICE_OUTSIDE, "dropped: ClusterIP asked from outside of the cluster")              \
  X(DROP_SERVICE_SWALLOWED, "dropped: refusal by one endpoint while others remain")            \
  X(DROP_POLICY_INGRESS, "dropped: no policy admits it to the Pod")                            \
  X(DROP_POLICY_EGRESS, "dropped: no policy lets the Pod send it")                             \
  X(DROP_POLICY_CUT, "dropped: of a flow that a change of policies forbade")                   \
  X(DROP_POLICY_UNKNOWN, "dropped: which policies judge the Pod is not known yet")             \
  X(DROP_POLICY_FULL, "dropped: no room to remember a flow that policies admit")               \
  X(COUNT_EVENT_LOST, "event lost: too many at once, or nobody reads them")

#define COUNTER_ENUM(name, text) name,
enum counter_reason { COUNTER_REASONS(COUNTER_ENUM) COUNTER_REASON_COUNT };
#undef COUNTER_ENUM
/* Room for reasons to come without a new map. */
enum { COUNTERS_MAX = 128 };

struct counter_value {
  __u64 packets;
  __u64 bytes;
#ifdef __cplusplus
  ABI_COMPARE(counter_value);
#endif
};
ABI_LAYOUT(struct counter_value, 16);

/* The one ring of events: every record begins with this; `type` says what follows. Types come with their features.
 * Nobody is woken: the agent looks ten times a second. */
enum { EVENTS_BYTES = 262144 };
struct event_header {
  __u64 time;   /* nanoseconds of CLOCK_MONOTONIC */
  __u32 type;   /* enum event_type */
  __u32 length; /* of the whole record */
#ifdef __cplusplus
  ABI_COMPARE(event_header);
#endif
};
ABI_LAYOUT(struct event_header, 16);

enum event_type { EVENT_FLOW = 1 };

/* What policies made of a flow. Of those that none judges TCP's first packets alone are told. */
enum flow_verdict {
  FLOW_ALLOWED = 1, /* its first packet passed, or a change admits it again */
  FLOW_DENIED,      /* a packet that opens it was dropped; the same flow is told once in EVENT_QUIET_NS */
  FLOW_CUT,         /* it was open, and a change forbids it */
  FLOW_CLOSED,      /* TCP: both ends have said that they are done, or one has reset it */
};

struct flow_event {
  struct event_header header;
  struct ip_addr src; /* who opened it */
  struct ip_addr dst; /* behind a Service's address: the endpoint */
  __be16 sport;
  __be16 dport;
  __u8 proto;
  __u8 verdict; /* enum flow_verdict */
  __u8 node;    /* 1: opened by the node itself */
  __u8 reserved;
  __u32 reason; /* enum counter_reason of what was dropped; else 0 */
  /* What was asked at both ends (abi/policy.h); a set of 0: that end is no Pod of this node, or nothing judges it. */
  __u32 bank;
  __u32 egress_set;
  __u32 egress_rule;
  __u32 ingress_set;
  __u32 ingress_rule;
#ifdef __cplusplus
  ABI_COMPARE(flow_event);
#endif
};
ABI_LAYOUT(struct flow_event, 80);

/* No flood of packets becomes one of events: so many on each CPU in a window, and a denied flow once in a while. */
enum {
  EVENT_WINDOW_SHIFT = 27, /* 134 ms, as a power of two of nanoseconds */
  EVENTS_PER_WINDOW = 256,
  EVENTS_UNJUDGED = 128, /* as long as no more are used: what no policy judges leaves room for what one does */
  EVENTS_RECENT = 1024,  /* denied flows that are remembered, on each CPU */
};
#define EVENT_QUIET_NS 10000000000ull

/* Maps `event_gates` and `event_recent`, per CPU; written by the programs. */
struct event_gate {
  __u64 window; /* time >> EVENT_WINDOW_SHIFT */
  __u64 used;   /* events in it */
#ifdef __cplusplus
  ABI_COMPARE(event_gate);
#endif
};
ABI_LAYOUT(struct event_gate, 16);

struct event_recent {
  __u64 flow; /* hash of what was told */
  __u64 time; /* when */
#ifdef __cplusplus
  ABI_COMPARE(event_recent);
#endif
};
ABI_LAYOUT(struct event_recent, 16);

ABI_END
#endif
