#include "service/take_over.h"

#include "base/log.h"

namespace causeway::service {

namespace {
constexpr Duration kLookEvery = 5s;
}

Task<Status> take_over_from_kube_proxy(TakeOver with) {
  bool in_place = false, told = false;
  for (;; CO_TRY(co_await with.loop.sleep(kLookEvery))) {
    const auto runs = with.runs();
    if (!runs) {
      log::info("rules of a kube-proxy that ended would be left alone: {}; `kube-proxy --cleanup` removes them",
                runs.error().message());
      co_return ok();
    }
    if (*runs) {
      in_place = false;
      continue;
    }
    if (!in_place) {
      CO_TRY(co_await with.in_place());
      in_place = true;
      if (const auto again = with.runs(); !again || *again) continue;
    }
    const auto removed = CO_TRY(co_await with.worker.run(with.remove));
    if (!removed) {
      log::warning("what kube-proxy left could not be removed, and is tried again in {} s: {}", kLookEvery / 1s,
                   removed.error().message());
      continue;
    }
    for (const std::string& what : removed->what) log::info("removed what kube-proxy left: {}", what);
    if (!removed->connections) co_return ok();
    if (!std::exchange(told, true))
      log::info("{} connections go by virtual servers that kube-proxy left: those stay until the last one has ended",
                removed->connections);
  }
}

}  // namespace causeway::service
