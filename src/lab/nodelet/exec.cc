#include "lab/nodelet/exec.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "async/scope.h"
#include "lab/cgroup.h"
#include "lab/nodelet/runtime.h"
#include "lab/state.h"

namespace causeway::lab {
namespace {

constexpr size_t kMostOutput = 10 * 1024;

// Reads until nobody holds the other end any more; what is too much is dropped.
Task<Status> collect(Loop& loop, int fd, std::string& output) {
  auto watch = loop.watch(fd);
  for (;;) {
    CO_TRY(co_await watch->readable());
    char buffer[4096];
    const ssize_t size = ::read(fd, buffer, sizeof buffer);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) co_return ok();
    if (size > 0 && output.size() < kMostOutput)
      output.append(buffer, std::min(static_cast<size_t>(size), kMostOutput - output.size()));
  }
}

// Ends the program with its owner.
struct Running {
  Children& children;
  Child child;
  bool over = false;
  ~Running() {
    if (over) return;
    children.forget(child.pid);
    send_signal(child.pidfd.get(), SIGKILL);
  }
};

}  // namespace

Task<Result<ExecResult>> exec_in(NodeContext& context, ContainerProcess process, std::vector<std::string> argv,
                                 Duration limit) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) co_return fail_errno(errno, "pipe");
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  ::fcntl(write_end.get(), F_SETFL, 0);  // the program's end waits as any pipe does
  std::vector<Fd> spaces;
  std::vector<int> join;
  for (const char* kind : {"net", "ipc", "uts", "mnt"}) {
    spaces.push_back(CO_TRY(open_namespace(process.pid, kind)));
    join.push_back(spaces.back().get());
  }
  const Fd pids = CO_TRY(open_namespace(process.pid, "pid"));
  const Fd cgroup = CO_TRY(open_cgroup(process.cgroup));
  Running running{context.children, CO_TRY(spawn({.argv = std::move(argv),
                                                  .env = process.env,
                                                  .cgroup_fd = cgroup.get(),
                                                  .join = join,
                                                  .born_in = pids.get(),
                                                  .directory = process.directory,
                                                  .identity = process.identity,
                                                  .descriptors = {{write_end.get(), 1}, {write_end.get(), 2}}}))};
  write_end.reset();
  ExecResult result;
  OneShot<ExitStatus> ended(context.loop);
  bool late = false;
  context.children.watch(running.child.pid, [&](ExitStatus status) {
    running.over = true;
    ended.set(status);
  });
  auto timer = context.loop.call_after(limit, [&] {
    late = true;
    send_signal(running.child.pidfd.get(), SIGKILL);
  });
  Scope scope(context.loop);
  scope.spawn("exec output", collect(context.loop, read_end.get(), result.output));
  const auto status = CO_TRY(co_await ended.get());
  if (late) co_return fail(Errc::Timeout, "command timed out: no end in {} s", limit / 1s);
  // What is in the pipe is read; a grandchild that holds it open is not waited for.
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(read_end.get(), buffer, sizeof buffer)) > 0;)
    if (result.output.size() < kMostOutput)
      result.output.append(buffer, std::min(static_cast<size_t>(size), kMostOutput - result.output.size()));
  result.code = status.code;
  co_return result;
}

}  // namespace causeway::lab
