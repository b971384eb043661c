#include "observe/metrics.h"

#include <dirent.h>
#include <fmt/format.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/file.h"

namespace causeway::observe {

namespace {

prometheus::MetricFamily family_of(Metric metric) {
  const bool counter = metric.kind == MetricKind::Counter;
  prometheus::MetricFamily family{std::move(metric.name),
                                  std::move(metric.help),
                                  counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
                                  {}};
  for (Sample& sample : metric.samples) {
    prometheus::ClientMetric out;
    for (auto& [name, value] : sample.labels) out.label.push_back({name, value});
    (counter ? out.counter.value : out.gauge.value) = sample.value;
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
