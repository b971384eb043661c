#include "pod/foreign.h"

#include "pod/tuning/apply.h"

namespace causeway::pod {

using netlink::Rtnetlink;

Result<ForeignLink> find_foreign_link(Doors& doors, Rtnetlink& node, int netns, const std::string& ifname) {
  const auto inside = TRY(netns::call_in(netns, [&]() -> Result<netlink::Link> {
    auto net = TRY(doors.pod());
    return net->link(ifname);
  }));
  ForeignLink out{.pod = inside.index, .mac = inside.mac, .mtu = inside.mtu};
  if (inside.kind != "veth" || inside.peer == IfIndex{}) return out;
  // Both ends name the other by its index; which namespace the other is in, only this one of the node can be asked for.
  for (const auto& link : TRY(node.links()))
    if (link.index == inside.peer && link.kind == "veth" && link.peer == inside.index) {
      out.host = link.index;
      out.host_name = link.name;
    }
  return out;
}

Status tune_foreign_link(Doors& doors, Rtnetlink& node, int netns, const Record& record) {
  const auto link = TRY(find_foreign_link(doors, node, netns, record.key.ifname));
  const auto& [ingress, egress] = record.tuning.bandwidth;
  if (ingress && link.host == IfIndex{})
    return fail(Errc::Unsupported,
                "interface {} has no end on the node, so what comes in cannot be limited: leave ingressRate out",
                record.key.ifname);
  if (ingress) TRY(apply_shaping(node, link.host, ingress, link.mtu), "limit what comes in");
  return netns::call_in(netns, [&]() -> Status {
    if (egress) {
      auto net = TRY(doors.pod());
      TRY(apply_shaping(*net, link.pod, egress, link.mtu), "limit what goes out");
    }
    return apply_sysctls(record.tuning, record.key.ifname);
  });
}

Status untune_foreign_link(Doors& doors, Rtnetlink& node, int netns, const Record& record) {
  const auto link = find_foreign_link(doors, node, netns, record.key.ifname);
  if (!link) return link.error().code() == Errc::NotFound ? ok() : Status(fail(Error(link.error())));
  if (record.tuning.bandwidth.ingress && link->host != IfIndex{}) TRY(remove_shaping(node, link->host));
  if (!record.tuning.bandwidth.egress) return ok();
  return netns::call_in(netns, [&]() -> Status {
    auto net = TRY(doors.pod());
    return remove_shaping(*net, link->pod);
  });
}

}  // namespace causeway::pod
