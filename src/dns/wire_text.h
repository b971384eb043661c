// A DNS message as text, one line for each thing: for people, logs and tests.
#pragma once

#include "dns/wire.h"

namespace causeway::dns {

// "NOERROR qr aa rd\n? web.default. A\nweb.default. 5 A 10.96.0.1\nauthority: …\nadditional: OPT 1232\n".
// What is malformed ends with the line "malformed".
std::string to_text(std::span<const uint8_t> message);

}  // namespace causeway::dns
