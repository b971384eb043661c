// The Nodes and reserved addresses that were known last, on tmpfs: with them an agent that starts while the API server
// is away compiles the tables that the kernel already has. A hint, never a truth: nothing is deleted because of it, and
// the first complete list replaces it.
#pragma once

#include "cluster/model/model.h"

namespace causeway::cluster {

struct Snapshot {
  std::vector<Node> nodes;
  std::optional<std::vector<Reservation>> reservations;  // absent: they were not known
};

std::string encode_snapshot(const Model& model);
// Refuses a text that is torn or of another version (Invalid): it is then as if there were none.
Result<Snapshot> decode_snapshot(std::string_view text);

}  // namespace causeway::cluster
