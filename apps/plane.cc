#include "apps/plane.h"

namespace causeway::apps {

std::vector<Ip> dns_addresses(const AgentOptions& options) {
  if (options.cluster_dns.empty()) return {};
  return dns::cluster_dns_addresses(options.cluster_dns).value_or(std::vector<Ip>());
}

cluster::FixedRanges fixed_ranges(const AgentOptions& options) {
  return {.services = options.service.service_cidrs, .api_servers = options.api_servers};
}

fabric::Options fabric_options(const AgentOptions& options) {
  return {.mode = options.fabric,
          .plane = options.plane,
          .cluster_cidrs = options.cluster_cidrs,
          .non_masquerade_cidrs = options.non_masquerade_cidrs,
          .vni = options.vni,
          .vxlan_port = options.vxlan_port,
          .masquerade = options.masquerade,
          .fixed = fixed_ranges(options)};
}

service::Options service_options(const AgentOptions& options) {
  service::Options out = options.service;
  out.node_port_first = options.node_ports.first;
  out.node_port_last = options.node_ports.last;
  const bool bpf = options.plane == fabric::Plane::Bpf;
  out.host_ports = bpf;
  out.balancing = bpf;
  out.schedulers = !bpf && options.proxy_mode == "ipvs";
  for (const Ip& ip : options.cluster_dns) out.own_first.push_back({ip, dns::kDnsPort});
  for (const Ip& ip : options.cluster_dns)
    if (ip.is_v4()) out.aliases.push_back({dns::link_local_address(), ip, dns::kDnsPort});
  return out;
}

Result<std::unique_ptr<NodePlane>> open_plane(PlaneSetup setup) {
  setup.change = TRY(settle_plane(setup.options, setup.net));
  switch (setup.options.plane) {
    case fabric::Plane::Bpf: return open_bpf_plane(setup);
    case fabric::Plane::Netfilter: return open_netfilter_plane(setup);
  }
  return fail(Errc::Internal, "no plane");
}

}  // namespace causeway::apps
