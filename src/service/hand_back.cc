#include "service/hand_back.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include <algorithm>

#include "datapath/conntrack.h"
#include "datapath/rows.h"

namespace causeway::service {

namespace {

using conntrack::Flow;
using conntrack::Tuple;
using Known = std::pair<uint8_t, Tuple>;  // of a protocol

Endpoint endpoint(const abi::ip_addr& addr, __be16 port) { return {datapath::from_abi(addr), ntohs(port)}; }

// A connection of which one side has sent its FIN is half closed for nf_conntrack too; which side it was it need not
// know.
uint8_t tcp_state_of(uint32_t flags) {
  const uint32_t fins = flags & (abi::CT_F_FIN_FORWARD | abi::CT_F_FIN_REPLY);
  if (fins == (abi::CT_F_FIN_FORWARD | abi::CT_F_FIN_REPLY)) return TCP_CONNTRACK_TIME_WAIT;
  if (fins) return TCP_CONNTRACK_CLOSE_WAIT;
  return flags & abi::CT_F_SEEN_REPLY ? TCP_CONNTRACK_ESTABLISHED : TCP_CONNTRACK_SYN_SENT;
}

bool is_told(const abi::ct_key& key, const abi::ct_value& row) {
  if (key.net != abi::NET_THIS_CLUSTER || row.flags & (abi::CT_F_REPLY | abi::CT_F_AGAIN | abi::CT_F_ABANDONED))
    return false;
  if (key.proto != IPPROTO_TCP && key.proto != IPPROTO_UDP && key.proto != IPPROTO_SCTP) return false;
  if (key.proto == IPPROTO_TCP && row.flags & abi::CT_F_RESET) return false;
  return row.flags & (abi::CT_F_REWRITE_SRC | abi::CT_F_REWRITE_DST | abi::CT_F_INBOUND);
}

// By a kube-proxy that was started beside us, for the node's own: the row is left over.
bool is_translated(const Flow& known) {
  return known.reply != Tuple{known.original.destination, known.original.source};
}

Result<bool> is_balanced_anew(conntrack::Conntrack& in, const Flow& flow) {
  for (const Flow& known : TRY(in.flows({flow.original.destination.ip.family(), flow.protocol, 0})))
    if (known.original == flow.original) return is_translated(known);
  return false;
}

// What nf_conntrack knows of the same connection.
bool is_outdated(const Flow& known, const Flow& flow, Whose whose) {
  if (flow.protocol != IPPROTO_TCP) return false;
  return whose == Whose::Others || known.tcp_state < flow.tcp_state;  // TCP_CONNTRACK_* follow a connection's life
}

}  // namespace

std::vector<HandedFlow> flows_of(const std::map<abi::ct_key, abi::ct_value>& rows, uint32_t now) {
  std::vector<HandedFlow> out;
  for (const auto& [key, row] : rows) {
    if (!is_told(key, row)) continue;
    uint32_t expires = row.expires;
    if (const auto twin = rows.find(datapath::twin_of(key, row)); twin != rows.end())
      expires = std::max(expires, twin->second.expires);
    if (expires <= now) continue;
    const Endpoint client = endpoint(key.src, key.sport), asked = endpoint(key.dst, key.dport);
    const Endpoint answers = row.flags & abi::CT_F_REWRITE_DST ? endpoint(row.to_dst, row.to_dport) : asked;
    const Endpoint seen = row.flags & abi::CT_F_REWRITE_SRC ? endpoint(row.to_src, row.to_sport) : client;
    // The node's own that only keep their port: netfilter translates nothing of them either.
    if (answers == asked && seen == client && !(row.flags & abi::CT_F_INBOUND)) continue;
    out.push_back({.flow = {.protocol = key.proto,
                            .original = {client, asked},
                            .reply = {answers, seen},
                            .replied = (row.flags & abi::CT_F_SEEN_REPLY) != 0,
                            .tcp_state = key.proto == IPPROTO_TCP ? tcp_state_of(row.flags) : uint8_t{0},
                            .timeout = expires - now},
                   .forward = key,
                   .reply = datapath::twin_of(key, row),
                   .of_node = (row.flags & abi::CT_F_NODE) != 0});
  }
  return out;
}

Result<Answering> answering_own(const bpf::Table<abi::ct_key, abi::ct_value>& rows, uint32_t now) {
  Answering out;
  for (const HandedFlow& handed : flows_of(TRY(rows.dump(), "read conntrack"), now))
    if (handed.of_node) out.emplace(handed.flow.protocol, handed.flow.original.destination);
  return out;
}

Result<HandedBack> hand_back(conntrack::Conntrack& to, bpf::Table<abi::ct_key, abi::ct_value>& rows, Whose whose,
                             uint32_t now) {
  std::map<Known, Flow> known;
  for (const Family family : {Family::V4, Family::V6})
    for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP})
      for (const Flow& flow : TRY(to.flows({family, protocol, 0}), "list tracked connections"))
        for (const Tuple& tuple : {flow.original, flow.reply}) known.emplace(Known{protocol, tuple}, flow);

  HandedBack out;
  for (const HandedFlow& handed : flows_of(TRY(rows.dump(), "read conntrack"), now)) {
    if (whose != Whose::All && handed.of_node != (whose == Whose::Node)) continue;
    const Flow& flow = handed.flow;
    bool there = false, in_the_way = false;
    for (const Tuple& tuple : {flow.original, flow.reply}) {
      const auto other = known.find({flow.protocol, tuple});
      if (other == known.end()) continue;
      if (whose == Whose::Node && other->second.original == flow.original && is_translated(other->second)) {
        there = true;
        break;
      }
      if (other->second.original == flow.original && other->second.reply == flow.reply) {
        there = !is_outdated(other->second, flow, whose);
        if (!there) TRY(to.remove(other->second));
        break;
      }
      in_the_way = true;
      if (whose != Whose::Others) TRY(to.remove(other->second));
    }
    if (!there && in_the_way && whose == Whose::Others) continue;
    Status created = there ? ok() : to.create(flow);
    if (!created && created.error().code() == Errc::AlreadyExists && whose != Whose::Others) {
      // Tracked since the list was made.
      if (whose == Whose::Node && TRY(is_balanced_anew(to, flow))) {
        created = ok();
      } else {
        TRY(to.remove(flow));
        created = to.create(flow);
      }
    }
    if (!created) {
      out.refused.push_back(created.error());
      continue;
    }
    ++out.known;
    if (whose == Whose::Node) TRY(rows.remove({handed.forward, handed.reply}), "leave {} to netfilter", flow);
  }
  return out;
}

Status forget_unfollowed(conntrack::Conntrack& in, const std::set<Ip>& pods, const std::set<Ip>& node_addresses) {
  for (const Family family : {Family::V4, Family::V6})
    for (const Flow& flow : TRY(in.flows({family, IPPROTO_TCP, 0}), "list tracked connections")) {
      const Ip &opens = flow.original.source.ip, &answers = flow.reply.source.ip;
      if (!pods.contains(opens) && !pods.contains(answers)) continue;
      if (node_addresses.contains(opens) || node_addresses.contains(answers)) continue;
      TRY(in.remove(flow), "forget {}", flow);
    }
  return ok();
}

}  // namespace causeway::service
