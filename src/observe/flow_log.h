// The flows of a node on its disk: lines of JSON in a few files, of which the oldest goes when they are too many or too
// old. What was written survives the agent; a line that a crash cut short is passed over.
#pragma once

#include <deque>
#include <vector>

#include "base/fd.h"
#include "observe/flow.h"

namespace causeway::observe {

struct FlowLimits {
  Duration age = 10min;
  uint64_t bytes = 16u << 20;  // of all files; at least 64 KiB
};

class FlowLog {
 public:
  // Makes the folder. Goes on with the numbers of the flows that are there.
  static Result<FlowLog> open(std::string folder, FlowLimits limits);

  // Numbers them and writes them, and removes what is over the limits. After an error the flows of this call are lost,
  // and counted so.
  Status append(std::vector<Flow> flows, WallTime now);
  // Removes what is too old, also when nothing happens.
  Status expire(WallTime now);

  const std::string& folder() const { return folder_; }
  const FlowLimits& limits() const { return limits_; }
  uint64_t last_number() const { return last_; }
  uint64_t bytes() const;
  uint64_t unwritten() const { return unwritten_; }  // flows that could not be written

 private:
  struct File {
    std::string path;
    uint64_t bytes = 0;
    WallTime first, last;  // times of its flows
  };
  FlowLog(std::string folder, FlowLimits limits) : folder_(std::move(folder)), limits_(limits) {}
  Status begin_file(WallTime now);
  Status remove_first();
  Status write(const std::string& text, WallTime now);

  std::string folder_;
  FlowLimits limits_;
  std::deque<File> files_;  // oldest first; the last one grows
  Fd fd_;                   // of the last one; none: the next append begins one
  uint64_t last_ = 0;
  uint64_t unwritten_ = 0;
};

// The flows of a folder that match, oldest first; `from` is never before `now` less `age`. Reads files that grow and go
// meanwhile: for another thread than the log's. Errors: Io.
Result<std::vector<Flow>> read_flows(const std::string& folder, const FlowFilter& filter);

}  // namespace causeway::observe
