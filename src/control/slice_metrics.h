// What the EndpointSlice controller did, by kube-controller-manager's names
// (pkg/controller/endpointslice/metrics, 1.36).
#pragma once

#include <map>
#include <set>

#include "base/metric.h"
#include "control/slice_pack.h"
#include "kube/client/client.h"

namespace causeway::control {

class SliceMetrics {
 public:
  SliceMetrics();

  enum class Result { Success, Stale, Error };
  void count(Result result) { ++syncs_[result]; }
  // One look at a Service: what it is to have, and of the slices that change or go what they were.
  void observe(const kube::Service& service, const std::vector<const kube::EndpointSlice*>& before,
               const SliceSet& after, bool topology, size_t max_endpoints);
  // The Service has no slices any more.
  void forget(const kube::Ref& service) { of_.erase(service); }

  std::vector<Metric> metrics() const;

 private:
  struct OfService {
    size_t endpoints = 0;
    size_t slices = 0;  // that would do: fewer than there may be
    std::string distribution;
  };
  std::map<kube::Ref, OfService> of_;
  std::map<Result, uint64_t> syncs_;
  Histogram added_, removed_;
  std::map<std::pair<std::string, std::string>, Histogram> changed_;  // topology, traffic_distribution
};

}  // namespace causeway::control
