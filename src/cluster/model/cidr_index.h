// Prefixes and who has them. Two prefixes are nested or apart, so the ones that overlap a given prefix are found by
// one range scan (those inside it) and one look-up for each shorter length (those around it).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ip.h"

namespace causeway::cluster {

class CidrIndex {
 public:
  void add(const Cidr& cidr, const std::string& owner);
  void remove(const Cidr& cidr, const std::string& owner);
  // Each owner of an overlapping prefix, once.
  std::set<std::string> overlapping(const Cidr& cidr) const;

 private:
  std::map<Cidr, std::set<std::string>> owners_;  // ordered by family, address, length
};

}  // namespace causeway::cluster
