#include "apps/service_pages.h"

#include <algorithm>
#include <charconv>

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

std::string list_page(service::Applier& applier) {
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
  return out + kernel_says(applier, "");
}

std::string show_page(service::Applier& applier, std::string_view name) {
  const auto slash = name.find('/');
  const cluster::ServiceKey key{slash == name.npos ? "default" : name.substr(0, slash),
                                slash == name.npos ? name : name.substr(slash + 1)};
  const service::Tables rows = service::rows_of(key, applier.desired());
  if (rows == service::Tables{}) return fmt::format("Service {} has no rows on this node\n", key);
  return render(rows) + kernel_says(applier, to_string(key));
}

struct Source {
  Ip ip;
  bool inside = false;
};

// An address, a Pod of this node, or "node".
Result<Source> source_of(std::string_view text, Family family, const service::Applier& applier,
                         const cluster::Model& model) {
  if (text == "node" || text.empty())
    return Source{family == Family::V4 ? Ip::v4(0x7f000001) : cluster::any_address(family).plus(1), true};
  for (const auto& [key, attachment] : model.attachments())
    if (to_string(attachment.pod) == text)
      for (const Ip& ip : attachment.addresses)
        if (ip.family() == family) return Source{ip, true};
  const Ip ip = TRY(Ip::parse(text), "\"{}\" is no address, no Pod of this node, and not \"node\"", text);
  return Source{ip, !model.attachments_at(ip).empty() || applier.desired().node_addresses.find(ip) != nullptr};
}

Result<service::Asked> parse_asked(const observe::Endpoint::Query& query, const service::Applier& applier,
                                   const cluster::Model& model) {
  service::Asked asked;
  const std::string to(query("to")), protocol(query("protocol"));
  const auto colon = to.rfind(':');
  if (colon == std::string::npos) return fail(Errc::Invalid, "\"{}\" has no port", to);
  std::string address = to.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  asked.to.ip = TRY(Ip::parse(address));
  const auto [end, error] = std::from_chars(to.data() + colon + 1, to.data() + to.size(), asked.to.port);
  if (error != std::errc() || end != to.data() + to.size()) return fail(Errc::Invalid, "\"{}\" has no port", to);
  if (protocol == "udp")
    asked.protocol = service::Protocol::Udp;
  else if (protocol == "sctp")
    asked.protocol = service::Protocol::Sctp;
  else if (protocol != "tcp" && !protocol.empty())
    return fail(Errc::Invalid, "protocol \"{}\" is not one of tcp, udp, sctp", protocol);
  const Source source = TRY(source_of(query("from"), asked.to.ip.family(), applier, model));
  asked.from = source.ip;
  asked.inside = source.inside;
  return asked;
}

std::string trace_page(service::Applier& applier, const cluster::Model& model, const observe::Endpoint::Query& query) {
  const auto asked = parse_asked(query, applier, model);
  if (!asked) return asked.error().message() + "\n";
  const service::Traced traced = trace(*asked, applier.desired());
  if (!traced.port) return traced.text;
  return traced.text + kernel_says(applier, fmt::format("{}/{}", traced.port->ns, traced.port->name));
}

}  // namespace

void describe_services(observe::Endpoint& endpoint, service::Applier& applier, const cluster::Model& model) {
  using Query = observe::Endpoint::Query;
  endpoint.add_page("/services", [&applier] { return list_page(applier); });
  endpoint.add_page("/services/tables", [&applier] { return render(applier.tables()); });
  endpoint.add_page("/services/show", [&applier](const Query& query) { return show_page(applier, query("service")); });
  endpoint.add_page("/services/trace",
                    [&applier, &model](const Query& query) { return trace_page(applier, model, query); });
}

}  // namespace causeway::apps
