// `causeway lab exec`: a program inside a node, a Pod's container, or another place of the lab.
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

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

template <class Number>
Result<Number> number_of(std::string_view text, int base) {
  Number number{};
  if (const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
      error != std::errc() || end != text.data() + text.size())
    return fail(Errc::Invalid, "\"{}\" is no number", text);
  return number;
}

// A container's process is born in its cgroup as the node's root, and is the container's from its execve() on: what it
// is before must not be taken for the container. Waits for that; a program that only forks afterwards has it behind it.
void wait_until_it_runs(pid_t pid) {
  constexpr unsigned long kForkedNoExec = 0x40;  // PF_FORKNOEXEC
  for (int tries = 0; tries < 200; ++tries) {
    const auto text = read_file(fmt::format("/proc/{}/stat", pid));
    const size_t name_ends = text ? text->rfind(')') : std::string::npos;
    if (name_ends == std::string::npos) return;  // gone: the next look says so
    std::istringstream fields(text->substr(name_ends + 1));
    std::string skipped;
    unsigned long flags = 0;
    for (int i = 0; i < 6; ++i) fields >> skipped;  // state, ppid, pgrp, session, tty, tpgid
    if (!(fields >> flags) || (flags & kForkedNoExec) == 0) return;
    ::usleep(5'000);
  }
}

// Who the container's own process is, by the kernel: what its securityContext and its image came to.
Result<lab::Identity> identity_of(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/status", pid);
  std::istringstream lines(TRY(read_file(path)));
  lab::Identity identity;
  size_t found = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    if (key == "Groups:") {
      while (words >> word) identity.groups.push_back(TRY(number_of<gid_t>(word, 10), "{}", path));
      continue;
    }
    if (!(words >> word)) continue;
    ++found;
    if (key == "Uid:")
      identity.uid = TRY(number_of<uid_t>(word, 10), "{}", path);
    else if (key == "Gid:")
      identity.gid = TRY(number_of<gid_t>(word, 10), "{}", path);
    else if (key == "CapBnd:")
      identity.capabilities = TRY(number_of<uint64_t>(word, 16), "{}", path);
    else if (key == "NoNewPrivs:")
      identity.no_new_privileges = word == "1";
    else
      --found;
  }
  if (found != 4) return fail(Errc::Invalid, "{} does not say who the process is", path);
  return identity;
}

// Where it works; "/" when that cannot be told.
std::string directory_of(pid_t pid) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", pid), error);
  return error || !path.is_absolute() ? "/" : path.string();
}

}  // namespace

int lab_exec(const ExecOptions& options) {
  auto state = lab::observe(options.lab);
  if (!state) return complain(state.error());
  auto place = find_place(*state, options.target, options.container);
  if (!place) return complain(place.error());
  auto command = options.command;
  if (command.empty()) command = {"/bin/sh"};
  if (!place->network_only) wait_until_it_runs(place->pid);
  auto environment = environment_of(place->pid);
  // A place without a root of its own has our programs where we have them, not where nodes have them.
  if (place->network_only)
    if (auto programs = lab::program_folder())
      for (auto& entry : environment)
        if (entry.starts_with("PATH=")) entry.insert(5, *programs + ":");
  auto identity = place->network_only ? lab::Identity() : identity_of(place->pid);
  if (!identity) return complain(std::move(identity.error()).with("{}", options.target));
  const std::string directory = directory_of(place->pid);
  if (auto entered = enter(*place); !entered) return complain(std::move(entered.error()).with("{}", options.target));
  if (!place->network_only && ::chdir(directory.c_str()) != 0 && ::chdir("/") != 0)
    return complain(Error(Errc::Io, "chdir /"));
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::vector<char*> argv, env;
    for (auto& part : command) argv.push_back(part.data());
    for (const auto& entry : environment) env.push_back(const_cast<char*>(entry.c_str()));
    argv.push_back(nullptr);
    env.push_back(nullptr);
    if (!place->network_only && !lab::become(*identity)) {
      std::fprintf(stderr, "error: take on the container's user and capabilities: %s\n", ::strerror(errno));
      ::_exit(126);
    }
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
