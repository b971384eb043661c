// Messages of IPVS to values, whatever the bytes. Pure.
#pragma once

#include <linux/netlink.h>

#include <optional>

#include "kernel/ipvs/ipvs.h"

namespace causeway::ipvs {

// The number of a generic netlink family, out of the answer to encode_family_query().
std::optional<uint16_t> decode_family(const nlmsghdr* message);
// Empty: another message, a service of a packet mark, or one of a family that is none.
std::optional<std::pair<ServiceKey, Service>> decode_service(const nlmsghdr* message);
// Of a dump for a service of `family`. Empty: another message, or a destination of another family.
std::optional<std::pair<Endpoint, Destination>> decode_destination(const nlmsghdr* message, Family family);

}  // namespace causeway::ipvs
