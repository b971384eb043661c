#include "observe/metrics.h"

#include <dirent.h>
#include <fmt/format.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <limits>

#include "base/file.h"

namespace causeway::observe {

namespace {

prometheus::MetricType type_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::Counter: return prometheus::MetricType::Counter;
    case MetricKind::Gauge: return prometheus::MetricType::Gauge;
    case MetricKind::Histogram: return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric::Histogram histogram_of(const Histogram& histogram) {
  prometheus::ClientMetric::Histogram out{histogram.count(), histogram.sum(), {}};
  uint64_t below = 0;
  for (size_t i = 0; i < histogram.counts().size(); ++i) {
    below += histogram.counts()[i];
    const bool last = i == histogram.bounds().size();
    out.bucket.push_back({below, last ? std::numeric_limits<double>::infinity() : histogram.bounds()[i]});
  }
  return out;
}

prometheus::MetricFamily family_of(Metric metric) {
  prometheus::MetricFamily family{std::move(metric.name), std::move(metric.help), type_of(metric.kind), {}};
  for (Sample& sample : metric.samples) {
    prometheus::ClientMetric out;
    for (auto& [name, value] : sample.labels) out.label.push_back({name, value});
    if (sample.histogram) out.histogram = histogram_of(*sample.histogram);
    (metric.kind == MetricKind::Counter ? out.counter.value : out.gauge.value) = sample.value;
    family.metric.push_back(std::move(out));
  }
  return family;
}

double count_open_files() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (!folder) return 0;
  int count = -1;  // the descriptor of this very folder
  while (const dirent* entry = ::readdir(folder))
    if (entry->d_name[0] != '.') ++count;
  ::closedir(folder);
  return count;
}

}  // namespace

std::string render_metrics(const std::vector<Collector>& collectors) {
  std::vector<prometheus::MetricFamily> families;
  for (const Collector& collect : collectors)
    for (Metric& metric : collect()) families.push_back(family_of(std::move(metric)));
  std::ranges::sort(families, {}, &prometheus::MetricFamily::name);
  return prometheus::TextSerializer().Serialize(families);
}

std::vector<Metric> process_metrics() {
  std::vector<Metric> out;
  if (auto statm = read_file("/proc/self/statm")) {
    long total = 0, resident = 0;
    if (std::sscanf(statm->c_str(), "%ld %ld", &total, &resident) == 2)
      out.push_back({"process_resident_memory_bytes",
                     "Resident memory size in bytes.",
                     MetricKind::Gauge,
                     {{{}, static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE))}}});
  }
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    out.push_back({"process_cpu_seconds_total",
                   "Total user and system CPU time spent in seconds.",
                   MetricKind::Counter,
                   {{{}, seconds(usage.ru_utime) + seconds(usage.ru_stime)}}});
  }
  out.push_back(
      {"process_open_fds", "Number of open file descriptors.", MetricKind::Gauge, {{{}, count_open_files()}}});
  return out;
}

}  // namespace causeway::observe
