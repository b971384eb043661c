#include "pod/hostport/flows.h"

#include <algorithm>

namespace causeway::pod::hostport {
namespace {

using conntrack::Flow;

// Where a first packet of this flow would go now.
std::optional<Endpoint> target_of(const Flow& flow, const Tables& now, const std::set<Ip>& local) {
  const auto& [ip, port] = flow.original.destination;
  const auto protocol = cluster::Protocol(flow.protocol);
  if (!ip.is_loopback() && !local.contains(ip)) return std::nullopt;
  auto row = now.rows.find({protocol, ip, port});
  if (row == now.rows.end())
    row = now.rows.find({protocol, ip.is_v4() ? Ip() : Ip::v6(std::array<uint8_t, 16>{}), port});
  if (row == now.rows.end()) return std::nullopt;
  return row->second.to;
}

}  // namespace

std::vector<conntrack::Filter> filters(const std::vector<ChangedRow>& changed) {
  std::set<std::tuple<Family, uint8_t, uint16_t>> all;
  for (const auto& row : changed) all.insert({row.claim.ip.family(), uint8_t(row.claim.protocol), row.claim.port});
  std::vector<conntrack::Filter> out;
  for (const auto& [family, protocol, port] : all) out.push_back({family, protocol, port});
  return out;
}

bool is_stale(const Flow& flow, const std::vector<ChangedRow>& changed, const Tables& now, const std::set<Ip>& local) {
  const Endpoint actual = flow.reply.source;
  const auto target = target_of(flow, now, local);
  if (target && *target == actual) return false;
  const bool translated = actual != flow.original.destination;
  if (!translated) return target && flow.protocol == uint8_t(cluster::Protocol::Udp);
  // Translated by a row of ours that is gone; not by anybody else's NAT.
  return std::ranges::any_of(changed, [&](const ChangedRow& row) {
    return row.removed && row.to == actual && row.claim.port == flow.original.destination.port &&
           uint8_t(row.claim.protocol) == flow.protocol;
  });
}

}  // namespace causeway::pod::hostport
