// A metric as a value: what a part of the process says of itself when it is asked. src/observe prints them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace causeway {

enum class MetricKind : uint8_t { Counter, Gauge, Histogram };

// Observations counted by size.
class Histogram {
 public:
  // Upper bounds, ascending; an observation equal to a bound counts below it. One above the last is counted too.
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  // Of what was counted elsewhere; `counts` has one more than `bounds`.
  Histogram(std::vector<double> bounds, std::vector<uint64_t> counts, double sum)
      : bounds_(std::move(bounds)), counts_(std::move(counts)), sum_(sum) {}

  void observe(double value) {
    ++counts_[static_cast<size_t>(std::ranges::lower_bound(bounds_, value) - bounds_.begin())];
    sum_ += value;
  }
  const std::vector<double>& bounds() const { return bounds_; }
  // Of each bound alone, the last those above all bounds.
  const std::vector<uint64_t>& counts() const { return counts_; }
  uint64_t count() const {
    uint64_t all = 0;
    for (uint64_t one : counts_) all += one;
    return all;
  }
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

struct Sample {
  std::map<std::string, std::string> labels;
  double value = 0;                            // Counter, Gauge
  std::shared_ptr<const Histogram> histogram;  // Histogram, as it was when asked
};
struct Metric {
  std::string name;  // causeway_<part>_<what>_<unit>[_total]
  std::string help;
  MetricKind kind = MetricKind::Gauge;
  std::vector<Sample> samples;
};
using Collector = std::function<std::vector<Metric>()>;

}  // namespace causeway
