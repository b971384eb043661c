// What plane netfilter tells of flows: first packets that passed and that were dropped, and what a change cut.
#include <doctest/doctest.h>

#include "kernel/nftables/listing.h"
#include "policies.h"
#include "policy/seen_nft.h"

namespace causeway::test {

namespace {

std::string name_of(World& world, const Ip& ip) {
  for (const auto& [name, pod] : {std::pair{"a1", &world.a1()}, {"a2", &world.a2()}, {"b1", &world.b1()}})
    if (ip == pod->ip4 || ip == pod->ip6) return name;
  return "?";
}

}  // namespace

TEST_CASE("first packets that pass and that are dropped are told once, with the rule, and cut flows too") {
  PolicyWorld p;
  World& w = p.world;
  policy::NftFlows flows(p.a.loop, *p.applier, [&](const std::string& name, const nftables::Set& set) {
    In in(w.a.ns);
    return nftables::list_elements(name, set);
  });
  // It looks twice a second.
  const auto told = [&](uint16_t port) {
    p.a.loop.advance(std::chrono::milliseconds(600));
    std::string out;
    REQUIRE(flows.read([&](const policy::Seen& seen) {
      if (seen.target_port != port) return;
      const policy::Because because = policy::because(p.applier->desired().rules, seen);
      out += fmt::format("{}{}{} {} > {} {} {} {}\n", to_string(seen.fate), seen.denied ? " by " : "",
                         seen.denied ? to_string(*seen.denied) : "", name_of(w, seen.source), name_of(w, seen.target),
                         seen.protocol, because.policy, because.rule);
    }));
    return out;
  };
  p.put("shop/a1", R"({"podSelector":{"matchLabels":{"app":"a1"}},"ingress":[{"from":[
    {"podSelector":{"matchLabels":{"app":"a2"}}}]}]})");
  REQUIRE(p.apply() == "");
  for (const Family family : kFamilies) {
    CAPTURE(to_string(family));
    const Ip to = w.a1().ip(family);
    CHECK(wrong({{w.a2().ns, Way::Udp, to}, {w.b1().ns, Way::Udp, to, 8080, false}}) == "");
    const std::string text = told(8080);
    CHECK(text.find("allowed a2 > a1 17 NetworkPolicy shop/a1 ingress[0]\n") != std::string::npos);
    CHECK(text.find("dropped by ingress b1 > a1 17 NetworkPolicy shop/a1 \n") != std::string::npos);
    CHECK(told(8080) == "");
  }
  p.put("shop/a1", R"({"podSelector":{"matchLabels":{"app":"a1"}}})");
  REQUIRE(p.apply() == "");
  CHECK(told(8080).find("cut by ingress a2 > a1 17 NetworkPolicy shop/a1 \n") != std::string::npos);
  CHECK(flows.lost() == 0);
}

}  // namespace causeway::test
