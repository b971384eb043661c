// From the model to the tables of Services. Pure: same model, same tables, on every node and in every order of events.
#pragma once

#include <set>

#include "service/options.h"
#include "service/tables.h"

namespace causeway::service {

// The rows of one key; a key whose object is gone has none. Two keys never give the same row: of two Services that
// claim one address, port and protocol the older has it (then the lesser name), the other says so in `refused`.
Tables compile_one(const Key& key, const cluster::Model& model, const Options& options);

// The keys whose rows may differ after the changes; `model` is the one that holds them.
std::set<Key> keys(const cluster::ChangeSet& changes, const cluster::Model& model);
// Every key of the model.
std::set<Key> all_keys(const cluster::Model& model);
// The fold of compile_one over all keys: what incremental compilation must arrive at.
Tables compile(const cluster::Model& model, const Options& options);

}  // namespace causeway::service
