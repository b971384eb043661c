// Brings iptables and its IP sets to the rules of Services: observe -> diff -> apply. What backend iptables and backend
// ipvs have in common.
#pragma once

#include <set>

#include "async/worker_pool.h"
#include "service/iptables_text.h"

namespace causeway::service {

// Borrowed; all of one node. The programs of iptables run on a worker, so that the loop does not wait for them; the
// pool ends before the doors do.
struct XtDoors {
  ipset::IpSets& sets;
  xtables::Xtables& xtables;
  WorkerPool& workers;
};

class XtKernel {
 public:
  explicit XtKernel(XtDoors doors) : doors_(doors) {}

  // Returns how much was written: elements, chains, sets. After an error the kernel is looked at again. One at a time.
  // `growing`: sets that lose nothing this time, because not all that belongs into them is known yet.
  Task<Result<uint64_t>> bring(XtRules desired, std::set<std::string> growing = {});
  // The next bring() looks at the kernel; one that is at work meanwhile is not disturbed.
  void forget() { look_ = true; }
  // Whether our chains and the ways to them are as they were left. True before the first bring().
  Task<Result<bool>> intact();
  // Looks at the kernel now: a line for each thing that is not so.
  Result<std::vector<std::string>> differences(const XtRules& desired);

 private:
  struct Held {
    std::map<std::string, ipset::Held> sets;
    std::map<XtTableKey, xtables::Table> tables;
  };
  using Tables = std::map<XtTableKey, xtables::Table>;
  static Result<Tables> read_tables(xtables::Xtables& xtables);
  Task<Result<Held>> observe();
  Task<Result<uint64_t>> write(const XtRules& desired, const std::set<std::string>& growing);
  Result<uint64_t> remove_elements(const XtRules& desired, const std::set<std::string>& growing);
  Result<uint64_t> add_elements(const XtRules& desired);

  XtDoors doors_;
  std::optional<Held> held_;  // only bring() takes it away, so that it outlives each wait of write()
  bool look_ = false;
};

// Takes everything of ours away: another way balances now.
Status remove_all(ipset::IpSets& sets, xtables::Xtables& xtables);

}  // namespace causeway::service
