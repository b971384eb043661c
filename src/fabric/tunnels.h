// The node's VXLAN devices: one for each outer family, found by their names.
#pragma once

#include <functional>
#include <map>

#include "fabric/tables.h"
#include "kernel/netlink/rtnetlink.h"

namespace causeway::fabric {

// Writes a sysctl of the node's namespace (netns::write_sysctl); a test's remembers it.
using WriteSysctl = std::function<Status(const std::string& name, std::string_view value)>;

// Whether this kernel has VXLAN devices: makes one and removes it. Unsupported says what to do.
Status probe_vxlan(netlink::Rtnetlink& net);

class Tunnels {
 public:
  Tunnels(netlink::Rtnetlink& net, WriteSysctl sysctl) : net_(net), sysctl_(std::move(sysctl)) {}

  // What is there, by outer family. A device that is down or no VXLAN equals no row.
  Result<std::map<Family, TunnelRow>> observe();
  // Of the last observe() and put(); 0: no such device.
  IfIndex index(Family outer) const;
  std::optional<Family> outer_of(IfIndex link) const;

  // Makes the device, or changes it; one that is another VXLAN (number, port, source) is made anew, and everything
  // that hung on it is gone.
  Status put(Family outer, const TunnelRow& row);
  Status remove(Family outer);

 private:
  Status set_sysctls(const std::string& device);

  netlink::Rtnetlink& net_;
  WriteSysctl sysctl_;
  std::map<Family, IfIndex> index_;
};

}  // namespace causeway::fabric
