// What becomes of a packet that somebody sends: the rows that decide it, in words. Reads the very tables that the
// kernel was given, and knows what a plane sees of a packet and what passes it by. Pure.
#pragma once

#include "service/asked.h"

namespace causeway::service {

struct Traced {
  std::string text;            // lines
  std::optional<PortId> port;  // whose rows decided
};
// `bpf`: the plane; else netfilter, where host ports are not in `desired`.
Traced trace(const Asked& asked, const Desired& desired, const cluster::Model& model, bool bpf);

}  // namespace causeway::service
