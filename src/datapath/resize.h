// Maps of Services that grow: a larger one with the same rows takes the pin; programs use the old one until they are
// replaced. Only the agent writes these maps, so nothing is lost in between.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "datapath/datapath.h"
#include "datapath/sizes.h"

namespace causeway::datapath {

// `first`, and where a pinned map has another size, that one: larger for what grows, as it is for the others.
Result<Sizes> sizes_at_least(const std::string& map_folder, Sizes first);

// The sizes with room for these rows: those that are too small doubled until they suffice.
Sizes grown(Sizes sizes, const ServiceRows& rows);
Sizes grown(Sizes sizes, const PolicyRows& rows);

class Growth {
 public:
  // Every map whose size differs is replaced under its pin. After an error all pins are as before.
  static Result<Growth> begin(const std::string& map_folder, const Sizes& from, const Sizes& to);
  // Back to the maps from before.
  Status undo();

 private:
  struct Replaced {
    std::string path;
    Fd old;
  };
  std::vector<Replaced> replaced_;
};

}  // namespace causeway::datapath
