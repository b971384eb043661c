#include "policy/replay.h"

#include <doctest/doctest.h>

#include "policy/policy_world.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

World shop() {
  World world;
  world.ns("shop");
  world.pod("shop/web", {"10.0.0.1", "fd00::1"}, "app=web");
  world.pod("shop/db", {"10.0.0.2", "fd00::2"}, "app=db");
  return world;
}

Recorded one(std::string from, std::string to, uint16_t port, std::optional<Protocol> protocol = Protocol::Tcp) {
  const auto address = [](const std::string& name) {
    return name == "shop/web" ? ip("10.0.0.1") : name == "shop/db" ? ip("10.0.0.2") : ip("192.0.2.7");
  };
  return {
      .source_pod = from, .target_pod = to, .source = address(from), .target = address(to), .port = {protocol, port}};
}

std::string say(const World& before, const World& after, const std::vector<Recorded>& recorded) {
  const Replay answer = replay(before.model, compile(before.model), after.model, compile(after.model), recorded);
  std::string out;
  for (const Replayed& difference : answer.differences) out += to_string(difference) + "\n";
  return out + fmt::format("{} judged, {} gone", answer.connections, answer.gone);
}

constexpr std::string_view kDbFromWeb =
    R"({"podSelector":{"matchLabels":{"app":"db"}},"ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"web"}}}],
        "ports":[{"port":5432}]}]})";

}  // namespace

TEST_CASE(
    "a replay names the recorded connections that a change would cut, each once with how often, and who denies it") {
  const World before = shop();
  World after = before;
  after.policy("shop/db", kDbFromWeb);
  CHECK(say(before, after,
            {one("shop/web", "shop/db", 5432), one("shop/web", "shop/db", 9100), one("shop/web", "shop/db", 9100),
             one("", "shop/db", 5432), one("shop/db", "shop/web", 80), one("shop/web", "shop/db", 0, std::nullopt)}) ==
        "would cut: 192.0.2.7 -> shop/db:5432/tcp, denied by ingress isolated by shop/db\n"
        "would cut: shop/web -> shop/db icmp, denied by ingress isolated by shop/db\n"
        "would cut: shop/web -> shop/db:9100/tcp (2 times), denied by ingress isolated by shop/db\n"
        "5 judged, 0 gone");
}

TEST_CASE("a replay names what a change would open, and who denies it now") {
  World before = shop();
  before.policy("shop/db", R"({"podSelector":{"matchLabels":{"app":"db"}}})");
  World after = before;
  after.policy("shop/more", kDbFromWeb);
  CHECK(say(before, after, {one("shop/web", "shop/db", 5432), one("", "shop/db", 5432)}) ==
        "would open: shop/web -> shop/db:5432/tcp, denied now by ingress isolated by shop/db\n2 judged, 0 gone");
  CHECK(say(before, before, {one("shop/web", "shop/db", 5432)}) == "1 judged, 0 gone");
}

TEST_CASE("connections of Pods that are gone are counted and not judged; a Pod with another address now is the same") {
  World before = shop();
  World after = before;
  after.policy("shop/db", R"({"podSelector":{"matchLabels":{"app":"db"}}})");
  Recorded moved = one("shop/web", "shop/db", 80);
  moved.target = ip("10.0.0.99");
  CHECK(say(before, after, {one("shop/old", "shop/db", 80), one("shop/web", "no slash", 80), moved}) ==
        "would cut: shop/web -> shop/db:80/tcp, denied by ingress isolated by shop/db\n1 judged, 2 gone");
}
