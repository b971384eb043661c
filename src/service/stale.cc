#include "service/stale.h"

#include <netinet/in.h>

#include <algorithm>

#include "base/log.h"

namespace causeway::service {

namespace {

using conntrack::Filter;
using conntrack::Flow;

constexpr size_t kFewPorts = 4;  // more are cheaper listed at once

bool has_no_end(Protocol protocol) { return protocol != Protocol::Tcp; }

Ip unspecified(Family family) { return family == Family::V4 ? Ip() : Ip::v6(std::array<uint8_t, 16>{}); }

// The row that a first packet to there would meet.
const Frontend* frontend_of(const FrontendKey& to, const Desired& desired) {
  if (const auto* row = desired.frontends.find(to)) return &row->value;
  const auto* node = desired.node_addresses.find(to.ip);
  if (!node || !node->value.node_ports) return nullptr;
  const auto* row = desired.frontends.find({unspecified(to.ip.family()), to.port, to.protocol});
  return row ? &row->value : nullptr;
}

}  // namespace

void StaleFlows::note(const Desired& desired) {
  for (const FrontendKey& key : desired.frontends.dirty()) {
    if (!has_no_end(key.protocol)) continue;
    if (const auto was = port_of_.find(key); was != port_of_.end()) {
      const auto of = frontends_of_.find(was->second);
      of->second.erase(key);
      if (of->second.empty()) frontends_of_.erase(of);
      port_of_.erase(was);
    }
    const auto* row = desired.frontends.find(key);
    if (!row) {
      gone_.insert(key);
      continue;
    }
    gone_.erase(key);
    suspects_.insert(key);
    if (row->value.kind == Kind::HostPort) continue;
    port_of_[key] = row->value.port;
    frontends_of_[row->value.port].insert(key);
  }
  for (const PortId& id : desired.ports.dirty())
    if (const auto of = frontends_of_.find(id); of != frontends_of_.end())
      suspects_.insert(of->second.begin(), of->second.end());
}

void StaleFlows::note_all(const std::set<FrontendKey>& gone) {
  all_ = true;
  gone_.insert(gone.begin(), gone.end());
}

std::vector<Filter> StaleFlows::filters() const {
  std::vector<Filter> out;
  if (all_) {
    for (const Family family : {Family::V4, Family::V6})
      for (const uint8_t protocol : {IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_TCP}) out.push_back({family, protocol, 0});
    return out;
  }
  std::map<std::pair<Family, Protocol>, std::set<uint16_t>> ports;
  for (const auto* keys : {&suspects_, &gone_})
    for (const FrontendKey& key : *keys) ports[{key.ip.family(), key.protocol}].insert(key.port);
  for (const auto& [which, numbers] : ports) {
    const auto& [family, protocol] = which;
    if (numbers.size() > kFewPorts)
      out.push_back({family, uint8_t(protocol), 0});
    else
      for (const uint16_t port : numbers) out.push_back({family, uint8_t(protocol), port});
  }
  return out;
}

bool StaleFlows::is_stale(const Flow& flow, const Desired& desired) const {
  const auto protocol = Protocol(flow.protocol);
  const Endpoint &asked = flow.original.destination, &answers = flow.reply.source;
  const bool translated = asked != answers;
  const FrontendKey to{asked.ip, asked.port, protocol};
  const Frontend* frontend = frontend_of(to, desired);
  if (!has_no_end(protocol))  // the node itself may well serve on its own address
    return all_ && !translated && frontend && !desired.node_addresses.find(asked.ip);
  if (!frontend) {
    // Ours, by a row that is gone; anybody else's translation is none of our business.
    const bool node = desired.node_addresses.find(asked.ip) != nullptr;
    return translated &&
           (gone_.contains(to) || (node && gone_.contains({unspecified(asked.ip.family()), asked.port, protocol})));
  }
  if (frontend->kind == Kind::HostPort) return false;
  const auto* port = desired.ports.find(frontend->port);
  if (!port) return true;
  return std::ranges::none_of(port->value.backends, [&](const Backend& backend) { return backend.at == answers; });
}

Result<size_t> StaleFlows::end(conntrack::Conntrack& conntrack, const Desired& desired) {
  size_t ended = 0;
  for (const Filter& filter : filters())
    for (const Flow& flow : TRY(conntrack.flows(filter), "list tracked connections")) {
      if (!is_stale(flow, desired)) continue;
      log::debug("Services changed: forget {}", flow);
      TRY(conntrack.remove(flow));
      ++ended;
    }
  all_ = false;
  suspects_.clear();
  gone_.clear();
  return ended;
}

}  // namespace causeway::service
