// Tables in memory that take the text of iptables-restore, for tests of those who use Xtables.
#pragma once

#include "kernel/xtables/xtables.h"

namespace causeway::xtables {

class FakeXtables final : public Xtables {
 public:
  std::map<std::pair<Family, std::string>, Table> tables;
  std::vector<std::string> log;  // every text that was restored
  std::optional<Error> fail_next;
  size_t saves = 0;

  FakeXtables() {
    for (const Family family : {Family::V4, Family::V6}) {
      for (const char* chain : {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"}) tables[{family, "nat"}].chains[chain];
      for (const char* chain : {"INPUT", "FORWARD", "OUTPUT"})
        for (const char* table : {"filter", "mangle"}) tables[{family, table}].chains[chain];
    }
  }
  Result<Table> save(Family family, const std::string& table) override {
    ++saves;
    return tables[{family, table}];
  }
  // The lines that we write: *TABLE, :CHAIN, -A, -I CHAIN N, -D, -X, COMMIT. Nothing of a text counts when one fails.
  Status restore(Family family, const std::string& text) override;
  const std::string& version() const override { return version_; }

 private:
  std::string version_ = "fake";
};

}  // namespace causeway::xtables
