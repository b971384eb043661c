// Services on the netfilter plane by iptables and IP sets: what the tables say becomes rules (iptables_rules.h), of
// which only those that differ are written; then the tracked connections end that this leaves with a wrong target.
#pragma once

#include "kernel/conntrack/conntrack.h"
#include "service/apply.h"
#include "service/iptables_kernel.h"
#include "service/ipvs_kernel.h"
#include "service/stale.h"

namespace causeway::service {

// Borrowed; all of one node.
struct IptablesDoors {
  XtDoors xt;
  conntrack::Conntrack& conntrack;
  WriteSysctl sysctl;  // below /proc/sys/net
};

class IptablesApplier final : public Applier {
 public:
  IptablesApplier(Options options, IptablesDoors doors);

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override { kernel_.forget(); }

  // Whether the rules are as they were left; runs iptables on the worker.
  Task<Result<bool>> intact() { return kernel_.intact(); }

  const Desired& desired() const override { return desired_; }
  uint64_t writes() const override { return writes_; }
  Result<std::vector<std::string>> differences() override;
  // What the rules shall be, for people.
  std::string rules() const { return render(iptables_rules(desired_.tables(), XtBackend::Iptables)); }

 private:
  Options options_;
  IptablesDoors doors_;
  Desired desired_;
  XtKernel kernel_;
  StaleFlows stale_;
  uint64_t writes_ = 0;
};

// ---- shared with apply_ipvs

// 127.0.0.1 is carried over links only where that is switched on. Nobody outside gets in by it: what comes over a link
// with 127.0.0.0/8 is dropped before (chain hostport-guard of table inet causeway).
Status allow_localhost(const Options& options, const Desired& desired, const WriteSysctl& write);
void clean(Desired& desired);
// The sets that lose nothing yet.
std::set<std::string> growing_sets(const Desired& desired);
void add_refused(std::vector<cluster::Failure>& failures, const Desired& desired);

}  // namespace causeway::service
