// The flow ring of a node: what the kernel tells of flows, with names, in the flow log, on the page /flows.
#pragma once

#include "async/worker_pool.h"
#include "observe/endpoint.h"
#include "observe/flow_log.h"
#include "policy/apply.h"
#include "policy/seen.h"

namespace causeway::apps {

class FlowRing {
 public:
  // Borrows all but the log.
  FlowRing(Loop& loop, std::string node, policy::FlowSource& source, const policy::Applier& policies,
           observe::FlowLog log);

  // Endless: looks ten times a second.
  Task<Status> run();
  // Takes in what the kernel has told until now.
  void read();
  // Page /flows?since=10m&after=NUMBER&verdict=dropped&pod=NAMESPACE/NAME: a line {"node","last","lost"}, then a line
  // for each flow; and the metrics.
  void describe(observe::Endpoint& endpoint);

 private:
  observe::Flow named(const policy::Seen& seen) const;
  Task<Result<std::string>> page(http::Target target);
  std::vector<observe::Metric> metrics() const;

  Loop& loop_;
  const std::string node_;
  policy::FlowSource& source_;
  const policy::Applier& policies_;
  observe::FlowLog log_;
  WorkerPool reader_;  // reading megabytes takes longer than an ADD may wait
  std::string trouble_;
  std::map<std::string, uint64_t> told_;  // by verdict
  struct Refusal {
    std::string verdict, direction, policy, rule;
    auto operator<=>(const Refusal&) const = default;
  };
  std::map<Refusal, uint64_t> refused_;
};

}  // namespace causeway::apps
