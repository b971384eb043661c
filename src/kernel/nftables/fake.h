// nf_tables in memory, for tests of those who use Nftables: the same answers as the kernel's for what our code does,
// everything recorded, failures on demand.
#pragma once

#include <functional>
#include <set>

#include "kernel/nftables/nftables.h"

namespace causeway::nftables {

class FakeNftables final : public Nftables {
 public:
  Result<Observed> observe(std::string_view section) override;
  Status apply(const Transaction& transaction) override;
  Result<std::vector<ForeignDrop>> foreign_drops() override { return others; }
  Result<bool> remove_foreign_table(Family family, const std::string& name) override {
    return foreign_tables.erase({family, name}) > 0;
  }
  Result<uint32_t> foreign_commits() override { return foreign_; }
  uint32_t port() const override { return 1; }

  // The whole table as `nft list` would print it; "" when it is empty.
  std::string render() const;
  // What `nft flush ruleset` does.
  void flush() {
    state_ = {};
    ++foreign_;
  }

  // Every change that was applied with success, printed; one transaction after the other.
  std::vector<std::string> log;
  std::vector<ForeignDrop> others;
  std::set<std::pair<Family, std::string>> foreign_tables;
  size_t transactions = 0;
  size_t observations = 0;
  // Asked before each transaction: an error makes it fail.
  std::function<Status(const Transaction&)> fault;

 private:
  Section state_{.name = "all"};
  uint32_t foreign_ = 0;
};

}  // namespace causeway::nftables
