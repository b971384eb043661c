#include "lab/children.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "base/log.h"

namespace causeway::lab {

void Children::install(std::initializer_list<int> signals, std::move_only_function<void(int)> on_signal) {
  on_signal_ = std::move(on_signal);
  auto handle = [this](int signal) {
    if (signal == SIGCHLD) {
      reap();
    } else {
      on_signal_(signal);
    }
  };
  // The loop takes one list; SIGCHLD goes first so that it is always in it.
  switch (signals.size()) {
    case 0: loop_.on_signal({SIGCHLD}, handle); break;
    case 1: loop_.on_signal({SIGCHLD, signals.begin()[0]}, handle); break;
    default: loop_.on_signal({SIGCHLD, signals.begin()[0], signals.begin()[1]}, handle); break;
  }
}

void Children::watch(pid_t pid, Ended ended) { ended_[pid] = std::move(ended); }

void Children::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    auto entry = ended_.extract(pid);
    if (!entry.empty()) entry.mapped()(exit_status_of(status));
  }
}

Supervisor::Supervisor(Loop& loop, Children& children, std::string name, std::move_only_function<Result<Child>()> start)
    : loop_(loop), children_(children), name_(std::move(name)), start_(std::move(start)), scope_(loop) {}

Supervisor::~Supervisor() { release(); }

void Supervisor::release() {
  released_ = true;
  timer_.reset();
  if (pid_ != 0) children_.forget(pid_);
}

Status Supervisor::start() {
  auto child = TRY(start_(), "start {}", name_);
  pid_ = child.pid;
  pidfd_ = std::move(child.pidfd);
  started_ = loop_.now();
  children_.watch(pid_, [this](ExitStatus status) {
    ended(status.signal != 0 ? fmt::format("was ended by signal {}", status.signal)
                             : fmt::format("exited with {}", status.code));
  });
  return ok();
}

namespace {
Task<Status> until_gone(Loop& loop, int pidfd, std::move_only_function<void()> gone) {
  auto watch = loop.watch(pidfd);
  CO_TRY(co_await watch->readable());
  // Not from within this task: it belongs to the scope that the callback may end.
  loop.post(std::move(gone));
  co_return ok();
}
}  // namespace

Status Supervisor::adopt(pid_t pid) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return fail_errno(errno, fmt::format("{} (pid {})", name_, pid));
  pid_ = pid;
  pidfd_ = std::move(pidfd);
  started_ = loop_.now();
  scope_.spawn(name_, until_gone(loop_, pidfd_.get(), [this] { ended("is gone"); }));
  return ok();
}

void Supervisor::ended(std::string how) {
  pid_ = 0;
  if (released_) return;
  if (on_end) on_end(how);  // before we log: the last words of a log that both write are the program's
  if (loop_.now() - started_ > 250ms) pause_ = {};
  log::warning("{} {}; it starts again{}", name_, how,
               pause_ == Duration{} ? " now" : fmt::format(" in {} ms", pause_ / 1ms));
  const Duration pause = pause_;
  pause_ = pause_ == Duration{} ? 100ms : std::min<Duration>(pause_ * 2, 2s);
  schedule(pause);
}

std::string last_line(std::string_view log) {
  while (!log.empty() && (log.back() == '\n' || log.back() == ' ')) log.remove_suffix(1);
  const size_t start = log.rfind('\n');  // npos + 1 is 0
  return log.empty() ? "it says nothing" : std::string(log.substr(start + 1));
}

void Supervisor::schedule(Duration pause) {
  timer_ = loop_.call_after(pause, [this] {
    if (released_) return;
    ++restarts_;
    if (auto status = start(); !status) {
      log::error("{}", status.error().message());
      const Duration next = pause_;
      pause_ = std::min<Duration>(std::max<Duration>(pause_ * 2, 100ms), 2s);
      schedule(next);
      return;
    }
    if (on_restart) on_restart();
  });
}

}  // namespace causeway::lab
