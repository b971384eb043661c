#include "fabric/sysctls.h"

#include <cstdio>

#include "kernel/netns/netns.h"

namespace causeway::fabric {

namespace {

// Strict reverse path filtering drops what comes back another way than the main table says (several uplinks). Loose is
// as strict as a node with Pods can be; what is off stays off. The kernel takes the larger of `all` and the device's.
Status loosen_rp_filter(const std::string& device) {
  const std::string name = "ipv4/conf/" + device + "/rp_filter";
  if (TRY(netns::read_sysctl(name)) != "1") return ok();
  return netns::write_sysctl(name, "2");
}

}  // namespace

Families families_of(const std::vector<Cidr>& cidrs) {
  Families families;
  for (const Cidr& cidr : cidrs) (cidr.family() == Family::V4 ? families.v4 : families.v6) = true;
  return families;
}

Status set_sysctls(const std::string& uplink, Families pods) {
  if (pods.v4) {
    TRY(netns::write_sysctl("ipv4/ip_forward", "1"));
    TRY(loosen_rp_filter("all"));
    TRY(loosen_rp_filter(uplink));
  }
  if (pods.v6) {
    if (TRY(netns::read_sysctl("ipv6/conf/" + uplink + "/disable_ipv6"), "IPv6 Pods need IPv6 on {}", uplink) != "0")
      return fail(Errc::Unsupported, "IPv6 Pods need IPv6 on {}: set net.ipv6.conf.{}.disable_ipv6=0", uplink, uplink);
    // A router ignores router advertisements unless told to take them (accept_ra 2): a node whose own default route
    // comes from one must not lose it.
    const std::string accept_ra = "ipv6/conf/" + uplink + "/accept_ra";
    if (TRY(netns::read_sysctl(accept_ra)) == "1") TRY(netns::write_sysctl(accept_ra, "2"));
    TRY(netns::write_sysctl("ipv6/conf/all/forwarding", "1"));
  }
  return ok();
}

Result<PortRange> ephemeral_ports() {
  const std::string text = TRY(netns::read_sysctl("ipv4/ip_local_port_range"));
  unsigned first = 0, last = 0;
  if (std::sscanf(text.c_str(), "%u %u", &first, &last) != 2 || first > last || last > UINT16_MAX)
    return fail(Errc::Invalid, "net.ipv4.ip_local_port_range is \"{}\"", text);
  return PortRange{static_cast<uint16_t>(first), static_cast<uint16_t>(last)};
}

}  // namespace causeway::fabric
