// From the model to the blocks of tables.h. Pure: the same model gives the same blocks, on every node and in every
// order of events. The agent keeps none of them: a block is compiled when it is sent.
#pragma once

#include <set>

#include "cluster/model/model.h"
#include "dns/entry.h"

namespace causeway::dns {

// Whether everything is known that names are made of: until then what is missing does not mean NXDOMAIN.
// `pods`: Pods, too.
bool complete(const cluster::Model& model, bool pods);

// What is known of one object; nullopt: it has no names (any more).
std::optional<Facts> compile_one(const Key& key, const cluster::Model& model);

// The keys whose blocks may differ after the changes; `model` is the one that holds them. `pods`: Pods, too.
std::set<Key> keys(const cluster::ChangeSet& changes, const cluster::Model& model, bool pods);
// Every key of the model.
std::set<Key> all_keys(const cluster::Model& model, bool pods);

}  // namespace causeway::dns
