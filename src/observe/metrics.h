// Metrics in the Prometheus text format. Nothing is counted here: each part of the process says its numbers when asked.
#pragma once

#include "base/metric.h"

namespace causeway::observe {

using causeway::Collector;
using causeway::Metric;
using causeway::MetricKind;
using causeway::Sample;

// The exposition of what the collectors say now, in the order of their names.
std::string render_metrics(const std::vector<Collector>& collectors);

// Of the process itself: resident memory, CPU time, open files, start time.
std::vector<Metric> process_metrics();

}  // namespace causeway::observe
