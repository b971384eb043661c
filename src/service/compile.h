// From the model to the tables of Services. Pure: same model, same tables, on every node and in every order of events.
#pragma once

#include <set>

#include "service/options.h"
#include "service/tables.h"

namespace causeway::service {

// Whether all sources are known that rows of Services are compiled from. Until then they would refuse connections that
// are served, so none is compiled, and nothing of an earlier agent is removed.
bool complete(const cluster::Model& model);

// The rows of one key; a key whose object is gone has none. Two keys never give the same row: of two Services that
// claim one address, port and protocol the one has it whose ClusterIP it is, then the older, then the lesser name; the
// other says so in `refused`. A Service has a port rather than a Pod (hostPort).
Tables compile_one(const Key& key, const cluster::Model& model, const Options& options);

// The keys whose rows may differ after the changes; `model` is the one that holds them.
std::set<Key> keys(const cluster::ChangeSet& changes, const cluster::Model& model);
// Every key of the model.
std::set<Key> all_keys(const cluster::Model& model);
// The fold of compile_one over all keys: what incremental compilation must arrive at.
Tables compile(const cluster::Model& model, const Options& options);

}  // namespace causeway::service
