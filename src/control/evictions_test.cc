#include "control/evictions.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::control;

namespace {

const kube::Time kNow(std::chrono::seconds(1000));

std::string stay(std::vector<kube::Toleration> tolerations, std::vector<kube::Taint> taints) {
  kube::Pod pod;
  pod.spec.tolerations = std::move(tolerations);
  kube::Node node;
  node.spec.taints = std::move(taints);
  auto result = plan_stay(pod, node, kNow, kNow - 10s);
  if (result.evict) return "evict for " + result.taint;
  if (result.until_then)
    return fmt::format("{} s for {}", std::chrono::duration_cast<std::chrono::seconds>(*result.until_then).count(),
                       result.taint);
  return "stay";
}

kube::Taint taint(std::string key, std::string effect = "NoExecute") {
  return {.key = key, .value = "v", .effect = effect};
}
kube::Toleration tolerate(std::string key, std::optional<int64_t> seconds = {}) {
  return {.key = key, .op = "Exists", .effect = "NoExecute", .toleration_seconds = seconds};
}

}  // namespace

TEST_CASE("a Pod leaves a node whose NoExecute taint it does not tolerate") {
  CHECK(stay({}, {}) == "stay");
  CHECK(stay({}, {taint("a", "NoSchedule")}) == "stay");
  CHECK(stay({}, {taint("a")}) == "evict for a=v:NoExecute");
  CHECK(stay({tolerate("a")}, {taint("a")}) == "stay");
  CHECK(stay({tolerate("b")}, {taint("a")}) == "evict for a=v:NoExecute");
  CHECK(stay({{.key = "a", .value = "v"}}, {taint("a")}) == "stay");
  CHECK(stay({{.key = "a", .value = "w"}}, {taint("a")}) == "evict for a=v:NoExecute");
  CHECK(stay({{.op = "Exists"}}, {taint("a"), taint("b")}) == "stay");
}

TEST_CASE("a Pod that tolerates a taint for some time leaves after it") {
  CHECK(stay({tolerate("a", 300)}, {taint("a")}) == "290 s for a=v:NoExecute");
  auto old = taint("a");
  old.time_added = kNow - 300s;
  CHECK(stay({tolerate("a", 300)}, {old}) == "evict for a=v:NoExecute");
  CHECK(stay({tolerate("a", 300), tolerate("a", 20)}, {taint("a")}) == "10 s for a=v:NoExecute");
  CHECK(stay({tolerate("a", 0)}, {taint("a")}) == "evict for a=v:NoExecute");
  CHECK(stay({tolerate("a"), tolerate("b", 60)}, {taint("a"), taint("b")}) == "50 s for b=v:NoExecute");
}
