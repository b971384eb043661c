// Sysctls of a Pod: which may be set, and how they are named. Pure; apply.h writes them.
#pragma once

#include <string>

#include "base/result.h"

namespace causeway::pod {

// "net.ipv4.conf.eth0.rp_filter", "net/ipv4/conf/eth0/rp_filter" and "net.ipv4.conf.eth0/1.rp_filter" (an interface
// eth0.1) -> the path below /proc/sys/net: "ipv4/conf/eth0/rp_filter". "IFNAME" as an interface is that of the
// attachment (the CNI project's plugin tuning). Refuses what is not below net., and all that is no plain path.
Result<std::string> sysctl_path(std::string_view name, std::string_view ifname);
// Name and value: the value must fit a line. What the kernel thinks of it shows when it is written.
Status check_sysctl(std::string_view name, std::string_view value, std::string_view ifname);

}  // namespace causeway::pod
