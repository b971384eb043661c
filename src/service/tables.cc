#include "service/tables.h"

namespace causeway::service {

namespace {

std::string text(const Side& side) {
  std::string out(to_string(side.verdict));
  if (side.verdict != Verdict::Balance) return out;
  out += side.pool == Pool::Cluster ? " cluster" : " local";
  return side.masquerade ? out + " masquerade" : out;
}

std::string text(const FrontendKey& key, const Frontend& row) {
  std::string out = fmt::format("frontend {} {} {} inside {} outside {}", key, row.kind, row.port, text(row.inside),
                                text(row.outside));
  for (size_t i = 0; i < row.sources.size(); ++i) out += fmt::format("{}{}", i ? "," : " from ", row.sources[i]);
  return out;
}

std::string text(const Backend& backend) {
  std::string out = fmt::format("  {}", backend.at);
  if (!backend.node.empty()) out += fmt::format(" node {}", backend.node);
  if (backend.local) out += " here";
  if (backend.cluster_pool) out += " cluster";
  if (backend.local_pool) out += " local";
  if (!backend.cluster_pool && !backend.local_pool) out += " no-new-flows";
  if (backend.weight != 1) out += fmt::format(" weight {}", backend.weight);
  if (backend.load != 0) out += fmt::format(" load {}", backend.load);
  return out;
}

std::string text(const PortId& id, const Port& port) {
  std::string out = fmt::format("port {} {} {}", id, port.protocol, port.algorithm);
  if (port.affinity) out += fmt::format(" affinity {}s", port.affinity);
  if (port.retry) out += " retry";
  if (!port.scheduler.empty()) out += fmt::format(" scheduler {}", port.scheduler);
  for (const Backend& backend : port.backends) out += "\n" + text(backend);
  return out;
}

std::string text(const ProbeKey& key, const Probe& probe) {
  return fmt::format("probe {} {} {} every {}ms timeout {}ms failures {} successes {}", key.at, key.port,
                     probe.http_path.empty() ? "tcp" : "http:" + probe.http_path, probe.interval_ms, probe.timeout_ms,
                     probe.failures, probe.successes);
}

std::string text(uint64_t netns_cookie, const Client& client) {
  std::string out = fmt::format("client {} {}", netns_cookie, client.pod);
  for (const auto& ip : {client.v4, client.v6})
    if (ip) out += fmt::format(" {}", *ip);
  return out;
}

}  // namespace

std::string to_string(const Key& key) {
  if (const auto* service = std::get_if<cluster::ServiceKey>(&key)) return "service " + to_string(*service);
  if (const auto* attachment = std::get_if<AttachmentName>(&key)) return "attachment " + to_string(attachment->key());
  return "self";
}

std::string to_string(const PortId& id) {
  return fmt::format("{}/{}{}{}{}", id.ns, id.name, id.port.empty() ? "" : ":", id.port,
                     id.family == Family::V6 ? " (IPv6)" : "");
}

std::string to_string(const FrontendKey& key) { return fmt::format("{}/{}", Endpoint{key.ip, key.port}, key.protocol); }

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::ClusterIp: return "ClusterIP";
    case Kind::NodePort: return "NodePort";
    case Kind::ExternalIp: return "ExternalIP";
    case Kind::LoadBalancer: return "LoadBalancer";
    case Kind::HostPort: return "HostPort";
  }
  return "?";
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Balance: return "balance";
    case Verdict::Reject: return "reject";
    case Verdict::Drop: return "drop";
  }
  return "?";
}

std::string_view to_string(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::Random: return "random";
    case Algorithm::RoundRobin: return "round-robin";
    case Algorithm::LeastConnections: return "least-connections";
    case Algorithm::LeastLoad: return "least-load";
    case Algorithm::SourceHash: return "source-hash";
  }
  return "?";
}

std::string render(const Tables& tables) {
  std::string out;
  for (const auto& [key, row] : tables.frontends) out += text(key, row) + "\n";
  for (const auto& [id, port] : tables.ports) out += text(id, port) + "\n";
  for (const auto& [ip, service] : tables.addresses) out += fmt::format("address {} {}\n", ip, service);
  for (const auto& [cidr, present] : tables.ranges) out += fmt::format("range {}\n", cidr);
  for (const auto& [ip, row] : tables.node_addresses)
    out += fmt::format("node-address {}{}\n", ip, row.node_ports ? " node-ports" : "");
  for (const auto& [port, row] : tables.health_checks)
    out += fmt::format("health-check {} {} endpoints {}\n", port, row.service, row.local_endpoints);
  for (const auto& [key, probe] : tables.probes) out += text(key, probe) + "\n";
  for (const auto& [cookie, client] : tables.clients) out += text(cookie, client) + "\n";
  for (const auto& [object, reason] : tables.refused) out += fmt::format("refused {}: {}\n", object, reason);
  return out;
}

}  // namespace causeway::service
