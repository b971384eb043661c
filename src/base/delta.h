// The difference between what is and what shall be, for every applier.
#pragma once

#include <map>
#include <vector>

namespace causeway {

template <class Map>
struct Delta {
  Map put;                                     // to add, or to overwrite with another value
  std::vector<typename Map::key_type> remove;  // to delete
  bool empty() const { return put.empty() && remove.empty(); }
};

template <class Map>
Delta<Map> diff(const Map& actual, const Map& desired) {
  Delta<Map> delta;
  for (const auto& [key, value] : desired)
    if (auto it = actual.find(key); it == actual.end() || !(it->second == value)) delta.put.emplace(key, value);
  for (const auto& [key, value] : actual)
    if (!desired.contains(key)) delta.remove.push_back(key);
  return delta;
}

}  // namespace causeway
