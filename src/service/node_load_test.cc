#include "service/node_load.h"

#include <doctest/doctest.h>

#include "async/scope.h"
#include "async/virtual_loop.h"

using namespace causeway;
using namespace causeway::service;

TEST_CASE("busy is what is neither idle nor waiting for a disk") {
  const auto times = parse_cpu_times("cpu  100 10 50 800 40 0 5 5 30 0\ncpu0 1 2 3\n");
  REQUIRE(times);
  CHECK(times->total == 1010);
  CHECK(times->busy == 170);
  CHECK_FALSE(parse_cpu_times("intr 5"));
  CHECK_FALSE(parse_cpu_times("cpu  x"));
  CHECK(load_between({0, 0}, {250, 1000}) == 250);
  CHECK(load_between({10, 100}, {10, 100}) == 0);
}

TEST_CASE("the load is written when somebody asks for it, and when it changed by more than 5 per cent") {
  VirtualLoop loop;
  CpuTimes counters;
  uint64_t busy = 200;  // of each 1000 ticks, ten seconds of 100 CPUs
  bool wanted = false, refused = false;
  std::vector<uint32_t> written;
  NodeLoad load(loop, {.read = [&]() -> Result<CpuTimes> {
                         counters.busy += busy;
                         counters.total += 1000;
                         return counters;
                       },
                       .wanted = [&] { return wanted; },
                       .write = [&](uint32_t value) -> Task<Status> {
                         if (refused) co_return fail(Errc::Unavailable, "the API server is away");
                         written.push_back(value);
                         co_return ok();
                       }});
  Scope scope(loop);
  scope.spawn("load", load.run());
  loop.advance(60s);
  CHECK(written.empty());
  wanted = true;
  loop.advance(60s);
  CHECK(written == std::vector<uint32_t>{200});
  busy = 240;
  loop.advance(120s);
  CHECK(written.size() == 1);
  refused = true;
  busy = 800;
  loop.advance(60s);
  CHECK(written.size() == 1);
  refused = false;
  loop.advance(60s);
  CHECK(written.back() > 700);
  CHECK(written.size() == 2);
}
