#include "lab/images/run_tool.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "lab/children.h"
#include "lab/spawn.h"

namespace causeway::lab {

Result<std::string> run_tool(const std::vector<std::string>& argv) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  // A file, so that a tool that says much on both sides does not wait for us.
  char name[] = "/tmp/causeway-tool-XXXXXX";
  const Fd said(::mkostemp(name, O_CLOEXEC));
  if (!said) return fail_errno(errno, "make a temporary file");
  ::unlink(name);
  const char* path = ::getenv("PATH");
  auto child = spawn({.argv = argv,
                      .env = {std::string("PATH=") + (path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"), "HOME=/root",
                              "TMPDIR=/var/tmp", "LC_ALL=C"},
                      .descriptors = {{write_end.get(), 1}, {said.get(), 2}}});
  if (!child && child.error().message().find("No such file") != std::string::npos)
    return fail(Errc::Unsupported, "{} is not installed: ./dev setup, or apt-get install {}", argv[0], argv[0]);
  if (!child) return fail(std::move(child.error()));
  write_end.reset();
  std::string output;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(read_end.get(), buffer, sizeof buffer)) != 0;) {
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    output.append(buffer, static_cast<size_t>(size));
  }
  int status = 0;
  while (::waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (exit_status_of(status).code == 0) return output;
  std::string words;
  ::lseek(said.get(), 0, SEEK_SET);
  for (ssize_t size = 0; (size = ::read(said.get(), buffer, sizeof buffer)) > 0;)
    words.append(buffer, static_cast<size_t>(size));
  return fail(Errc::Io, "{} failed: {}", argv[0], last_line(words));
}

}  // namespace causeway::lab
