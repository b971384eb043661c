// kube-proxy's metrics by their names of 1.36 (pkg/proxy/metrics), those that mean something here. Both families are
// applied as one, so what is counted by application is the same for both.
#include <cmath>

#include "service/proxy/state.h"

namespace causeway::service::proxy {

namespace {

using Labels = std::map<std::string, std::string>;

double seconds_of(WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }
Labels label_of(Family family) { return {{"ip_family", std::string(name_of(family))}}; }

template <class Value>
Metric by_family(const std::set<Family>& families, std::string name, std::string help, MetricKind kind, Value value) {
  Metric out{std::move(name), std::move(help), kind, {}};
  for (Family family : families) out.samples.push_back({label_of(family), value});
  return out;
}

Metric histogram_of(const std::set<Family>& families, std::string name, std::string help, const Histogram& histogram) {
  Metric out{std::move(name), std::move(help), MetricKind::Histogram, {}};
  auto now = std::make_shared<const Histogram>(histogram);
  for (Family family : families) out.samples.push_back({.labels = label_of(family), .histogram = now});
  return out;
}

Metric one(std::string name, std::string help, MetricKind kind, uint64_t value) {
  return {std::move(name), std::move(help), kind, {{{}, static_cast<double>(value)}}};
}

Metric by_code(std::string name, std::string help, const std::map<int, uint64_t>& counts) {
  Metric out{std::move(name), std::move(help), MetricKind::Counter, {}};
  for (const auto& [code, count] : counts)
    out.samples.push_back({{{"code", std::to_string(code)}}, static_cast<double>(count)});
  return out;
}

// A Service's port that only endpoints of this node may answer, and there is none.
Metric no_local_endpoints(const std::set<Family>& families, const Desired& desired) {
  std::map<std::pair<bool, Family>, std::set<PortId>> without;  // external?
  for (const auto& [key, row] : desired.frontends.rows()) {
    const Frontend& frontend = row.value;
    if (frontend.kind == Kind::HostPort) continue;
    const bool external = frontend.kind != Kind::ClusterIp;
    if ((external ? frontend.outside : frontend.inside).verdict == Verdict::Drop)
      without[{external, frontend.port.family}].insert(frontend.port);
  }
  Metric out{"kubeproxy_sync_proxy_rules_no_local_endpoints_total",
             "Number of services with a Local traffic policy and no endpoints",
             MetricKind::Gauge,
             {}};
  for (Family family : families)
    for (bool external : {false, true}) {
      Labels labels = label_of(family);
      labels["traffic_policy"] = external ? "external" : "internal";
      out.samples.push_back({std::move(labels), static_cast<double>(without[{external, family}].size())});
    }
  return out;
}

// The mode's own name for a synchronisation that failed; "": it has none.
std::string failures_name(Mode mode) {
  switch (mode) {
    case Mode::Nftables: return "kubeproxy_sync_proxy_rules_nftables_sync_failures_total";
    case Mode::Iptables:
    case Mode::Ipvs: return "kubeproxy_sync_proxy_rules_iptables_restore_failures_total";
    case Mode::Bpf: return "";
  }
  return "";
}

}  // namespace

std::vector<double> sync_bounds() {
  std::vector<double> out;
  for (int i = 0; i < 15; ++i) out.push_back(std::ldexp(0.001, i));
  return out;
}

std::vector<double> programming_bounds() {
  std::vector<double> out{0.25, 0.5};
  for (int second = 1; second < 60; ++second) out.push_back(second);
  for (int second = 60; second < 120; second += 5) out.push_back(second);
  for (int second = 120; second <= 300; second += 30) out.push_back(second);
  return out;
}

std::vector<Metric> State::metrics(const Desired& desired) const {
  std::vector<Metric> out{
      histogram_of(families_, "kubeproxy_sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds",
                   took_),
      histogram_of(families_, "kubeproxy_sync_full_proxy_rules_duration_seconds",
                   "SyncProxyRules latency in seconds for full resyncs", took_whole_),
      histogram_of(families_, "kubeproxy_sync_partial_proxy_rules_duration_seconds",
                   "SyncProxyRules latency in seconds for partial resyncs", took_part_),
      one("kubeproxy_sync_proxy_rules_endpoint_changes_pending", "Pending proxy rules Endpoint changes",
          MetricKind::Gauge, waiting_.change.endpoints + applying_.change.endpoints),
      one("kubeproxy_sync_proxy_rules_endpoint_changes_total", "Cumulative proxy rules Endpoint changes",
          MetricKind::Counter, endpoints_),
      one("kubeproxy_sync_proxy_rules_service_changes_pending", "Pending proxy rules Service changes",
          MetricKind::Gauge, waiting_.change.services + applying_.change.services),
      one("kubeproxy_sync_proxy_rules_service_changes_total", "Cumulative proxy rules Service changes",
          MetricKind::Counter, services_),
      by_code("kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status", healthz_),
      by_code("kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", livez_),
      no_local_endpoints(families_, desired),
  };
  if (updated_)
    out.push_back(by_family(families_, "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                            "The last time proxy rules were successfully synced", MetricKind::Gauge,
                            seconds_of(*updated_)));
  if (last_queued_)
    out.push_back(by_family(families_, "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
                            "The last time a sync of proxy rules was queued", MetricKind::Gauge,
                            seconds_of(*last_queued_)));
  if (std::string name = failures_name(mode_); !name.empty())
    out.push_back(by_family(families_, std::move(name), "Cumulative failures of applying Services to the kernel",
                            MetricKind::Counter, static_cast<double>(failures_)));
  Metric programming{"kubeproxy_network_programming_duration_seconds",
                     "In Cluster Network Programming Latency in seconds",
                     MetricKind::Histogram,
                     {}};
  for (const auto& [family, histogram] : programming_)
    programming.samples.push_back(
        {.labels = label_of(family), .histogram = std::make_shared<const Histogram>(histogram)});
  out.push_back(std::move(programming));
  return out;
}

}  // namespace causeway::service::proxy
