// Services on the netfilter plane by IPVS: virtual services with the scheduler of choice balance; rules of iptables and
// IP sets do what IPVS cannot (iptables_rules.h, XtBackend::Ipvs).
#pragma once

#include "service/apply_iptables.h"
#include "service/ipvs_kernel.h"

namespace causeway::service {

struct IpvsDoors {
  IptablesDoors iptables;
  IpvsKernelDoors ipvs;
};

class IpvsApplier final : public Applier {
 public:
  // `scheduler`: of Services that name none; one of ipvs_schedulers().
  IpvsApplier(Options options, IpvsDoors doors, std::string scheduler);

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override;
  // Endless: endpoints that left are removed when their last connection has ended.
  Task<Status> look_after_leaving(Loop& loop);

  // Whether the rules are as they were left; runs iptables on the worker.
  Task<Result<bool>> intact() { return rules_.intact(); }

  const Desired& desired() const override { return desired_; }
  uint64_t writes() const override { return writes_; }
  Result<std::vector<std::string>> differences() override;
  // What IPVS and the rules shall be, for people.
  std::string rules() const;

 private:
  Options options_;
  IpvsDoors doors_;
  std::string scheduler_;
  Desired desired_;
  XtKernel rules_;
  IpvsKernel services_;
  StaleFlows stale_;
  bool sysctls_ = false;
  uint64_t writes_ = 0;
};

}  // namespace causeway::service
