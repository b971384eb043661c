// What cannot be read of an object, in one bounded sentence. Only for the files of this folder.
#pragma once

#include <string>

namespace causeway::cluster {

inline void add_problem(std::string& problem, std::string what) {
  constexpr size_t kLongest = 400;
  if (problem.size() < kLongest) problem += (problem.empty() ? "" : "; ") + std::move(what);
}

}  // namespace causeway::cluster
