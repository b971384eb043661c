#include "lab/spawn.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/children.h"

using namespace causeway;
using namespace causeway::lab;

namespace {

struct Output {
  std::string text;
  ExitStatus status;
};

// Runs the command and reads what it prints.
Result<Output> run(SpawnOptions options) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  options.descriptors.push_back({write_end.get(), 1});
  auto child = TRY(spawn(options));
  write_end.reset();
  Output out;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(read_end.get(), buffer, sizeof buffer)) > 0;)
    out.text.append(buffer, static_cast<size_t>(size));
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  out.status = exit_status_of(status);
  return out;
}

}  // namespace

TEST_CASE("a program is found in the PATH that it gets, and gets that environment and directory") {
  auto out = run({.argv = {"sh", "-c", "echo $A; pwd; exit 3"},
                  .env = {"PATH=/nowhere:/usr/bin:/bin", "A=a"},
                  .directory = "/usr"});
  REQUIRE(out);
  CHECK(out->text == "a\n/usr\n");
  CHECK(out->status.code == 3);
}

TEST_CASE("a program that is not there is an error that names it") {
  CHECK(spawn({.argv = {"/no/such/program"}}).error().message() ==
        "exec \"/no/such/program\": No such file or directory");
  CHECK(spawn({.argv = {"/etc"}}).error().message() == "exec \"/etc\": Permission denied");
}

TEST_CASE("a step that fails is named, and nothing is run") {
  auto out = run({.argv = {"echo", "ran"}, .steps = {{.kind = Step::Kind::Chdir, .a = "/no/such/folder"}}});
  REQUIRE(!out);
  CHECK(out.error().message() == "chdir /no/such/folder: No such file or directory");
}

TEST_CASE("no descriptor of ours is left to the child but those that it is given") {
  const int leaked = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  Fd given(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  auto out = run(
      {.argv = {"sh", "-c", "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> \\/dev\\/\\(null\\|zero\\)/\\1 \\2/p'"},
       .env = {"PATH=/usr/bin:/bin"},
       .descriptors = {{given.get(), 5}}});
  ::close(leaked);
  REQUIRE(out);
  CHECK(out->text == "0 null\n2 null\n5 zero\n");
}

TEST_CASE("a signal's number becomes the exit code that shells give") {
  auto out = run({.argv = {"sh", "-c", "kill -9 $$"}, .env = {"PATH=/usr/bin:/bin"}});
  REQUIRE(out);
  CHECK(out->status.signal == 9);
  CHECK(out->status.code == 137);
}

TEST_CASE("the last words of a log are its last line that says something") {
  CHECK(last_line("first\nerror: no port\n\n") == "error: no port");
  CHECK(last_line("one") == "one");
  CHECK(last_line("\n\n") == "it says nothing");
}

TEST_CASE("who supervises a program hears each of its ends") {
  auto loop = make_loop();
  Children children(*loop);
  children.install({}, [](int) {});
  Supervisor supervisor(*loop, children, "brief",
                        [] { return spawn({.argv = {"sh", "-c", "exit 7"}, .env = {"PATH=/usr/bin:/bin"}}); });
  std::vector<std::string> ends;
  supervisor.on_end = [&](const std::string& how) {
    ends.push_back(how);
    if (ends.size() == 3) loop->stop();
  };
  REQUIRE(supervisor.start());
  loop->run();
  CHECK(ends == std::vector<std::string>(3, "exited with 7"));
}
