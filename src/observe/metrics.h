// Metrics in the Prometheus text format. Nothing is counted here: each part of the process says its numbers when asked.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace causeway::observe {

enum class MetricKind : uint8_t { Counter, Gauge };

struct Sample {
  std::map<std::string, std::string> labels;
  double value = 0;
};
struct Metric {
  std::string name;  // causeway_<part>_<what>_<unit>[_total]
  std::string help;
  MetricKind kind = MetricKind::Gauge;
  std::vector<Sample> samples;
};
using Collector = std::function<std::vector<Metric>()>;

// The exposition of what the collectors say now, in the order of their names.
std::string render_metrics(const std::vector<Collector>& collectors);

// Of the process itself: resident memory, CPU time, open files, start time.
std::vector<Metric> process_metrics();

}  // namespace causeway::observe
