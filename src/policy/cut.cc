#include "policy/cut.h"

#include <netinet/in.h>

#include <algorithm>

#include "base/log.h"

namespace causeway::policy {

using conntrack::Flow;

namespace {

constexpr size_t kMostEnded = 1000;  // that wait to be told

std::optional<Protocol> protocol_of(const Flow& flow) {
  switch (flow.protocol) {
    case IPPROTO_TCP: return Protocol::Tcp;
    case IPPROTO_UDP: return Protocol::Udp;
    case IPPROTO_SCTP: return Protocol::Sctp;
    default: return std::nullopt;
  }
}

}  // namespace

bool Cut::concerns(const Flow& flow) const {
  if (suspects_.all) return true;
  for (const Ip& ip : {flow.original.source.ip, flow.reply.source.ip})
    if (suspects_.own.contains(ip) || suspects_.peers.contains(ip) || suspects_.gone.contains(ip) ||
        suspects_.left.contains(ip) ||
        std::ranges::any_of(suspects_.blocks, [&](const Cidr& block) { return block.contains(ip); }))
      return true;
  return false;
}

bool Cut::forbidden(const Flow& flow, const nft::NftRows& rows) const {
  // From where it came, and behind every translation to where it goes.
  const Endpoint &from = flow.original.source, &to = flow.reply.source;
  if (from.ip == to.ip) return false;
  for (const Ip& ip : {from.ip, to.ip})
    if (suspects_.left.contains(ip) && !rows.local(ip)) return true;
  const auto protocol = protocol_of(flow);
  const uint16_t port = protocol ? to.port : 0;
  if (rows.local(from.ip) && !rows.allows(Direction::Egress, from.ip, to.ip, protocol, port)) return true;
  const bool own_node = from.ip.is_loopback() || node_.contains(from.ip);
  return rows.local(to.ip) && !own_node && !rows.allows(Direction::Ingress, to.ip, from.ip, protocol, port);
}

Result<size_t> Cut::end(conntrack::Conntrack& conntrack, nftables::Nftables& nft, const nft::NftRows& rows) {
  if (!rows.judges()) {
    suspects_ = {};
    return size_t{0};
  }
  size_t ended = 0;
  for (const Family family : {Family::V4, Family::V6}) {
    std::vector<Flow> forbidden_flows;
    nftables::Elements answers;
    for (Flow& flow : TRY(conntrack.flows({.family = family}), "list tracked connections")) {
      if (!concerns(flow) || !forbidden(flow, rows)) continue;
      const auto& back = flow.reply;
      if (flow.protocol == IPPROTO_TCP || flow.protocol == IPPROTO_SCTP)
        answers.emplace(nftables::Tuple()
                            .ip(back.source.ip)
                            .protocol(flow.protocol)
                            .port(back.source.port)
                            .ip(back.destination.ip)
                            .port(back.destination.port),
                        nftables::Value{});
      forbidden_flows.push_back(std::move(flow));
    }
    const std::string set = nft::cut_set(family);
    Status named = ok();
    if (!answers.empty()) named = nft.apply({nftables::AddElements{set, rows.section().sets.at(set), answers}});
    for (const Flow& flow : forbidden_flows) {
      log::debug("policies forbid {} from now on: cut", flow);
      TRY(conntrack.remove(flow));
      if (ended_.size() < kMostEnded) ended_.push_back(flow);
      ++ended;
    }
    TRY(std::move(named), "flows that are cut");
  }
  suspects_ = {};
  return ended;
}

}  // namespace causeway::policy
