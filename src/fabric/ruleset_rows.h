// What rows are as elements of the section's sets.
#pragma once

#include "fabric/tables.h"
#include "kernel/nftables/table.h"

namespace causeway::fabric {

// Sets are of one family each: "fabric-peers4".
std::string set_name(std::string_view what, Family family);

nftables::Elements::value_type element_of(const Ip& ip);                     // a peer
nftables::Elements::value_type element_of(const Cidr& prefix);               // a range
nftables::Elements::value_type element_of(const Ip& ip, const PodRow& row);  // a Pod's source, with its name

}  // namespace causeway::fabric
