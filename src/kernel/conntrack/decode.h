// Messages of ctnetlink to flows, whatever the bytes. Pure.
#pragma once

#include <linux/netlink.h>

#include <optional>

#include "kernel/conntrack/conntrack.h"

namespace causeway::conntrack {

// Empty: another message, or a connection without ports.
std::optional<Flow> decode_flow(const nlmsghdr* message);

}  // namespace causeway::conntrack
