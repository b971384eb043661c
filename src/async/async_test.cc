#include <doctest/doctest.h>
#include <unistd.h>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "async/worker_pool.h"
#include "base/fd.h"

using namespace causeway;

static Task<Result<int>> nap(Loop& loop, Duration delay, int value) {
  CO_TRY(co_await loop.sleep(delay), "nap {}", value);
  co_return value;
}
static Task<Status> naps(Loop& loop, std::vector<std::string>& log) {
  for (int i = 0; i < 3; ++i) {
    auto value = co_await nap(loop, 10s, i);
    log.push_back(value ? std::to_string(*value) : value.error().message());
    if (!value) co_return fail(std::move(value.error()));
  }
  co_return ok();
}

TEST_CASE("time moves only when the test moves it") {
  VirtualLoop loop;
  std::vector<std::string> log;
  Scope scope(loop);
  scope.spawn("naps", naps(loop, log));
  loop.advance(9s);
  CHECK(log.empty());
  loop.advance(11s);
  CHECK(log == std::vector<std::string>{"0", "1"});
  loop.advance(10s);
  CHECK(log.size() == 3);
  CHECK(scope.running() == 0);
}

TEST_CASE("a scope that ends cancels and awaits its tasks") {
  VirtualLoop loop;
  std::vector<std::string> log;
  {
    Scope scope(loop);
    scope.spawn("naps", naps(loop, log));
    loop.advance(12s);
  }
  CHECK(log == std::vector<std::string>{"0", "nap 1: cancelled"});
  loop.advance(100s);
}

TEST_CASE("a cancelled scope refuses to suspend again") {
  VirtualLoop loop;
  std::vector<std::string> log;
  Scope scope(loop);
  scope.cancel();
  scope.spawn("naps", naps(loop, log));
  CHECK(log == std::vector<std::string>{"nap 0: cancelled"});
}

static Task<Status> read_all(Channel<int> channel, std::vector<int>& seen, std::string& end) {
  for (;;) {
    auto value = co_await channel.next();
    if (!value) {
      end = value.error().message();
      co_return ok();
    }
    seen.push_back(*value);
  }
}

TEST_CASE("a channel delivers in order, then its closing reason") {
  VirtualLoop loop;
  Scope scope(loop);
  Channel<int> channel(loop);
  std::vector<int> seen;
  std::string end;
  channel.push(1);
  scope.spawn("reader", read_all(channel, seen, end));
  channel.push(2);
  loop.run_ready();
  channel.push(3);
  channel.close(Error(Errc::Unavailable, "peer went away"));
  loop.run_ready();
  CHECK(seen == std::vector<int>{1, 2, 3});
  CHECK(end == "peer went away");
}

static Task<Result<int>> add_in_pool(WorkerPool& pool) {
  int sum = 0;
  for (int i = 1; i <= 100; ++i) sum += CO_TRY(co_await pool.run([i] { return i; }));
  co_return sum;
}

TEST_CASE("the worker pool brings results back to the loop") {
  auto loop = make_loop();
  WorkerPool pool(*loop, 2);
  CHECK(run_until_done(*loop, add_in_pool(pool)).value() == 5050);
}

static Task<Result<char>> read_pipe(Loop& loop, int fd) {
  auto watch = loop.watch(fd);
  CO_TRY(co_await watch->readable());
  char byte = 0;
  if (::read(fd, &byte, 1) != 1) co_return fail(Errc::Io, "read");
  co_return byte;
}

TEST_CASE("a file descriptor wakes its waiter") {
  auto loop = make_loop();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Fd in(ends[0]), out(ends[1]);
  auto timer = loop->call_after(1ms, [&] { CHECK(::write(out.get(), "x", 1) == 1); });
  CHECK(run_until_done(*loop, read_pipe(*loop, in.get())).value() == 'x');
}
