#include "datapath/features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace causeway::datapath {

std::string_view to_string(Attach attach) {
  switch (attach) {
    case Attach::Auto: return "auto";
    case Attach::Tcx: return "tcx";
    case Attach::Clsact: return "clsact";
  }
  return "?";
}

Result<Attach> parse_attach(std::string_view text) {
  for (auto attach : {Attach::Auto, Attach::Tcx, Attach::Clsact})
    if (text == to_string(attach)) return attach;
  return fail(Errc::Invalid, "attach \"{}\": must be auto, tcx or clsact", text);
}

std::string to_string(const Features& features) {
  std::string ports;
  for (const auto& range : features.nat_ports)
    ports += fmt::format("{}{}-{}", ports.empty() ? "" : ",", range.first, range.last);
  return fmt::format(
      "attach={} ipv4={} ipv6={} overlay={} vxlan_port={} vni={} masquerade={} nat_ports={} track_node_flows={} "
      "services={} policy={} socket_hooks={} dns={}",
      to_string(features.attach), features.ipv4, features.ipv6, features.overlay, features.vxlan_port, features.vni,
      features.masquerade, ports, features.track_node_flows, features.services, features.policy, features.socket_hooks,
      fmt::join(features.dns, ","));
}

namespace {

constexpr uint16_t kFirstPort = 1024;
constexpr uint32_t kEnough = 16384;

// `range` without what `hole` covers.
void cut(std::vector<PortRange>& ranges, PortRange hole) {
  std::vector<PortRange> left;
  for (const auto& range : ranges) {
    if (hole.last < range.first || hole.first > range.last) {
      left.push_back(range);
      continue;
    }
    if (hole.first > range.first) left.push_back({range.first, static_cast<uint16_t>(hole.first - 1)});
    if (hole.last < range.last) left.push_back({static_cast<uint16_t>(hole.last + 1), range.last});
  }
  ranges = std::move(left);
}

}  // namespace

NatPorts nat_ports(PortRange ephemeral, PortRange node_ports) {
  std::vector<PortRange> ranges = {{kFirstPort, 65535}};
  cut(ranges, ephemeral);
  cut(ranges, node_ports);
  uint32_t count = 0;
  for (const auto& range : ranges) count += range.last - range.first + 1u;
  if (count >= kEnough) return {.ranges = std::move(ranges), .track_node_flows = false};
  return {.ranges = {{kFirstPort, 65535}}, .track_node_flows = true};
}

}  // namespace causeway::datapath
