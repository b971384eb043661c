// A packet that somebody asks about: who sends it, and to what. Pure.
#pragma once

#include "service/desired.h"

namespace causeway::service {

enum class Sender : uint8_t {
  Node,  // this node itself, or a Pod in its network
  Pod,   // a Pod of this node
  Elsewhere,
};

struct Asked {
  Ip from;
  Sender sender = Sender::Elsewhere;
  std::string other_node;  // Elsewhere: the node that has the address, or whose Pod has it; "": none of the cluster
  Endpoint to;
  Protocol protocol = Protocol::Tcp;
};

// `from`: an address, a Pod of this node ("NS/NAME"), or "node"; `to`: "10.96.0.1:80", "[fd00::1]:80", an IPv4-mapped
// address is IPv4; `protocol`: tcp, udp, sctp, "" is tcp. Errors: Invalid (says what is right), NotFound (no such Pod).
Result<Asked> parse_asked(std::string_view from, std::string_view to, std::string_view protocol,
                          const cluster::Model& model, const Desired& desired);

// The address with which this node sends to `to`: to itself the very same, else its first one. nullopt: it has none.
std::optional<Ip> node_source(const Ip& to, const cluster::Model& model, const Desired& desired);

}  // namespace causeway::service
