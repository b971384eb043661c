// What every bench_NAME reports: rows of ours beside a peer's, as the JSON that `./dev bench` prints and checks.
//
//   Figures figures;
//   figures.ratio("same node, round trip", "us", 11.2, 10.6, AtMost{1.08});   // judged by ours / peer
//   figures.value("lab up, three nodes", "s", 1.7, AtMost{2.0});              // judged by ours
//   return figures.finish(argc, argv);                                         // writes --json FILE
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace causeway::bench {

struct AtMost {
  double limit;
};
struct AtLeast {
  double limit;
};
using Goal = std::variant<std::monostate, AtMost, AtLeast>;  // monostate: shown, not judged

class Figures {
 public:
  // `ours` and `peer` in `unit`, medians of interleaved runs; the goal is on ours / peer. A peer of 0 counts as absent.
  void ratio(std::string figure, std::string unit, double ours, double peer, Goal goal = {});
  // The goal is on `ours`; a peer is shown beside it.
  void value(std::string figure, std::string unit, double ours, Goal goal = {}, std::optional<double> peer = {});
  // A figure that could not be measured (a peer that is not built, a feature that the kernel lacks): counts as missed.
  void missing(std::string figure, std::string why);

  // {"figures":[{"figure","ours","peer","ratio","goal","met",...}],"machine":{...}}; absent values are null.
  std::string json() const;
  // Writes json() to the file that `--json FILE` or `--json=FILE` names, to stdout without it. The exit code of main():
  // 0, or 1 after saying why the file could not be written. A missed goal is not a failure here: `./dev bench --check`
  // judges.
  int finish(int argc, char** argv) const;

 private:
  struct Row {
    std::string figure, unit, note;
    std::optional<double> ours, peer, ratio;
    std::string goal;
    std::optional<bool> met;
  };
  std::vector<Row> rows_;
};

// The middle value (mean of the two middle ones); 0 for none.
double median(std::vector<double> samples);

}  // namespace causeway::bench
