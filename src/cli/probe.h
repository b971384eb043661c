// One real packet from a Pod, and whether it arrives: the judge of what the tables say.
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "policy/flow.h"

namespace causeway::cli {

// The network namespace of a Pod: of a lab, or of this machine ("": found by the address). Errors: NotFound;
// Unsupported for a Pod of the host's network.
Result<Fd> open_pod_namespace(const std::string& lab, const policy::Party& pod);

struct Probe {
  const Fd* source = nullptr;  // namespaces
  const Fd* target = nullptr;  // nullptr: nobody listens there, only answers tell
  Ip from, to;
  policy::Port port;
};
enum class Arrival : uint8_t {
  Arrived,  // it was seen at the target, or answered
  Lost,     // neither
  Unknown,  // nobody could look, and silence says nothing (UDP, SCTP)
};
// TCP: a SYN, as connect() sends it; UDP a datagram; SCTP an INIT; else an ICMP echo request. Sent again while it is
// awaited; blocks for `limit_ms` at most.
Result<Arrival> send_probe(const Probe& probe, int limit_ms);

}  // namespace causeway::cli
