#include "fabric/tunnels.h"

#include <algorithm>

namespace causeway::fabric {

namespace {

netlink::Vxlan vxlan_of(const TunnelRow& row) { return {.vni = row.vni, .port = row.port, .local = row.source}; }

}  // namespace

Status probe_vxlan(netlink::Rtnetlink& net) {
  const std::string name = "causeway.probe";
  TRY(net.apply_one(netlink::DeleteLink{name}));  // of an agent that was killed here
  auto made = net.apply_one(
      netlink::CreateVxlan{.name = name, .vxlan = {.vni = 0xffffff, .port = 1, .local = Ip::v4(0x7f000001)}});
  if (!made && made.error().code() == Errc::Unsupported)
    return fail(Errc::Unsupported,
                "this kernel has no vxlan devices (CONFIG_VXLAN): load the module vxlan, or use --fabric host-gw, or "
                "--plane bpf");
  TRY(std::move(made), "see whether the kernel has vxlan devices");
  return net.apply_one(netlink::DeleteLink{name});
}

Result<std::map<Family, TunnelRow>> Tunnels::observe() {
  std::map<Family, TunnelRow> rows;
  index_.clear();
  for (Family outer : {Family::V4, Family::V6}) {
    auto link = net_.link(tunnel_device(outer));
    if (!link && link.error().code() == Errc::NotFound) continue;
    const netlink::Link& found = TRY(link);
    TunnelRow& row = rows[outer];
    index_[outer] = found.index;
    if (!found.vxlan || !found.up || found.vxlan->learning) continue;
    row = {.source = found.vxlan->local,
           .mac = found.mac,
           .mtu = found.mtu,
           .port = found.vxlan->port,
           .vni = found.vxlan->vni};
  }
  if (rows.empty()) return rows;
  for (const netlink::Address& address : TRY(net_.addresses()))
    if (auto outer = outer_of(address.link); outer && !address.ip.is_link_local())
      rows[*outer].addresses.push_back(address.ip);
  for (auto& [outer, row] : rows) std::ranges::sort(row.addresses);
  return rows;
}

IfIndex Tunnels::index(Family outer) const {
  auto found = index_.find(outer);
  return found == index_.end() ? IfIndex{} : found->second;
}

std::optional<Family> Tunnels::outer_of(IfIndex link) const {
  for (const auto& [outer, index] : index_)
    if (index == link) return outer;
  return std::nullopt;
}

Status Tunnels::put(Family outer, const TunnelRow& row) {
  const std::string device = tunnel_device(outer);
  auto there = net_.link(device);
  if (there && there->vxlan != std::optional(vxlan_of(row))) {
    TRY(net_.apply_one(netlink::DeleteLink{device}));
    there = fail(Errc::NotFound, "deleted");
  }
  if (!there) {
    TRY(net_.apply_one(netlink::CreateVxlan{.name = device, .vxlan = vxlan_of(row), .mac = row.mac, .mtu = row.mtu}));
  }
  const IfIndex index = TRY(net_.link(device)).index;
  index_[outer] = index;
  TRY(set_sysctls(device));
  // No link-local address of its own: nothing there is discovered.
  TRY(net_.apply_one(netlink::SetLink{.link = index, .mtu = row.mtu, .mac = row.mac, .ipv6_autoconf = false}));
  TRY(net_.apply_one(netlink::SetLink{.link = index, .up = true}));
  std::vector<netlink::Change> changes;
  for (const netlink::Address& address : TRY(net_.addresses()))
    if (address.link == index && !address.ip.is_link_local() &&
        std::ranges::find(row.addresses, address.ip) == row.addresses.end())
      changes.push_back(netlink::DeleteAddress{address});
  for (const Ip& ip : row.addresses)
    changes.push_back(netlink::PutAddress{{.link = index, .ip = ip, .prefix = ip.bits()}});
  return net_.apply_all(changes);
}

Status Tunnels::remove(Family outer) {
  index_.erase(outer);
  return net_.apply_one(netlink::DeleteLink{tunnel_device(outer)});
}

// What comes out of the tunnel may have a source that the main table leads elsewhere: another node's own address. The
// kernel takes the larger of this and `all`, which is loose at most (set_sysctls of the uplink).
Status Tunnels::set_sysctls(const std::string& device) {
  TRY(sysctl_("ipv4/conf/" + device + "/rp_filter", "0"));
  TRY(sysctl_("ipv4/conf/" + device + "/forwarding", "1"));
  for (const auto& [name, value] : {std::pair{"disable_ipv6", "0"}, {"accept_ra", "0"}, {"forwarding", "1"}}) {
    auto written = sysctl_("ipv6/conf/" + device + "/" + name, value);
    if (!written && written.error().code() != Errc::NotFound) return written;  // a kernel without IPv6 has none
  }
  return ok();
}

}  // namespace causeway::fabric
