// Brings iptables and its IP sets to the rules of Services: observe -> diff -> apply. What backend iptables and backend
// ipvs have in common.
#pragma once

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

  // Returns how much was written: elements, chains, sets. After an error the kernel is looked at again.
  Task<Result<uint64_t>> bring(XtRules desired);
  // The next bring() looks at the kernel.
  void forget() { held_.reset(); }
  // Whether our chains and the ways to them are as they were left. True before the first bring().
  Task<Result<bool>> intact();
  // Looks at the kernel now: a line for each thing that is not so.
  Result<std::vector<std::string>> differences(const XtRules& desired);

 private:
  struct Held {
    std::map<std::string, ipset::Held> sets;
    std::map<XtTableKey, xtables::Table> tables;
  };
  Result<Held> observe();
  Task<Result<uint64_t>> write(const XtRules& desired);
  Result<uint64_t> remove_elements(const XtRules& desired);
  Result<uint64_t> add_elements(const XtRules& desired);

  XtDoors doors_;
  std::optional<Held> held_;
};

// Takes everything of ours away: another way balances now.
Status remove_all(ipset::IpSets& sets, xtables::Xtables& xtables);

}  // namespace causeway::service
