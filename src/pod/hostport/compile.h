// From the model to host ports. Pure.
#pragma once

#include "pod/hostport/tables.h"

namespace causeway::pod::hostport {

// All of the attachment's rows, or none and the reason: a port that an older attachment has.
Tables compile_one(const Key& key, const cluster::Model& model);
// The keys whose rows may differ after the change. `model` is the one after it.
std::set<Key> keys(const cluster::ChangeSet& changes, const cluster::Model& model);
std::set<Key> all_keys(const cluster::Model& model);
// The fold of compile_one over all keys.
Tables compile(const cluster::Model& model);
void merge(Tables& into, Tables from);

}  // namespace causeway::pod::hostport
