#include "service/take_over.h"

#include <doctest/doctest.h>

#include <future>

#include "async/scope.h"
#include "async/virtual_loop.h"

namespace causeway::service {

namespace {

struct Node {
  VirtualLoop loop;
  WorkerPool worker{loop, 0};
  bool runs = true, settled = true;
  size_t connections = 0, removals = 0, asked = 0;
  bool done = false;
  Scope scope{loop};

  Node() { scope.spawn("take over", work()); }
  ~Node() { scope.cancel(); }
  Task<Status> work() {
    CO_TRY(co_await take_over_from_kube_proxy({loop, worker, [this]() -> Result<bool> { return runs; },
                                               [this] { return in_place(); },
                                               [this]() -> Result<KubeProxyRemoved> {
                                                 ++removals;
                                                 return KubeProxyRemoved{{}, connections};
                                               }}));
    done = true;
    co_return ok();
  }
  Task<Status> in_place() {
    ++asked;
    while (!settled) CO_TRY(co_await loop.sleep(1s));
    co_return ok();
  }
};

}  // namespace

TEST_CASE("nothing of kube-proxy goes while it runs, nor before all of ours is in the kernel") {
  Node node;
  node.settled = false;
  node.loop.advance(60s);
  CHECK(node.asked == 0);
  node.runs = false;
  node.loop.advance(60s);
  CHECK(node.asked == 1);
  CHECK(node.removals == 0);
  node.settled = true;
  node.loop.advance(6s);
  CHECK(node.removals == 1);
  CHECK(node.done);
}

TEST_CASE("one that is started while ours come into place keeps all") {
  Node node;
  node.runs = node.settled = false;
  node.loop.advance(6s);
  node.runs = node.settled = true;
  node.loop.advance(60s);
  CHECK(node.removals == 0);
  node.runs = false;
  node.loop.advance(6s);
  CHECK(node.asked == 2);
  CHECK(node.done);
}

TEST_CASE("connections by its virtual servers are waited for; started again meanwhile it is left alone") {
  Node node;
  node.runs = false;
  node.connections = 3;
  node.loop.advance(20s);
  CHECK(node.removals > 2);
  CHECK_FALSE(node.done);
  node.runs = true;
  node.loop.advance(6s);
  const size_t before = node.removals;
  node.loop.advance(60s);
  CHECK(node.removals == before);
  node.runs = false;
  node.connections = 0;
  node.loop.advance(6s);
  CHECK(node.asked == 2);
  CHECK(node.done);
}

// All of iptables, of the virtual servers and of nf_conntrack is read there: seconds on a large node.
TEST_CASE("leftovers are looked for on the worker, and the loop goes on meanwhile") {
  const auto loop = make_loop();
  WorkerPool worker(*loop, 1);
  std::promise<void> turned;
  bool went_on = false;
  const auto timer = loop->call_after(1ms, [&] { turned.set_value(); });
  const auto in_place = []() -> Task<Status> { co_return ok(); };
  const auto remove = [&, turned = turned.get_future().share()]() -> Result<KubeProxyRemoved> {
    went_on = turned.wait_for(10s) == std::future_status::ready;  // the loop has run something else
    return KubeProxyRemoved{};
  };
  CHECK(run_until_done(
      *loop, take_over_from_kube_proxy({*loop, worker, []() -> Result<bool> { return false; }, in_place, remove})));
  CHECK(went_on);
}

}  // namespace causeway::service
