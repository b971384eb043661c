// The door to the tables of iptables and ip6tables in one network namespace.
//
//   auto nat = TRY(xtables->save(Family::V4, "nat"));
//   TRY(xtables->restore(Family::V4, "*nat\n:CAUSEWAY-SERVICES - [0:0]\n-A CAUSEWAY-SERVICES -j RETURN\nCOMMIT\n"));
//
// Calls run a program and block: 5 ms for an empty table, about 1 s for 10,000 Services. One thread at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"

namespace causeway::xtables {

// What stands behind "-A CHAIN ", in the words of iptables-save.
using Rules = std::vector<std::string>;
struct Table {
  std::map<std::string, Rules> chains;  // the built-in ones too
  bool operator==(const Table&) const = default;
};

class Xtables {
 public:
  virtual ~Xtables() = default;
  virtual Result<Table> save(Family family, const std::string& table) = 0;
  // One transaction for each table; chains that are not named stay as they are.
  virtual Status restore(Family family, const std::string& text) = 0;
  // "iptables v1.8.9 (nf_tables)".
  virtual const std::string& version() const = 0;
};

// Finds the programs in PATH and tries them. Unsupported: they are not installed, or do not work here; with the reason.
Result<std::unique_ptr<Xtables>> open_xtables();

}  // namespace causeway::xtables
