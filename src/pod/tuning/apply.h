// Tuning in the kernel: written on ADD, compared on CHECK.
#pragma once

#include "kernel/netlink/rtnetlink.h"
#include "pod/tuning/tuning.h"

namespace causeway::pod {

// What shapes the packets that leave by `link`: those to the Pod at the node's end of its link, those from the Pod at
// its own interface. Appended to messages that are sent anyway; nothing without a limit.
void add_shaping(std::vector<netlink::Change>& changes, IfIndex link, const std::optional<Limit>& limit, uint32_t mtu);
// The same for a link that another plugin made, and its undoing: a link without a filter of this kind is left as it is.
Status apply_shaping(netlink::Rtnetlink& door, IfIndex link, const std::optional<Limit>& limit, uint32_t mtu);
Status remove_shaping(netlink::Rtnetlink& door, IfIndex link);

// Inside the Pod's namespace: on a thread that entered it. Denied: the kernel keeps this one for the whole machine, not
// for each network namespace.
Status apply_sysctls(const Tuning& tuning, std::string_view ifname);

// Whether the kernel has it all, else the first difference. `host` and `pod` see the two ends by their doors; the
// sysctls are read where the calling thread is.
Status check_shaping(netlink::Rtnetlink& door, IfIndex link, const std::optional<Limit>& wanted, uint32_t mtu,
                     std::string_view which);
Status check_sysctls(const Tuning& tuning, std::string_view ifname);

}  // namespace causeway::pod
