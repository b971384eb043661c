#include "figures.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string_view>

#include "base/file.h"

namespace causeway::bench {

namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\')
      out += fmt::format("\\{}", static_cast<char>(c));
    else if (c < 0x20)
      out += fmt::format("\\u{:04x}", c);
    else
      out += static_cast<char>(c);
  }
  return out + "\"";
}

std::string number(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? fmt::format("{:.6g}", *value) : "null";
}

std::string describe(const Goal& goal, std::string_view unit) {
  std::string suffix = unit.empty() ? "" : fmt::format(" {}", unit);
  if (auto* most = std::get_if<AtMost>(&goal)) return fmt::format("<= {:g}{}", most->limit, suffix);
  if (auto* least = std::get_if<AtLeast>(&goal)) return fmt::format(">= {:g}{}", least->limit, suffix);
  return "";
}

std::optional<bool> judge(const Goal& goal, double value) {
  if (auto* most = std::get_if<AtMost>(&goal)) return value <= most->limit;
  if (auto* least = std::get_if<AtLeast>(&goal)) return value >= least->limit;
  return {};
}

// "model name : X" of /proc/cpuinfo.
std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name"))
      if (auto colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "unknown";
}

std::string machine() {
  utsname name{};
  uname(&name);
  double gigabytes = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e9;
  return fmt::format(R"({{"cpu":{},"cores":{},"memory_gb":{:.1f},"kernel":{},"arch":{}}})", quoted(cpu_name()),
                     sysconf(_SC_NPROCESSORS_ONLN), gigabytes, quoted(name.release), quoted(name.machine));
}

}  // namespace

void Figures::ratio(std::string figure, std::string unit, double ours, double peer, Goal goal) {
  if (peer == 0) return missing(std::move(figure), "the peer gave no figure");
  double ratio = ours / peer;
  rows_.push_back({std::move(figure), std::move(unit), "", ours, peer, ratio, describe(goal, "x"), judge(goal, ratio)});
}

void Figures::value(std::string figure, std::string unit, double ours, Goal goal, std::optional<double> peer) {
  std::optional<double> ratio = peer && *peer != 0 ? std::optional(ours / *peer) : std::nullopt;
  auto text = describe(goal, unit);
  rows_.push_back({std::move(figure), std::move(unit), "", ours, peer, ratio, std::move(text), judge(goal, ours)});
}

void Figures::missing(std::string figure, std::string why) {
  rows_.push_back({std::move(figure), "", std::move(why), {}, {}, {}, "", false});
}

std::string Figures::json() const {
  std::string out = "{\"figures\":[";
  for (const Row& row : rows_)
    out += fmt::format(R"({}{{"figure":{},"unit":{},"ours":{},"peer":{},"ratio":{},"goal":{},"met":{},"note":{}}})",
                       &row == rows_.data() ? "\n" : ",\n", quoted(row.figure), quoted(row.unit), number(row.ours),
                       number(row.peer), number(row.ratio), row.goal.empty() ? "null" : quoted(row.goal),
                       row.met ? (*row.met ? "true" : "false") : "null", row.note.empty() ? "null" : quoted(row.note));
  return out + "\n],\"machine\":" + machine() + "}\n";
}

int Figures::finish(int argc, char** argv) const {
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    std::string path;
    if (argument == "--json" && i + 1 < argc) path = argv[i + 1];
    if (argument.starts_with("--json=")) path = argument.substr(7);
    if (path.empty()) continue;
    if (auto written = replace_file(path, json()); !written) {
      std::fprintf(stderr, "%s\n", written.error().message().c_str());
      return 1;
    }
    return 0;
  }
  std::fputs(json().c_str(), stdout);
  return 0;
}

double median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  size_t middle = samples.size() / 2;
  return samples.size() % 2 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

}  // namespace causeway::bench
