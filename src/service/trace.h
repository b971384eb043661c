// What becomes of a packet that somebody sends: the rows that decide it, in words. Reads the very tables that the
// kernel was given. Pure.
#pragma once

#include "service/desired.h"

namespace causeway::service {

struct Asked {
  Ip from;
  bool inside = false;  // of this node, or of a Pod here
  Endpoint to;
  Protocol protocol = Protocol::Tcp;
};

struct Traced {
  std::string text;            // lines
  std::optional<PortId> port;  // whose rows decided
};
Traced trace(const Asked& asked, const Desired& desired);

// All rows of one Service, its refusal among them.
Tables rows_of(const cluster::ServiceKey& service, const Desired& desired);

}  // namespace causeway::service
