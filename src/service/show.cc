#include "service/show.h"

#include "service/compile_endpoints.h"

namespace causeway::service {

namespace {

Result<cluster::ServiceKey> parse_key(std::string_view name) {
  const auto slash = name.find('/');
  const cluster::ServiceKey key{slash == name.npos ? "default" : name.substr(0, slash),
                                slash == name.npos ? name : name.substr(slash + 1)};
  if (key.ns.empty() || key.name.empty() || key.name.view().find('/') != std::string_view::npos)
    return fail(Errc::Invalid, "\"{}\" is no Service: write [NAMESPACE/]NAME", name);
  return key;
}

std::string left_out_lines(const cluster::Service& service, const cluster::Model& model) {
  std::string out;
  for (const Ip& ip : service.cluster_ips)
    for (const auto& port : service.ports)
      for (const LeftOut& one : left_out(service, port, ip.family(), model))
        out +=
            fmt::format("  {}/{}{}{}: {}\n", one.at, port.protocol, one.node.empty() ? "" : " on ", one.node, one.why);
  return out.empty() ? "" : "endpoints without new flows:\n" + out;
}

}  // namespace

Tables rows_of(const cluster::ServiceKey& service, const Desired& desired) {
  Tables out;
  const Key owner(service);
  const auto take = [&](const auto& rows, auto& into) {
    for (const auto& [key, row] : rows.rows())
      if (row.owner() == owner) into.emplace(key, row.value);
  };
  take(desired.frontends, out.frontends);
  take(desired.ports, out.ports);
  take(desired.addresses, out.addresses);
  take(desired.health_checks, out.health_checks);
  take(desired.probes, out.probes);
  take(desired.refused, out.refused);
  return out;
}

Result<Shown> show(std::string_view name, const Desired& desired, const cluster::Model& model) {
  const auto key = TRY(parse_key(name));
  if (!desired.complete())
    return fail(Errc::Unavailable,
                "the agent waits for the API server's Services, EndpointSlices and Nodes: "
                "its /readyz says for which");
  const cluster::Service* service = model.service(key);
  if (!service)
    return fail(
        Errc::NotFound,
        "no Service {} is known on node {}: `kubectl get service -n {} {} --show-labels` shows whether it exists; "
        "labels service.kubernetes.io/service-proxy-name and headless leave it to others",
        key, model.facts().name, key.ns, key.name);
  if (service->type == cluster::ServiceType::ExternalName)
    return Shown{key, fmt::format("Service {} is of type ExternalName: a name for DNS, no packet is balanced\n", key),
                 false};
  if (service->cluster_ips.empty())
    return Shown{
        key, fmt::format("Service {} is headless (clusterIP None): DNS names its Pods, no packet is balanced\n", key),
        false};
  return Shown{key, render(rows_of(key, desired)) + left_out_lines(*service, model), true};
}

}  // namespace causeway::service
