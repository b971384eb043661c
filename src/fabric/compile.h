// From the model to the tables of the fabric. Pure: same model, same tables, on every node and in every order of
// events.
#pragma once

#include <set>

#include "fabric/options.h"
#include "fabric/tables.h"

namespace causeway::fabric {

// The rows of one key; a key whose object is gone has none. Two keys never give the same row.
Tables compile_one(const Key& key, const cluster::Model& model, const Options& options);

// The keys whose rows may differ after the changes; `model` is the one that holds them.
std::set<Key> keys(const cluster::ChangeSet& changes, const cluster::Model& model);
// Every key of the model.
std::set<Key> all_keys(const cluster::Model& model);
// The fold of compile_one over all keys: what incremental compilation must arrive at.
Tables compile(const cluster::Model& model, const Options& options);

// The MTU of a Pod's interface: what fits through the encapsulation to any node (RFC 7348 forbids VTEPs to fragment),
// or the uplink's where nothing is encapsulated.
uint32_t pod_mtu(const cluster::NodeFacts& facts, const cluster::Node& self, const Options& options);

// Why this Node gets no rows; "" if it does.
std::string refusal(const cluster::Node& node, const cluster::Model& model);

// Where the kernel's routes for Pod ranges point: nobody on the wire. The program at the uplink's egress takes these
// packets before they leave, encapsulates them or answers them, and finds the real neighbour by itself.
std::pair<Ip, Mac> fabric_gateway(Family family);

}  // namespace causeway::fabric
