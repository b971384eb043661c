// The door to nf_tables of one network namespace.
//
//   auto nft = TRY(nftables::open_nftables());
//   auto actual = TRY(nft->observe("hostport"));
//   TRY(nft->apply(diff(actual, desired)));       // nothing to do: nothing is sent
//
// Calls block: an empty transaction costs about 50 us, 10,000 elements about 30 ms. One thread at a time; a section is
// written by one owner.
#pragma once

#include <memory>
#include <vector>

#include "async/loop.h"
#include "kernel/nftables/observed.h"
#include "kernel/nftables/table.h"

namespace causeway::nftables {

// A chain of another table that drops by policy what it does not accept. An accept of ours does not overrule it.
struct ForeignDrop {
  std::string table;  // with its family: "ip filter"
  std::string chain;
  Hook hook = Hook::Forward;
  auto operator<=>(const ForeignDrop&) const = default;
};

class Nftables {
 public:
  virtual ~Nftables() = default;

  // What the kernel holds of this section, as one consistent view; an empty Observed when there is nothing.
  virtual Result<Observed> observe(std::string_view section) = 0;
  // Atomic: on an error nothing of it has happened, and the error names the object. NotFound, AlreadyExists: the
  // kernel does not hold what was assumed (somebody else changed it): observe again.
  virtual Status apply(const Transaction& transaction) = 0;
  // Of every table but ours, sorted.
  virtual Result<std::vector<ForeignDrop>> foreign_drops() = 0;
  // Removes a whole table of somebody who is gone ("kube-proxy" of one family); false: there is none.
  virtual Result<bool> remove_foreign_table(Family family, const std::string& name) = 0;
  // How many transactions others committed in this namespace since the door was opened, whatever their table: while it
  // stays the same, the kernel holds what was observed and applied here. Costs one question, not a list.
  virtual Result<uint32_t> foreign_commits() = 0;
  // Netlink port of this door: what it changed itself is no news to a watch.
  virtual uint32_t port() const = 0;
};

// A socket in the caller's namespace.
Result<std::unique_ptr<Nftables>> open_nftables();
// In the namespace behind `netns_fd` (borrowed, needed only during the call).
Result<std::unique_ptr<Nftables>> open_nftables_in(int netns_fd);

// Says that somebody else changed our table (`nft flush ruleset`), whatever of it.
class Watch {
 public:
  virtual ~Watch() = default;
  // Ok after at least one foreign change since the last call; many are one. What changed is for the observer to read.
  virtual Task<Status> changed() = 0;
};
Result<std::unique_ptr<Watch>> open_watch(Loop& loop, uint32_t own_port);

}  // namespace causeway::nftables
