/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the policies of this node's Pods say of a first packet (src/policy/tables.h). */
#ifndef CAUSEWAY_LIB_POLICY_JUDGE_H
#define CAUSEWAY_LIB_POLICY_JUDGE_H

#include "lib/icmp.h"
#include "lib/policy_maps.h"

/* Too large for the stack; one for each CPU (tc runs with bottom halves off). */
struct policy_work {
  struct ct_key key;  /* the packet's: source before, destination after translation */
  struct ct_key both; /* of `policy_flows` */
  struct flow flow;
  struct quoted quoted;
  __u32 length; /* of the packet, for the counters */
  __u32 rule;
  __u32 reason; /* why not */
  /* What was asked, for events. */
  __u32 bank;
  __u32 egress_set;
  __u32 egress_rule;
  __u32 ingress_set;
  __u32 ingress_rule;
  __u8 turned;   /* the packet's source is the greater end */
  __u8 syn;      /* opens a TCP connection, without doubt */
  __u8 opens;    /* may leave a row */
  __u8 backward; /* the packet goes to who opened the flow */
  __u8 node;     /* opened by the node itself */
  __u8 unjudged; /* by no policy */
};

/* Who opened the flow of a packet whose first packets nobody saw. */
enum policy_guess { GUESS_SENDER, GUESS_RECEIVER, GUESS_NOBODY };

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct policy_work);
} policy_works SEC(".maps");

static __always_inline struct policy_work* this_policy_work(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&policy_works, &zero);
}

/* Pods are found by their address, everybody else by the longest prefix; a Pod's class knows its prefixes too. */
global int policy_class(__u32 bank, const struct ip_addr* peer, __u32 dns) {
  if (!peer) return 0;
  struct policy_address_key pod = {.bank = bank, .net = dns ? POLICY_NET_DNS : NET_THIS_CLUSTER, .addr = *peer};
  __u32* class = bpf_map_lookup_elem(&policy_addresses, &pod);
  if (class) return *class;
  if (dns) {
    pod.net = NET_THIS_CLUSTER;
    class = bpf_map_lookup_elem(&policy_addresses, &pod);
    if (class) return *class;
  }
  struct policy_block_key block = {
      .prefixlen = POLICY_BLOCK_BITS + 128, .bank = bank, .net = NET_THIS_CLUSTER, .addr = *peer};
  class = bpf_map_lookup_elem(&policy_blocks, &block);
  return class ? *class : 0;
}

static __always_inline struct policy_verdict_value* policy_verdict(__u32 bank, __u32 set, __u32 peer, __u32 atom) {
  struct policy_verdict_key key = {.bank = bank, .set = set, .peer = peer, .atom = atom};
  return bpf_map_lookup_elem(&policy_verdicts, &key);
}

/* Does the set admit this peer, and this port of the destination? */
cold bool policy_admits(struct policy_work* w, __u32 bank, __u32 set, const struct ip_addr* peer, __be16 port) {
  struct policy_set_key key = {.bank = bank, .set = set};
  struct policy_set_value* row = bpf_map_lookup_elem(&policy_sets, &key);
  if (!row) return false;
  bool dns = config.dns_count && !w->ingress_set && port == bpf_htons(DNS_PORT) &&
             (w->key.proto == IPPROTO_UDP || w->key.proto == IPPROTO_TCP);
  __u32 class = policy_class(bank, peer, dns), atom = 0;
  if (row->ports && has_ports(w->key.proto)) {
    struct policy_port_key asked = {
        .prefixlen = POLICY_PORT_BITS + 16, .bank = bank, .ports = row->ports, .proto = w->key.proto, .port = port};
    __u32* found = bpf_map_lookup_elem(&policy_ports, &asked);
    if (found) atom = *found;
  }
  struct policy_verdict_value* verdict = NULL;
  if (class && atom) verdict = policy_verdict(bank, set, class, atom);
  if (!verdict && class) verdict = policy_verdict(bank, set, class, 0);
  if (!verdict && atom) verdict = policy_verdict(bank, set, 0, atom);
  w->rule = verdict ? verdict->rule : row->rule;
  if ((verdict ? verdict->action : row->action) == POLICY_ALLOW) return true;
  __sync_fetch_and_add(&row->denied_packets, 1);
  __sync_fetch_and_add(&row->denied_bytes, w->length);
  return false;
}

/* A flow from `from` to `port` of `to`, at both ends that are Pods of this node. `node`: opened by the node itself,
 * which reaches its own Pods always (kubelet's probes). */
cold bool policy_judge(struct policy_work* w, const struct ip_addr* from, const struct ip_addr* to, __be16 port,
                       bool node) {
  w->rule = 0;
  w->bank = w->egress_set = w->egress_rule = w->ingress_set = w->ingress_rule = 0;
  w->node = node;
  w->reason = DROP_POLICY_UNKNOWN;
  struct pod_value* pod = find_pod(NET_THIS_CLUSTER, from);
  if (pod && !(pod->flags & POD_F_OPEN)) {
    if (!pod->policy_bank) return false;
    w->reason = DROP_POLICY_EGRESS;
    w->bank = pod->policy_bank;
    w->egress_set = pod->egress_set;
    if (pod->egress_set && !policy_admits(w, pod->policy_bank, pod->egress_set, to, port)) {
      w->egress_rule = w->rule;
      return false;
    }
    w->egress_rule = w->rule;
  }
  w->reason = DROP_POLICY_UNKNOWN;
  pod = find_pod(NET_THIS_CLUSTER, to);
  if (pod && !(pod->flags & POD_F_OPEN)) {
    if (!pod->policy_bank) return false;
    w->reason = DROP_POLICY_INGRESS;
    if (!node && pod->ingress_set) {
      w->bank = pod->policy_bank;
      w->ingress_set = pod->ingress_set;
      bool admitted = policy_admits(w, pod->policy_bank, pod->ingress_set, from, port);
      w->ingress_rule = w->rule;
      return admitted;
    }
  }
  return true;
}

#endif
