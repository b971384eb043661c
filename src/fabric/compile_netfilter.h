// The rows that the netfilter plane needs besides those of both planes: the same routes, in the words of the kernel's
// own devices and tables. Pure.
#pragma once

#include "fabric/compile.h"

namespace causeway::fabric {

// Our address of the family on the uplink: what other nodes call us by.
std::optional<Ip> own_address(const cluster::NodeFacts& facts, const cluster::Node* self, Family family);

// `out` has the rows of SelfKey that both planes share: adds tunnels, rules, masquerade and routes.
void lead_by_kernel(Tables& out, const cluster::Model& model, const Options& options);
// The same for the rows of another node.
void lead_by_kernel(Tables& out, const cluster::Node& node, const cluster::Model& model, const Options& options);

// A reserved address of a Pod of this node, outside of its ranges: what compile_self has for those. `unreachable`: no
// Pod has it at the moment.
void lead_reserved_by_kernel(Tables& out, const Cidr& prefix, bool unreachable, const cluster::Model& model,
                             const Options& options);

// What the node's tunnel devices have as their MAC, on all nodes alike without any exchange: a hash of its name.
Mac tunnel_mac(std::string_view node);

}  // namespace causeway::fabric
