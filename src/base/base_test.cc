#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/delta.h"
#include "base/file.h"
#include "base/inotify.h"
#include "base/ip.h"

using namespace causeway;

static Result<int> half(int value) {
  if (value % 2) return fail(Errc::Invalid, "{} is odd", value);
  return value / 2;
}
static Result<int> quarter(int value) { return TRY(half(TRY(half(value), "quarter of {}", value))); }

TEST_CASE("an error gains context on its way up") {
  CHECK(quarter(12).value() == 3);
  CHECK(quarter(7).error().message() == "quarter of 7: 7 is odd");
  CHECK(quarter(7).error().code() == Errc::Invalid);
}

TEST_CASE("addresses parse strictly and print canonically") {
  CHECK(to_string(*Ip::parse("10.0.0.1")) == "10.0.0.1");
  CHECK(to_string(*Ip::parse("FD00:0::0:1")) == "fd00::1");
  for (auto bad : {"010.0.0.1", "10.0.0", "::ffff:10.0.0.1", "fe80::1%eth0", "", "1.2.3.4 "}) CHECK(!Ip::parse(bad));
  CHECK(to_string(Ip::parse("10.0.0.255")->plus(2)) == "10.0.1.1");
  CHECK(to_string(Ip::parse("fd00::ffff")->plus(1)) == "fd00::1:0");
}

TEST_CASE("prefixes refuse host bits and say what is meant") {
  CHECK(to_string(*Cidr::parse("10.1.0.0/16")) == "10.1.0.0/16");
  CHECK(Cidr::parse("10.1.0.1/16").error().message() ==
        "'10.1.0.1/16' has bits set behind its prefix; '10.1.0.0/16' is meant");
  for (auto bad : {"10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/08", "10.0.0.0/"}) CHECK(!Cidr::parse(bad));
  const auto net = *Cidr::parse("10.1.0.0/16");
  CHECK(net.contains(*Ip::parse("10.1.255.255")));
  CHECK(!net.contains(*Ip::parse("10.2.0.0")));
  CHECK(net.overlaps(*Cidr::parse("10.0.0.0/8")));
  CHECK(!net.overlaps(*Cidr::parse("fd00::/8")));
}

TEST_CASE("diff names what to put and what to remove") {
  const std::map<int, int> actual{{1, 1}, {2, 2}, {3, 3}}, desired{{2, 2}, {3, 4}, {5, 5}};
  const auto delta = diff(actual, desired);
  CHECK(delta.put == std::map<int, int>{{3, 4}, {5, 5}});
  CHECK(delta.remove == std::vector{1});
}

TEST_CASE("who has no inotify instance left is told which limit, and how far it is from enough") {
  // Limits are counted for each user namespace (user_namespaces(7)): a child gets one with room for two.
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::string said = "no user namespace";
    if (::unshare(CLONE_NEWUSER) == 0 && write_existing("/proc/sys/user/max_inotify_instances", "2")) {
      auto enough = check_inotify_room(2);
      auto more = check_inotify_room(3);
      said = !enough ? enough.error().message() : more ? "no error" : more.error().message();
    }
    const bool written = ::write(ends[1], said.data(), said.size()) >= 0;
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  char text[1024];
  const ssize_t size = ::read(ends[0], text, sizeof text);
  ::close(ends[0]);
  ::waitpid(pid, nullptr, 0);
  REQUIRE(size > 0);
  const std::string said(text, static_cast<size_t>(size));
  if (said == "no user namespace") return;  // not allowed here
  CHECK(said.starts_with("3 inotify instances are needed and 2 are left: this user's inotify instances are used up"));
  CHECK(said.contains("sysctl -w fs.inotify.max_user_instances=1024"));
}
