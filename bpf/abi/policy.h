/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Policies: who may talk to whom (src/policy/tables.h says how a first packet is judged). All but `policy_flows` is
 * written by the agent.
 *
 * Numbers are the compiler's own and others after a restart: every row has the bank of the agent's life that wrote it.
 * A new life writes all of its rows beside the former ones, turns the Pods' rows (abi/pod.h) over one by one, and then
 * removes what is of another bank: no packet is judged by half of both. */
#ifndef CAUSEWAY_ABI_POLICY_H
#define CAUSEWAY_ABI_POLICY_H

#include "abi/types.h"

ABI_BEGIN

/* Rows that the hash maps have at first; the agent grows them. Tries take no memory before they have rows. */
enum {
  POLICY_ADDRESSES_FIRST = 16384,
  POLICY_SETS_FIRST = 4096,
  POLICY_VERDICTS_FIRST = 16384,
  POLICY_BLOCKS_MAX = 4194304,
  POLICY_PORTS_MAX = 1048576
};

/* Map `policy_addresses` (hash, not preallocated) -> __u32, the class of a Pod of the cluster. `net` POLICY_NET_DNS: of
 * who answers at port 53 of the address, TCP and UDP (cluster DNS); it wins. */
enum { POLICY_NET_DNS = 0xffffffffu };
struct policy_address_key {
  __u32 bank;
  __u32 net;
  struct ip_addr addr;
#ifdef __cplusplus
  ABI_COMPARE(policy_address_key);
#endif
};
ABI_LAYOUT(struct policy_address_key, 24);

/* Map `policy_blocks` (LPM trie) -> __u32, the class of a prefix; 0 is one too: an exception inside a wider block. */
enum { POLICY_BLOCK_BITS = 64 /* bank and net; then 96 + n for an IPv4 prefix of n bits */ };
struct policy_block_key {
  __u32 prefixlen;
  __u32 bank;
  __u32 net;
  struct ip_addr addr;
#ifdef __cplusplus
  ABI_COMPARE(policy_block_key);
#endif
};
ABI_LAYOUT(struct policy_block_key, 28);

/* Map `policy_ports` (LPM trie) -> __u32, the atom of a port; none: 0. */
enum { POLICY_PORT_BITS = 80 /* bank, ports, proto and the gap; then those of the port */ };
struct policy_port_key {
  __u32 prefixlen;
  __u32 bank;
  __u32 ports;
  __u8 proto;
  __u8 reserved;
  __be16 port;
#ifdef __cplusplus
  ABI_COMPARE(policy_port_key);
#endif
};
ABI_LAYOUT(struct policy_port_key, 16);

/* Map `policy_sets` (hash, not preallocated): the policies that judge a Pod in one direction. */
struct policy_set_key {
  __u32 bank;
  __u32 set;
#ifdef __cplusplus
  ABI_COMPARE(policy_set_key);
#endif
};
ABI_LAYOUT(struct policy_set_key, 8);

enum policy_action { POLICY_DENY = 0, POLICY_ALLOW = 1 };

struct policy_set_value {
  __u32 ports;  /* of `policy_ports`; 0: none of its rules asks for ports */
  __u32 action; /* where no row of `policy_verdicts` says otherwise */
  __u32 rule;   /* that says so; 0: isolated, and no rule admits it */
  __u32 reserved;
  __u64 denied_packets; /* counted by the programs */
  __u64 denied_bytes;
#ifdef __cplusplus
  ABI_COMPARE(policy_set_value);
#endif
};
ABI_LAYOUT(struct policy_set_value, 32);

/* Map `policy_verdicts` (hash, not preallocated). Asked as (class, atom), (class, 0), (0, atom); the first decides. */
struct policy_verdict_key {
  __u32 bank;
  __u32 set;
  __u32 peer; /* a class */
  __u32 atom;
#ifdef __cplusplus
  ABI_COMPARE(policy_verdict_key);
#endif
};
ABI_LAYOUT(struct policy_verdict_key, 16);

struct policy_verdict_value {
  __u32 action; /* enum policy_action */
  __u32 rule;
#ifdef __cplusplus
  ABI_COMPARE(policy_verdict_value);
#endif
};
ABI_LAYOUT(struct policy_verdict_value, 8);

/* Map `policy_epoch` (array of one) -> __u32: counts changes of what is above. A flow that was judged in another epoch
 * is judged again with its next packet, in the direction in which it was opened. */

/* Map `policy_flows` (hash, not preallocated), written by the programs: flows of Pods that some policy selects. The key
 * is a ct_key of both directions: the lesser end first, addresses as policies see them, which is the source before and
 * the destination after translation. What was forbidden keeps its row while that lives: else the next packet of the
 * other side would open it anew. */
enum policy_flow_flags {
  POLICY_FLOW_TURNED = 1u << 16, /* opened by the greater end */
  POLICY_FLOW_NODE = 1u << 17,   /* opened by the node itself */
  POLICY_FLOW_DENIED = 1u << 18, /* cut */
};
struct policy_flow {
  __u32 expires; /* seconds of CLOCK_MONOTONIC */
  __u32 epoch;
  __u32 flags; /* enum policy_flow_flags, and the state of enum ct_flags */
  __u32 rule;  /* that decided last; 0: none had to */
#ifdef __cplusplus
  ABI_COMPARE(policy_flow);
#endif
};
ABI_LAYOUT(struct policy_flow, 16);

ABI_END
#endif
