#include "cluster/model/cidr_index.h"

namespace causeway::cluster {

void CidrIndex::add(const Cidr& cidr, const std::string& owner) { owners_[cidr].insert(owner); }

void CidrIndex::remove(const Cidr& cidr, const std::string& owner) {
  auto it = owners_.find(cidr);
  if (it == owners_.end()) return;
  it->second.erase(owner);
  if (it->second.empty()) owners_.erase(it);
}

std::set<std::string> CidrIndex::overlapping(const Cidr& cidr) const {
  std::set<std::string> found;
  // Inside (or equal): they start within the prefix and follow it in order.
  for (auto it = owners_.lower_bound(Cidr(cidr.address(), 0)); it != owners_.end(); ++it) {
    if (it->first < cidr && !cidr.contains(it->first)) continue;
    if (!cidr.contains(it->first)) break;
    found.insert(it->second.begin(), it->second.end());
  }
  for (int length = 0; length < cidr.prefix(); ++length)
    if (auto it = owners_.find(Cidr(cidr.address(), length)); it != owners_.end())
      found.insert(it->second.begin(), it->second.end());
  return found;
}

}  // namespace causeway::cluster
