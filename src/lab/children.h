// Processes that we started or found: calls back when one has ended, and starts again what should always run.
#pragma once

#include <map>
#include <string>

#include "async/scope.h"
#include "lab/spawn.h"

namespace causeway::lab {

// Reaps every child of this process (as pid 1 of a node also the orphans). One for each process; install() once.
class Children {
 public:
  using Ended = std::move_only_function<void(ExitStatus)>;

  explicit Children(Loop& loop) : loop_(loop) {}
  // What to do with a signal other than SIGCHLD.
  void install(std::initializer_list<int> signals, std::move_only_function<void(int)> on_signal);
  // `ended` is called once, from the loop. The child must be our own.
  void watch(pid_t pid, Ended ended);
  // Its exit is nobody's business any more; it is still reaped.
  void forget(pid_t pid) { ended_.erase(pid); }

 private:
  void reap();

  Loop& loop_;
  std::map<pid_t, Ended> ended_;
  std::move_only_function<void(int)> on_signal_;
};

// Keeps one program running: started again at once; one that ends within 250 ms of its start again and again waits
// longer each time, from 0.1 s to 2 s.
class Supervisor {
 public:
  // `start` starts it; a process of an earlier supervisor may be given to adopt().
  Supervisor(Loop& loop, Children& children, std::string name, std::move_only_function<Result<Child>()> start);
  ~Supervisor();

  Status start();
  // Watches a process that is not our child (its exit status stays unknown).
  Status adopt(pid_t pid);
  pid_t pid() const { return pid_; }
  int restarts() const { return restarts_; }
  // No restart from now on.
  void release();
  // Called after each restart.
  std::move_only_function<void()> on_restart;
  // Called whenever the program has ended, with how ("exited with 1").
  std::move_only_function<void(const std::string&)> on_end;

 private:
  void ended(std::string how);
  void schedule(Duration pause);

  Loop& loop_;
  Children& children_;
  std::string name_;
  std::move_only_function<Result<Child>()> start_;
  Scope scope_;
  std::unique_ptr<Timer> timer_;
  pid_t pid_ = 0;
  Fd pidfd_;
  int restarts_ = 0;
  Duration pause_{};
  TimePoint started_;
  bool released_ = false;
};

// The last line of a log that says something.
std::string last_line(std::string_view log);

}  // namespace causeway::lab
