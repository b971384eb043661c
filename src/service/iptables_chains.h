// Chains that lead a packet to its endpoint. Pure; part of iptables_rules.
#pragma once

#include "service/iptables_rules.h"

namespace causeway::service {

// A name for what is too long for one: 13 letters and digits.
std::string short_name(std::string_view text);
std::string_view protocol_of(Protocol protocol);  // as `-p` wants it

// Gives each text a name of its own, also where two have the same hash.
class Names {
 public:
  std::string of(std::string_view prefix, const std::string& text);

 private:
  std::map<std::string, std::string> text_of_;
};

// A frontend's way into the chains: which address and port (no address: any of the node's) leads where.
struct Lead {
  std::optional<Ip> ip;
  Protocol protocol = Protocol::Tcp;
  uint16_t port = 0;
  std::string to;       // chain
  std::string comment;  // whose
};

// Writes the tree under the chain `root`; `nodes`: the set of the node's own addresses, for leads without one.
void write_tree(Chains& chains, Names& names, const std::string& root, std::vector<Lead> leads,
                const std::string& nodes);

// The chain of a port's pool (made when first asked for) with its endpoints. A port with affinity has a set and a chain
// for each endpoint.
std::string write_pool(Chains& chains, std::map<std::string, IpSetRow>& sets, Names& names, const PortId& id,
                       const Port& port, Pool pool);

}  // namespace causeway::service
