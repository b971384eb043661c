#include "control/slice_metrics.h"

#include <algorithm>

namespace causeway::control {

namespace {

std::vector<double> powers_of_two() {
  std::vector<double> bounds;
  for (double bound = 2; bounds.size() < 15; bound *= 2) bounds.push_back(bound);
  return bounds;
}
// Prometheus' own, for want of others.
const std::vector<double> kDefaults{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

using Addresses = std::set<std::pair<std::string, std::string>>;  // address type, address

void collect(const kube::EndpointSlice& slice, Addresses& out) {
  for (const auto& endpoint : slice.endpoints)
    if (!endpoint.addresses.empty()) out.emplace(slice.address_type, endpoint.addresses.front());
}

size_t missing(const Addresses& from, const Addresses& in) {
  size_t count = 0;
  for (const auto& one : from) count += !in.contains(one);
  return count;
}

// Slices with one address type and one list of ports share their endpoints.
size_t fewest(const SliceSet& slices, size_t max_endpoints) {
  std::vector<std::pair<const kube::EndpointSlice*, size_t>> groups;
  for (const auto* list : {&slices.create, &slices.update, &slices.unchanged})
    for (const auto& slice : *list) {
      auto group = std::ranges::find_if(groups, [&](const auto& one) {
        return one.first->address_type == slice.address_type && one.first->ports == slice.ports;
      });
      if (group == groups.end()) group = groups.insert(groups.end(), {&slice, 0});
      group->second += slice.endpoints.size();
    }
  size_t count = 0;
  for (const auto& [slice, endpoints] : groups)
    count += std::max<size_t>(1, (endpoints + max_endpoints - 1) / max_endpoints);
  return count;
}

Metric one(std::string name, std::string help, MetricKind kind, double value) {
  return {std::move(name), std::move(help), kind, {{{}, value}}};
}

Metric one(std::string name, std::string help, const Histogram& histogram) {
  return {std::move(name),
          std::move(help),
          MetricKind::Histogram,
          {{.histogram = std::make_shared<const Histogram>(histogram)}}};
}

}  // namespace

SliceMetrics::SliceMetrics() : added_(powers_of_two()), removed_(powers_of_two()) {}

void SliceMetrics::observe(const kube::Service& service, const std::vector<const kube::EndpointSlice*>& before,
                           const SliceSet& after, bool topology, size_t max_endpoints) {
  Addresses were, are;
  size_t endpoints = 0;
  for (const auto* slice : before) collect(*slice, were);
  for (const auto* list : {&after.create, &after.update})
    for (const auto& slice : *list) collect(slice, are);
  for (const auto* list : {&after.create, &after.update, &after.unchanged})
    for (const auto& slice : *list) endpoints += slice.endpoints.size();
  added_.observe(static_cast<double>(missing(are, were)));
  removed_.observe(static_cast<double>(missing(were, are)));
  const std::string distribution = service.spec.traffic_distribution.value_or("");
  const auto changed = changed_.try_emplace({topology ? "Auto" : "Disabled", distribution}, kDefaults).first;
  changed->second.observe(static_cast<double>(after.create.size() + after.update.size() + after.remove.size()));
  of_[kube::ref_of(service.metadata)] = {endpoints, fewest(after, max_endpoints), distribution};
}

std::vector<Metric> SliceMetrics::metrics() const {
  const std::string prefix = "endpoint_slice_controller_";
  size_t endpoints = 0, slices = 0;
  std::map<std::string, size_t> distributions;
  for (const auto& [service, of] : of_) {
    endpoints += of.endpoints;
    slices += of.slices;
    if (!of.distribution.empty()) ++distributions[of.distribution];
  }
  std::vector<Metric> out{
      one(prefix + "endpoints_added_per_sync", "Number of endpoints added on each Service sync", added_),
      one(prefix + "endpoints_removed_per_sync", "Number of endpoints removed on each Service sync", removed_),
      one(prefix + "endpoints_desired", "Number of endpoints desired", MetricKind::Gauge, double(endpoints)),
      one(prefix + "desired_endpoint_slices",
          "Number of EndpointSlices that would exist with perfect endpoint allocation", MetricKind::Gauge,
          double(slices))};
  Metric changed{prefix + "endpointslices_changed_per_sync",
                 "Number of EndpointSlices changed on each Service sync",
                 MetricKind::Histogram,
                 {}};
  for (const auto& [labels, histogram] : changed_)
    changed.samples.push_back({.labels = {{"topology", labels.first}, {"traffic_distribution", labels.second}},
                               .histogram = std::make_shared<const Histogram>(histogram)});
  Metric by{prefix + "services_count_by_traffic_distribution",
            "Number of Services using some specific trafficDistribution",
            MetricKind::Gauge,
            {}};
  for (const auto& [distribution, count] : distributions)
    by.samples.push_back({{{"traffic_distribution", distribution}}, double(count)});
  Metric syncs{prefix + "syncs", "Number of EndpointSlice syncs", MetricKind::Counter, {}};
  for (const auto& [result, word] :
       {std::pair(Result::Success, "success"), {Result::Stale, "stale"}, {Result::Error, "error"}})
    if (const auto count = syncs_.find(result); count != syncs_.end())
      syncs.samples.push_back({{{"result", word}}, double(count->second)});
  for (Metric* metric : {&changed, &by, &syncs}) out.push_back(std::move(*metric));
  return out;
}

}  // namespace causeway::control
