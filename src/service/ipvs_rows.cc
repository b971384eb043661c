#include "service/ipvs_rows.h"

#include "service/iptables_rules.h"

namespace causeway::service {

namespace {

// The node's address that others can answer to: one that serves node ports, as the primary one does, before others.
std::optional<Ip> source_of(const Tables& tables, Family family) {
  std::optional<Ip> found;
  for (const auto& [ip, address] : tables.node_addresses) {
    if (ip.family() != family || ip.is_loopback() || ip.is_link_local()) continue;
    if (address.node_ports) return ip;
    if (!found) found = ip;
  }
  return found;
}

}  // namespace

const std::set<std::string>& ipvs_schedulers() {
  static const std::set<std::string> kAll = {"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh",
                                             "dh", "sed", "nq", "mh",  "fo",   "ovf"};
  return kAll;
}

IpvsRows ipvs_rows(const Tables& tables, const std::string& scheduler) {
  IpvsRows rows;
  for (const auto& [key, frontend] : addressed(tables)) {
    const bool outside = by_ipvs(key, *frontend, false), inside = by_ipvs(key, *frontend, true);
    const auto port = tables.ports.find(frontend->port);
    if ((!outside && !inside) || port == tables.ports.end()) continue;
    const Pool pool = outside ? frontend->outside.pool : frontend->inside.pool;
    IpvsRow& row = rows.services[{key.ip, key.port, uint8_t(key.protocol)}];
    row.service.scheduler = port->second.scheduler.empty() ? scheduler : std::string(port->second.scheduler);
    row.service.flags = ipvs::kOurs;
    row.service.persistence = port->second.affinity;
    // One that drains (weight 0) must not keep the clients whose hash is its own.
    if (row.service.scheduler == "sh" || row.service.scheduler == "mh") row.service.flags |= ipvs::kFallback;
    for (const Backend& backend : port->second.backends)
      if (pool == Pool::Cluster ? backend.cluster_pool : backend.local_pool) row.weights[backend.at] = backend.weight;
    if (!tables.node_addresses.contains(key.ip)) rows.bound[key.ip] = source_of(tables, key.ip.family());
  }
  return rows;
}

std::string render(const IpvsRows& rows) {
  std::string out;
  for (const auto& [key, row] : rows.services) {
    out += fmt::format("{} {}{}\n", key, row.service.scheduler,
                       row.service.persistence ? fmt::format(" persistent {}", row.service.persistence) : "");
    for (const auto& [to, weight] : row.weights) out += fmt::format("  -> {} weight {}\n", to, weight);
  }
  for (const auto& [ip, source] : rows.bound)
    out += fmt::format("local {}{}\n", ip, source ? fmt::format(" from {}", *source) : "");
  return out;
}

}  // namespace causeway::service
