// Questions that a process of a place asks: in its network namespace and in its cgroup, where the socket programs of
// its node meet it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "cli/enter.h"

namespace causeway::cli {

// A child process in the place that runs `work` and hands over the text which it returns. `work` gets a descriptor that
// is readable once it shall end.
class Visitor {
 public:
  static Result<Visitor> send(const Place& place, const std::function<std::string(int stop_fd)>& work);
  Visitor(Visitor&&) = default;
  Visitor& operator=(Visitor&&) = delete;
  ~Visitor();

  // Asks it to end, waits, and returns what it says.
  Result<std::string> come_back();

 private:
  Visitor(pid_t pid, Fd said, Fd stop) : pid_(pid), said_(std::move(said)), stop_(std::move(stop)) {}
  struct Pid {
    pid_t value = 0;
    Pid(pid_t pid) : value(pid) {}
    Pid(Pid&& other) noexcept : value(std::exchange(other.value, 0)) {}
  } pid_;
  Fd said_, stop_;
};

// Questions under way, each asked by a process of its own, so that those of many places are asked at once.
Result<Visitor> begin_asking(const Place& place, const std::vector<Endpoint>& targets, bool udp, int limit_ms);
// Waits for them; one answer for each of its `count` targets.
std::vector<Result<std::string>> answers_of(Result<Visitor> visitor, size_t count);
// As ask_http() and ask_udp(), asked by a process of the place.
std::vector<Result<std::string>> ask_as(const Place& place, const std::vector<Endpoint>& targets, bool udp,
                                        int limit_ms);

}  // namespace causeway::cli
