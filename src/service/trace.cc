#include "service/trace.h"

#include <algorithm>

namespace causeway::service {

namespace {

using FrontendRow = Rows<FrontendKey, Frontend>::Row;

struct Match {
  FrontendKey key;
  const FrontendRow* row = nullptr;
};

// One address wins over every address of the node.
Match find(const Asked& asked, const Desired& desired) {
  Match match{{asked.to.ip, asked.to.port, asked.protocol}};
  if ((match.row = desired.frontends.find(match.key))) return match;
  const auto* own = desired.node_addresses.find(asked.to.ip);
  if (!own) return match;
  match.key.ip = cluster::any_address(asked.to.ip.family());
  match.row = desired.frontends.find(match.key);
  if (match.row && match.row->value.kind == Kind::NodePort && !own->value.node_ports) match.row = nullptr;
  return match;
}

std::string without_frontend(const Asked& asked, const Desired& desired) {
  if (const auto* service = desired.addresses.find(asked.to.ip))
    return fmt::format("{} is the address of Service {}, which has no port {}/{}: refused\n", asked.to.ip,
                       service->value, asked.to.port, asked.protocol);
  for (const auto& [cidr, row] : desired.ranges.rows())
    if (cidr.contains(asked.to.ip))
      return fmt::format("{} is in the Service range {}, and no Service has it: dropped\n", asked.to.ip, cidr);
  return fmt::format("{} is no Service's: the packet goes on as it is\n", asked.to);
}

bool may(const Frontend& frontend, const Ip& from) {
  return frontend.sources.empty() ||
         std::ranges::any_of(frontend.sources, [&](const Cidr& cidr) { return cidr.contains(from); });
}

std::string endpoints(const Port& port, Pool pool) {
  uint32_t total = 0;
  const auto in = [&](const Backend& backend) {
    return pool == Pool::Cluster ? backend.cluster_pool : backend.local_pool;
  };
  for (const Backend& backend : port.backends)
    if (in(backend)) total += backend.weight;
  std::string out;
  for (const Backend& backend : port.backends) {
    if (!in(backend)) continue;
    out += fmt::format("  {}", backend.at);
    if (!backend.node.empty()) out += fmt::format(" on {}", backend.node);
    if (port.algorithm == Algorithm::Random) out += fmt::format(" {:.1f} %", 100.0 * backend.weight / total);
    if (port.algorithm == Algorithm::LeastLoad) out += fmt::format(" load {}", backend.load);
    out += "\n";
  }
  return out;
}

}  // namespace

Traced trace(const Asked& asked, const Desired& desired) {
  Traced out;
  const Match match = find(asked, desired);
  if (!match.row) return {.text = without_frontend(asked, desired)};
  const Frontend& frontend = match.row->value;
  out.port = frontend.port;
  out.text = fmt::format("{} {} of {} ({})\n", frontend.kind, match.key, frontend.port, to_string(match.row->owner));
  if (!may(frontend, asked.from)) {
    out.text += fmt::format("{} is not among its loadBalancerSourceRanges: dropped\n", asked.from);
    return out;
  }
  const Side& side = asked.inside ? frontend.inside : frontend.outside;
  const std::string_view where = asked.inside ? "from this node or a Pod of it" : "from elsewhere";
  switch (side.verdict) {
    case Verdict::Reject: out.text += fmt::format("{}: refused, as no endpoint is ready anywhere\n", where); return out;
    case Verdict::Drop:
      out.text +=
          fmt::format("{}: dropped, {}\n", where,
                      frontend.kind == Kind::ClusterIp && !asked.inside ? "as a ClusterIP is for the cluster alone"
                                                                        : "as no endpoint here may answer");
      return out;
    case Verdict::Balance: break;
  }
  const auto* port = desired.ports.find(frontend.port);
  if (!port) return out;
  out.text += fmt::format("{}: to one of the endpoints {}, {}", where,
                          side.pool == Pool::Cluster ? "of the cluster" : "of this node", port->value.algorithm);
  if (port->value.affinity) out.text += fmt::format(", the same for {} s", port->value.affinity);
  if (port->value.retry) out.text += ", another if it refuses";
  out.text += side.masquerade ? ", which sees this node's address\n" : ", which sees the sender's address\n";
  out.text += endpoints(port->value, side.pool);
  return out;
}

Tables rows_of(const cluster::ServiceKey& service, const Desired& desired) {
  Tables out;
  const Key owner(service);
  const auto take = [&](const auto& rows, auto& into) {
    for (const auto& [key, row] : rows.rows())
      if (row.owner == owner) into.emplace(key, row.value);
  };
  take(desired.frontends, out.frontends);
  take(desired.ports, out.ports);
  take(desired.addresses, out.addresses);
  take(desired.health_checks, out.health_checks);
  take(desired.probes, out.probes);
  take(desired.refused, out.refused);
  return out;
}

}  // namespace causeway::service
