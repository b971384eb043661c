#include "kernel/xtables/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/fd.h"

namespace causeway::xtables {
namespace {

// Files in memory for all three streams: no pipe can fill up while we wait.
Result<Fd> memory(const char* name, std::string_view content = {}) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) return fail_errno(errno, "memfd_create");
  while (!content.empty()) {
    const ssize_t written = ::write(fd.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "write the input of a program");
    content.remove_prefix(size_t(written));
  }
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

Result<std::string> content_of(const Fd& fd) {
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, "fstat");
  std::string content(size_t(info.st_size), '\0');
  size_t have = 0;
  while (have < content.size()) {
    const ssize_t count = ::pread(fd.get(), content.data() + have, content.size() - have, off_t(have));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail_errno(count < 0 ? errno : EIO, "read what a program said");
    have += size_t(count);
  }
  return content;
}

// A service's PATH may lack /usr/sbin, where iptables is.
std::string find(const std::string& name) {
  if (name.contains('/')) return ::access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = std::getenv("PATH");
  std::string folders = std::string(path ? path : "") + ":/usr/sbin:/sbin:/usr/bin:/bin";
  for (size_t at = 0; at <= folders.size();) {
    const size_t end = std::min(folders.find(':', at), folders.size());
    const std::string candidate = folders.substr(at, end - at) + "/" + name;
    if (end > at && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return "";
}

class Actions {
 public:
  Actions() { ::posix_spawn_file_actions_init(&actions_); }
  ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  void duplicate(const Fd& from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from.get(), to); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

}  // namespace

Result<Ran> run(const std::vector<std::string>& argv, std::string_view input) {
  const std::string path = find(argv.front());
  if (path.empty()) return fail(Errc::NotFound, "there is no program {}", argv.front());
  const Fd in = TRY(memory("input", input)), out = TRY(memory("output")), err = TRY(memory("errors"));
  Actions actions;
  actions.duplicate(in, STDIN_FILENO);
  actions.duplicate(out, STDOUT_FILENO);
  actions.duplicate(err, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const auto& each : argv) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  if (const int error = ::posix_spawn(&pid, path.c_str(), actions.get(), nullptr, arguments.data(), ::environ))
    return fail_errno(error, "start " + path);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return fail_errno(errno, "wait for " + path);
  return Ran{WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), TRY(content_of(out)),
             TRY(content_of(err))};
}

}  // namespace causeway::xtables
