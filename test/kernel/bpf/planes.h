// Planes whose world has ended, kept under their pins with empty maps: opened again with the same features they load
// nothing. The verifier is what most of a world costs; on an emulated machine nearly all.
#pragma once

#include <string>

#include "world.h"

namespace causeway::test {

// What the programs are made from, for node `number`: planes of one kind load the same ones.
std::string plane_kind(const Setup& setup, int number);
// A pin folder for a plane of this kind: one that was kept, else a new name below `root`.
std::string take_pins(const std::string& root, const std::string& kind);
// How many rows each map has room for, a line for each.
std::string room_of(const std::string& pins);
// In the node's namespace: detaches the plane and empties its maps; then another world may take them. What cannot be
// emptied, or has grown, is removed.
void keep_pins(Node& node);

}  // namespace causeway::test
