// One direction of a packet, judged by going through the policies themselves: which select the Pod, which rules fit and
// which nearly do. Slow, and apart from the tables, so that each checks the other. Pure.
#pragma once

#include "policy/flow.h"

namespace causeway::policy {

// How a rule meets the packet.
struct RuleFit {
  const cluster::Policy* policy = nullptr;
  Direction direction = Direction::Ingress;
  uint32_t index = 0;
  bool peer = false, port = false;
  const cluster::PolicyRule& rule() const { return policy->rules(direction)[index]; }
  Rule named() const;
};

struct Walk {
  bool allowed = true;
  std::optional<Tier> tier;                       // absent: no tier decided
  std::optional<RuleFit> decided;                 // absent with a tier: isolated
  std::vector<RuleFit> passed;                    // rules that skipped the rest of their tier
  std::vector<const cluster::Policy*> selecting;  // the Pod in this direction, in the order in which they are judged
  std::vector<RuleFit> near;                      // Accept rules of these of which one part fits: peer or port
};

// `peer`: the Pod at the other end's address, if it is one of the Pod network.
Walk walk(const cluster::Model& model, const cluster::Pod& subject, Direction direction, const Packet& packet,
          const cluster::Pod* peer);

}  // namespace causeway::policy
