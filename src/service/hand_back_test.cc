#include "service/hand_back.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include "datapath/conntrack.h"
#include "datapath/rows.h"
#include "kernel/bpf/fake.h"
#include "kernel/conntrack/fake.h"

namespace causeway::service {

namespace {

using conntrack::Flow;
using datapath::to_abi;

constexpr uint32_t kNow = 1000;

Ip ip(const char* text) { return Ip::parse(text).value(); }
const Endpoint kClient{ip("203.0.113.2"), 5000}, kNodePort{ip("192.0.2.11"), 30080}, kEndpoint{ip("10.244.2.3"), 8080},
    kSeen{ip("192.0.2.11"), 61000}, kNode{ip("192.0.2.11"), 5000}, kVirtual{ip("10.96.0.10"), 80},
    kPod{ip("10.244.1.2"), 5000}, kServer{ip("198.51.100.9"), 443};

abi::ct_key key(Endpoint from, Endpoint to, uint8_t protocol) {
  return {.src = to_abi(from.ip),
          .dst = to_abi(to.ip),
          .sport = htons(from.port),
          .dport = htons(to.port),
          .proto = protocol};
}

struct Rows {
  bpf::FakeTable<abi::ct_key, abi::ct_value> table;
  conntrack::FakeConntrack tracked;

  // A pair of rows, as the programs write it; `source`, `target`: what the packet is translated to.
  void pair(Endpoint from, Endpoint to, Endpoint source, Endpoint target, uint32_t flags, uint32_t lives = 600,
            uint8_t protocol = IPPROTO_TCP) {
    const uint32_t src = source != from ? uint32_t{abi::CT_F_REWRITE_SRC} : 0,
                   dst = target != to ? uint32_t{abi::CT_F_REWRITE_DST} : 0;
    table.rows[key(from, to, protocol)] = {.to_src = to_abi(source.ip),
                                           .to_dst = to_abi(target.ip),
                                           .to_sport = htons(source.port),
                                           .to_dport = htons(target.port),
                                           .expires = kNow + lives,
                                           .flags = flags | src | dst};
    table.rows[key(target, source, protocol)] = {.to_src = to_abi(to.ip),
                                                 .to_dst = to_abi(from.ip),
                                                 .to_sport = htons(to.port),
                                                 .to_dport = htons(from.port),
                                                 .expires = kNow,
                                                 .flags = flags | abi::CT_F_REPLY |
                                                          (dst ? uint32_t{abi::CT_F_REWRITE_SRC} : 0) |
                                                          (src ? uint32_t{abi::CT_F_REWRITE_DST} : 0)};
  }
  HandedBack give(Whose whose) { return hand_back(tracked, table, whose, kNow).value(); }
  std::vector<Flow> flows() const {
    std::vector<Flow> out;
    for (const auto& handed : flows_of(table.rows, kNow)) out.push_back(handed.flow);
    return out;
  }
};

Flow tracked(Endpoint client, Endpoint asked, Endpoint answers, Endpoint seen,
             uint8_t state = TCP_CONNTRACK_ESTABLISHED) {
  return {.protocol = IPPROTO_TCP,
          .original = {client, asked},
          .reply = {answers, seen},
          .replied = true,
          .tcp_state = state,
          .timeout = 600};
}

}  // namespace

TEST_CASE("a pair of rows is one tracked connection, whichever row lives longer") {
  Rows rows;
  rows.pair(kClient, kNodePort, kSeen, kEndpoint, abi::CT_F_OUTSIDE | abi::CT_F_SEEN_REPLY);
  CHECK(rows.flows() == std::vector{tracked(kClient, kNodePort, kEndpoint, kSeen)});
  auto& forward = rows.table.rows.at(key(kClient, kNodePort, IPPROTO_TCP));
  std::swap(forward.expires, rows.table.rows.at(key(kEndpoint, kSeen, IPPROTO_TCP)).expires);
  CHECK(rows.flows() == std::vector{tracked(kClient, kNodePort, kEndpoint, kSeen)});
}

TEST_CASE("what a Pod sends out keeps the node's port; what comes in to a Pod's own address stays untranslated") {
  Rows rows;
  rows.pair(kPod, kServer, kSeen, kServer, abi::CT_F_SEEN_REPLY);
  CHECK(rows.flows() == std::vector{tracked(kPod, kServer, kServer, kSeen)});
  rows.table.rows.clear();
  rows.pair(kClient, kPod, kClient, kPod, abi::CT_F_INBOUND | abi::CT_F_SEEN_REPLY);
  CHECK(rows.flows() == std::vector{tracked(kClient, kPod, kPod, kClient)});
}

TEST_CASE("a connection that closes is told as it stands; what is over, reset or left is not told") {
  Rows rows;
  rows.pair(kPod, kServer, kSeen, kServer, abi::CT_F_SEEN_REPLY | abi::CT_F_FIN_REPLY);
  CHECK(rows.flows().at(0).tcp_state == TCP_CONNTRACK_CLOSE_WAIT);
  rows.pair(kPod, kServer, kSeen, kServer, abi::CT_F_SEEN_REPLY | abi::CT_F_FIN_REPLY | abi::CT_F_FIN_FORWARD);
  CHECK(rows.flows().at(0).tcp_state == TCP_CONNTRACK_TIME_WAIT);
  rows.pair(kPod, kServer, kSeen, kServer, 0);
  CHECK(rows.flows().at(0).tcp_state == TCP_CONNTRACK_SYN_SENT);
  CHECK(!rows.flows().at(0).replied);
  for (const uint32_t flags : {abi::CT_F_RESET, abi::CT_F_AGAIN, abi::CT_F_ABANDONED}) {
    rows.pair(kPod, kServer, kSeen, kServer, flags);
    CHECK(rows.flows().empty());
  }
  rows.pair(kPod, kServer, kSeen, kServer, abi::CT_F_SEEN_REPLY, 0);
  CHECK(rows.flows().empty());
  rows.pair(kNode, kServer, kNode, kServer, abi::CT_F_NODE | abi::CT_F_SEEN_REPLY);  // keeps its port, no more
  CHECK(rows.flows().empty());
}

TEST_CASE("the node's own connections are netfilter's before its rules, all others before the programs go") {
  Rows rows;
  rows.pair(kNode, kVirtual, kNode, kEndpoint, abi::CT_F_NODE | abi::CT_F_SEEN_REPLY);
  rows.pair(kClient, kNodePort, kSeen, kEndpoint, abi::CT_F_OUTSIDE | abi::CT_F_SEEN_REPLY);
  const Flow own = tracked(kNode, kVirtual, kEndpoint, kNode), other = tracked(kClient, kNodePort, kEndpoint, kSeen);
  rows.tracked.all = {tracked(kNode, kVirtual, kVirtual, kNode)};  // followed, untranslated
  CHECK(answering_own(rows.table, kNow).value() == Answering{{IPPROTO_TCP, kVirtual}});
  CHECK(rows.give(Whose::Node).known == 1);
  CHECK(rows.tracked.all == std::set{own});
  CHECK(rows.table.rows.size() == 2);
  CHECK(rows.give(Whose::Others).known == 1);
  CHECK(rows.tracked.all == std::set{own, other});
  CHECK(rows.table.rows.size() == 2);
  CHECK(rows.give(Whose::All).known == 1);
  CHECK(rows.tracked.all == std::set{own, other});
}

TEST_CASE("what a kube-proxy has balanced anew of the node's own stays with netfilter") {
  Rows rows;
  rows.pair(kNode, kVirtual, kNode, kEndpoint, abi::CT_F_NODE | abi::CT_F_SEEN_REPLY);
  const Flow anew = tracked(kNode, kVirtual, {ip("10.244.1.3"), 8080}, kNode);
  rows.tracked.all = {anew};
  CHECK(rows.give(Whose::Node).known == 1);
  CHECK(rows.tracked.all == std::set{anew});
  CHECK(rows.table.rows.empty());
}

TEST_CASE("what netfilter sees behind our translation stands until the programs are gone") {
  Rows rows;
  const Endpoint here{ip("192.0.2.11"), 6443};
  rows.pair(kPod, kVirtual, kPod, here, abi::CT_F_SEEN_REPLY);
  const Flow behind = tracked(kPod, here, here, kPod);
  rows.tracked.all = {behind};
  CHECK(rows.give(Whose::Others).known == 0);
  CHECK(rows.tracked.all == std::set{behind});
  CHECK(rows.give(Whose::All).known == 1);
  CHECK(rows.tracked.all == std::set{tracked(kPod, kVirtual, here, kPod)});
}

TEST_CASE("TCP that netfilter knew before the programs is made known anew, and what went on meanwhile as it stands") {
  Rows rows;
  rows.pair(kPod, kServer, kSeen, kServer, 0);
  auto& forward = rows.table.rows.at(key(kPod, kServer, IPPROTO_TCP));
  Flow before = tracked(kPod, kServer, kServer, kSeen);
  before.timeout = 86400;  // with the windows of that time
  rows.tracked.all = {before};
  CHECK(rows.give(Whose::Others).known == 1);
  Flow opening = tracked(kPod, kServer, kServer, kSeen, TCP_CONNTRACK_SYN_SENT);
  opening.replied = false;
  CHECK(rows.tracked.all == std::set{opening});
  forward.flags |= abi::CT_F_SEEN_REPLY;
  CHECK(rows.give(Whose::All).known == 1);
  const Flow open = tracked(kPod, kServer, kServer, kSeen);
  CHECK(rows.tracked.all == std::set{open});
  // Netfilter's own knowledge since then is newer.
  const Flow closing = tracked(kPod, kServer, kServer, kSeen, TCP_CONNTRACK_LAST_ACK);
  rows.tracked.all = {closing};
  CHECK(rows.give(Whose::All).known == 1);
  CHECK(rows.tracked.all == std::set{closing});
}

TEST_CASE("connections of Pods that netfilter did not follow are forgotten, those of the node itself are not") {
  Rows rows;
  const Endpoint other{ip("10.244.1.3"), 8080}, remote{ip("10.244.2.3"), 5000}, here{ip("192.0.2.11"), 6443};
  const Flow to_node = tracked(kPod, here, here, kPod), from_node = tracked(kNode, other, other, kNode),
             forwarded = tracked(kClient, kServer, kServer, kClient);
  Flow datagrams = tracked(kPod, other, other, kPod);
  datagrams.protocol = IPPROTO_UDP;
  rows.tracked.all = {to_node,
                      from_node,
                      forwarded,
                      datagrams,
                      tracked(kPod, other, other, kPod),
                      tracked(remote, other, other, remote),
                      tracked(kPod, kServer, kServer, kSeen),
                      tracked(kClient, kNodePort, other, kClient)};
  REQUIRE(forget_unfollowed(rows.tracked, {kPod.ip, other.ip}, {kNode.ip}));
  CHECK(rows.tracked.all == std::set{to_node, from_node, forwarded, datagrams});
}

}  // namespace causeway::service
