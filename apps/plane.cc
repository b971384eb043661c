#include "apps/plane.h"

#include "apps/plane_change.h"

namespace causeway::apps {

fabric::Options fabric_options(const AgentOptions& options) {
  return {.mode = options.fabric,
          .plane = options.plane,
          .cluster_cidrs = options.cluster_cidrs,
          .non_masquerade_cidrs = options.non_masquerade_cidrs,
          .vni = options.vni,
          .vxlan_port = options.vxlan_port,
          .masquerade = options.masquerade};
}

Result<std::unique_ptr<NodePlane>> open_plane(const PlaneSetup& setup) {
  TRY(settle_plane(setup));
  switch (setup.options.plane) {
    case fabric::Plane::Bpf: return open_bpf_plane(setup);
    case fabric::Plane::Netfilter: return open_netfilter_plane(setup);
  }
  return fail(Errc::Internal, "no plane");
}

}  // namespace causeway::apps
