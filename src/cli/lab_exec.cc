// `causeway lab exec`: a program inside a node, a Pod's container, or another place of the lab.
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "cli/enter.h"
#include "cli/lab.h"
#include "cli/output.h"
#include "lab/programs.h"
#include "lab/spawn.h"

namespace causeway::cli {
namespace {

Status enter(const Place& place) {
  // All are opened before any is entered: afterwards /proc is another one. "pid" counts for children only.
  std::vector<Fd> namespaces;
  for (const char* kind : {"uts", "ipc", "net", "cgroup", "pid", "mnt"}) {
    if (place.network_only && std::string_view(kind) != "net" && std::string_view(kind) != "uts") continue;
    namespaces.push_back(TRY(lab::open_namespace(place.pid, kind)));
  }
  TRY(write_existing(place.cgroup + "/cgroup.procs", "0"), "enter the cgroup");
  for (const Fd& fd : namespaces)
    if (::setns(fd.get(), 0) != 0) return fail_errno(errno, "enter the namespaces");
  return ok();
}

// The environment of the container's own process, so that a shell sees what the application sees.
std::vector<std::string> environment_of(pid_t pid) {
  std::vector<std::string> out = lab::clean_environment();
  auto text = read_file(fmt::format("/proc/{}/environ", pid));
  if (text && !text->empty()) {
    out.clear();
    for (size_t start = 0; start < text->size();) {
      const size_t end = std::min(text->find('\0', start), text->size());
      out.push_back(text->substr(start, end - start));
      start = end + 1;
    }
  }
  if (const char* term = ::getenv("TERM")) out.push_back(std::string("TERM=") + term);
  return out;
}

}  // namespace

int lab_exec(const ExecOptions& options) {
  auto state = lab::observe(options.lab);
  if (!state) return complain(state.error());
  auto place = find_place(*state, options.target, options.container);
  if (!place) return complain(place.error());
  auto command = options.command;
  if (command.empty()) command = {"/bin/sh"};
  auto environment = environment_of(place->pid);
  // A place without a root of its own has our programs where we have them, not where nodes have them.
  if (place->network_only)
    if (auto programs = lab::program_folder())
      for (auto& entry : environment)
        if (entry.starts_with("PATH=")) entry.insert(5, *programs + ":");
  if (auto entered = enter(*place); !entered) return complain(std::move(entered.error()).with("{}", options.target));
  if (!place->network_only && ::chdir("/") != 0) return complain(Error(Errc::Io, "chdir /"));
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::vector<char*> argv, env;
    for (auto& part : command) argv.push_back(part.data());
    for (const auto& entry : environment) env.push_back(const_cast<char*>(entry.c_str()));
    argv.push_back(nullptr);
    env.push_back(nullptr);
    ::environ = env.data();  // execvp looks in its PATH
    ::execvp(argv[0], argv.data());
    std::fprintf(stderr, "error: %s: %s\n", argv[0], ::strerror(errno));
    ::_exit(errno == ENOENT ? 127 : 126);
  }
  // Signals of the terminal are the program's.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGQUIT, SIG_IGN);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return lab::exit_status_of(status).code;
}

}  // namespace causeway::cli
