// How busy this node is, for Services that balance by the load of their endpoints' nodes: written to our own Node as
// the annotation causeway.io/load, from where every node's compiler reads it.
#pragma once

#include <functional>
#include <optional>

#include "async/loop.h"

namespace causeway::service {

// The counters of all CPUs, in ticks since the start.
struct CpuTimes {
  uint64_t busy = 0;
  uint64_t total = 0;
};
// The first line of /proc/stat (proc(5)); idle and iowait are not busy.
Result<CpuTimes> parse_cpu_times(std::string_view stat);
// 0 (idle) to 1000 (all CPUs busy) between two readings.
uint32_t load_between(const CpuTimes& before, const CpuTimes& now);

class NodeLoad {
 public:
  // Each write is a write of the Node, which every watcher of Nodes is sent: seldom, and only for who asks for it.
  static constexpr Duration kEvery = 10s;
  static constexpr uint32_t kStep = 50;  // 5 %

  struct Doors {
    std::function<Result<CpuTimes>()> read;
    std::function<bool()> wanted;                      // some Service balances by load
    std::function<Task<Status>(uint32_t load)> write;  // tried again a round later
  };
  NodeLoad(Loop& loop, Doors doors) : loop_(loop), doors_(std::move(doors)) {}

  Task<Status> run();
  std::optional<uint32_t> reported() const { return reported_; }

 private:
  Loop& loop_;
  Doors doors_;
  std::optional<uint32_t> reported_;
};

}  // namespace causeway::service
