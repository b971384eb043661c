// The Nodes that were known last, on tmpfs: with them an agent that starts while the API server is away compiles the
// tables that the kernel already has. A hint, never a truth: nothing is deleted because of it, and the first complete
// list replaces it.
#pragma once

#include "cluster/model/model.h"

namespace causeway::cluster {

std::string encode_snapshot(const Model& model);
// Refuses a text that is torn or of another version (Invalid): it is then as if there were none.
Result<std::vector<Node>> decode_snapshot(std::string_view text);

}  // namespace causeway::cluster
