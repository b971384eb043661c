// Changes to the bytes of IPVS messages. Pure.
#pragma once

#include "kernel/ipvs/ipvs.h"

namespace causeway::ipvs {

// One message with an acknowledgement. Invalid: a scheduler's name that is empty or too long, endpoints of another
// family. `family`: the number that generic netlink gave to IPVS.
Result<std::string> encode(const Change& change, uint16_t family, uint32_t sequence);

std::string encode_family_query(uint32_t sequence);
std::string encode_services_dump(uint16_t family, uint32_t sequence);
std::string encode_destinations_dump(uint16_t family, uint32_t sequence, const ServiceKey& key);

}  // namespace causeway::ipvs
