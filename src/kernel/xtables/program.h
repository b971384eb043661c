// Runs a program of this machine to its end.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::xtables {

struct Ran {
  int code = 0;  // 128 + signal when a signal ended it
  std::string out, err;
};

// `argv[0]` is looked up in PATH, and in the folders for administrators' programs. Blocks until it has ended; it runs
// in the network namespace of the calling thread. NotFound: there is no such program. It sees nothing of our
// descriptors.
Result<Ran> run(const std::vector<std::string>& argv, std::string_view input = {});

}  // namespace causeway::xtables
