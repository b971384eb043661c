#include "apps/service_pages.h"

#include <algorithm>

#include "service/show.h"
#include "service/trace.h"

namespace causeway::apps {

namespace {

using service::Desired;

// What the kernel holds, now: nothing to say while it is as compiled.
std::string kernel_says(service::Applier& applier, std::string_view about) {
  auto lines = applier.differences();
  if (!lines) return fmt::format("kernel: {}\n", lines.error().message());
  std::string out;
  size_t count = 0;
  for (const std::string& line : *lines)
    if (about.empty() || line.find(about) != line.npos) out += "  " + line + "\n", ++count;
  if (count == 0) return "kernel: holds just this\n";
  return fmt::format("kernel: {} rows differ\n{}", count, out);
}

// Which of its addresses this node's own DNS answers.
std::string dns_lines(const ClusterDns* dns, const std::function<bool(const Ip&)>& about) {
  std::string out;
  if (!dns) return out;
  for (const Ip& ip : dns->here())
    if (about(ip)) out += fmt::format("{}:53: answered by `causeway dns` of this node, before Services\n", ip);
  return out;
}

std::string list_page(service::Applier& applier, const ClusterDns* dns) {
  const Desired& desired = applier.desired();
  std::string out;
  if (!desired.complete()) out += "waiting for the API server's Services, EndpointSlices and Nodes\n";
  for (const auto& [key, row] : desired.frontends.rows()) {
    const auto* port = desired.ports.find(row.value.port);
    const auto in = [&](service::Pool pool) {
      return port ? std::ranges::count_if(port->value.backends,
                                          [&](const auto& backend) {
                                            return pool == service::Pool::Cluster ? backend.cluster_pool
                                                                                  : backend.local_pool;
                                          })
                  : 0;
    };
    const auto side = [&](const service::Side& side) {
      return side.verdict == service::Verdict::Balance ? std::to_string(in(side.pool))
                                                       : std::string(to_string(side.verdict));
    };
    out += fmt::format("{:<40} {:<12} {:<32} inside {:<7} outside {}\n", row.value.port, row.value.kind, key,
                       side(row.value.inside), side(row.value.outside));
  }
  for (const auto& [object, row] : desired.refused.rows()) out += fmt::format("refused {}: {}\n", object, row.value);
  return out + dns_lines(dns, [](const Ip&) { return true; }) + kernel_says(applier, "");
}

Result<std::string> show_page(service::Applier& applier, const cluster::Model& model, const ClusterDns* dns,
                              std::string_view name) {
  const service::Shown shown = TRY(service::show(name, applier.desired(), model));
  const auto its = [&](const Ip& ip) {
    const auto* row = applier.desired().addresses.find(ip);
    return row && row->value == shown.key;
  };
  return shown.served ? shown.text + dns_lines(dns, its) + kernel_says(applier, to_string(shown.key)) : shown.text;
}

Result<std::string> trace_page(service::Applier& applier, const cluster::Model& model, bool bpf, const ClusterDns* dns,
                               const observe::Endpoint::Query& query) {
  const auto asked = TRY(service::parse_asked(query("from"), query("to"), query("protocol"), model, applier.desired()));
  service::Traced traced = service::trace(asked, applier.desired(), model, bpf);
  if (dns && asked.sender != service::Sender::Elsewhere && asked.protocol != cluster::Protocol::Sctp)
    traced.text = dns->trace(asked.to.ip, asked.to.port) + traced.text;
  if (!traced.port) return traced.text;
  return traced.text + kernel_says(applier, fmt::format("{}/{}", traced.port->ns, traced.port->name));
}

}  // namespace

void describe_services(observe::Endpoint& endpoint, service::Applier& applier, const cluster::Model& model,
                       fabric::Plane plane, const ClusterDns* dns) {
  using Query = observe::Endpoint::Query;
  endpoint.add_page("/services", [&applier, dns] { return list_page(applier, dns); });
  endpoint.add_page("/services/tables", [&applier] { return render(applier.tables()); });
  endpoint.add_page("/services/show", [&applier, &model, dns](const Query& query) {
    return show_page(applier, model, dns, query("service"));
  });
  const bool bpf = plane == fabric::Plane::Bpf;
  endpoint.add_page("/services/trace", [&applier, &model, bpf, dns](const Query& query) {
    return trace_page(applier, model, bpf, dns, query);
  });
}

}  // namespace causeway::apps
