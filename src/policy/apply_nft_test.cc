#include "policy/apply_nft.h"

#include <doctest/doctest.h>
#include <netinet/in.h>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "kernel/conntrack/fake.h"
#include "kernel/nftables/diff.h"
#include "kernel/nftables/fake.h"
#include "policy/nft_judge.h"
#include "policy/policy_chaos.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

using cluster::Source;

struct Bench {
  nftables::FakeNftables nft;
  conntrack::FakeConntrack conntrack;
  VirtualLoop loop;
  NftApplier applier{{.node = "n1"}, {nft, conntrack}};

  static void sync(cluster::Model& model) {
    for (Source source : {Source::Pods, Source::Namespaces, Source::Nodes, Source::Attachments, Source::Policies,
                          Source::ClusterPolicies})
      model.set_synced(source);
  }
  // The Pods of n1 are attached.
  static void attach(cluster::Model& model) {
    for (const auto& [key, pod] : model.pods())
      if (pod.node == "n1" && !pod.addresses.empty() && !pod.host_network && !pod.finished)
        model.put(cluster::Attachment{.key = {to_string(key), "eth0"},
                                      .pod = key,
                                      .addresses = pod.addresses,
                                      .host_ifname = "veth-" + std::string(key.name)});
  }
  std::string apply(cluster::Model& model) {
    applier.changed(model.take_changes(), model);
    return apply();
  }
  std::string apply() {
    auto failures = run_until_done(loop, applier.apply());
    if (!failures) return failures.error().message();
    std::string out;
    for (const auto& failure : *failures) out += failure.object + ": " + failure.error.message() + "\n";
    return out;
  }
};

// Two Pods here, one elsewhere.
World shop() {
  World world;
  world.ns("shop", "team=a").ns("other", "team=b");
  world.pod("shop/web", {"10.0.0.1", "fd00::1"}, "app=web", {{"http", Protocol::Tcp, 8080}});
  world.pod("shop/db", {"10.0.0.2", "fd00::2"}, "app=db");
  world.pod("other/far", {"10.0.1.9", "fd00:1::9"}, "app=far");
  auto far = world.changed("other/far");
  far.node = "n2";
  world.model.put(far);
  Bench::attach(world.model);
  Bench::sync(world.model);
  return world;
}

size_t elements(const NftApplier& applier) {
  size_t count = 0;
  for (const auto& [set, all] : applier.section().elements) count += all.size();
  return count;
}
bool holds(const Bench& bench, std::string_view text) { return bench.nft.render().find(text) != std::string::npos; }

conntrack::Flow flow(uint8_t protocol, const Endpoint& from, const Endpoint& asked, const Endpoint& answers) {
  return {.protocol = protocol, .original = {from, asked}, .reply = {answers, from}, .replied = true};
}

// Numbers differ from one compiler to the next, so both are asked.
void same_judgement(const nft::NftRows& rows, const Compiler& rules, const std::map<Ip, PodKey>& own) {
  const Tables tables = rules.tables();
  nftables::Observed held{.section = nft::kSection};
  for (const auto& [name, elements] : rows.section().elements) held.sets[name].elements = elements;
  for (const auto& [address, pod] : own)
    for (std::string_view text : {"10.0.0.1", "10.0.0.2", "10.0.0.5", "10.0.0.8", "10.0.0.99", "192.0.2.7",
                                  "203.0.113.1", "fd00::1", "fd00::3", "fd00::99", "2001:db8::1"})
      for (std::optional<Protocol> protocol : {std::optional(Protocol::Tcp), std::optional(Protocol::Udp),
                                               std::optional(Protocol::Sctp), std::optional<Protocol>()})
        for (uint16_t port : {53, 79, 80, 82, 84, 8080})
          for (Direction direction : {Direction::Ingress, Direction::Egress}) {
            const Ip other = ip(text);
            if (other == address) continue;
            const bool is = rows.allows(direction, address, other, protocol, port);
            const bool wanted = judge(tables, pod, direction, {other, protocol, port}).allowed;
            // The kernel's maps are of one family each, as packets are.
            std::optional<bool> in_kernel = wanted;
            if (other.family() == address.family())
              in_kernel = nft::judge(held, direction, address, {other, protocol, port});
            if (is != wanted || in_kernel != wanted) {
              CAPTURE(to_string(pod));
              CAPTURE(text);
              CAPTURE(port);
              CAPTURE(to_string(direction));
              REQUIRE(is == wanted);
              REQUIRE(in_kernel == wanted);
            }
          }
}

}  // namespace

TEST_CASE("blocks inside blocks become ranges of the longest one, whatever comes and goes in which order") {
  using nft::BlockRanges;
  std::mt19937 random(7);
  for (const bool six : {false, true}) {
    BlockRanges ranges;
    std::map<Cidr, ClassId> blocks;
    for (int step = 0; step < 200; ++step) {
      const int length = static_cast<int>(random() % 9) + (six ? 120 : 24);
      const Ip base = six ? ip(fmt::format("fd00::{:x}", random() % 256)) : Ip::v4(0x0a000000u + random() % 256);
      const Cidr block = random() % 30 == 0 ? Cidr(base, 0) : Cidr(base, length);
      std::optional<ClassId> peer;
      if (random() % 3) peer = static_cast<ClassId>(random() % 4);
      ranges.set(block, peer);
      if (peer)
        blocks[block] = *peer;
      else
        blocks.erase(block);
      for (unsigned i = 0; i < 256; i += 3) {
        const Ip one = six ? ip(fmt::format("fd00::{:x}", i)) : Ip::v4(0x0a000000u + i);
        ClassId wanted = ClassId::None;
        for (int bits = one.bits(); bits >= 0; --bits)
          if (auto found = blocks.find(Cidr(one, bits)); found != blocks.end()) {
            wanted = found->second;
            break;
          }
        REQUIRE(ranges.at(one) == wanted);
      }
      // In one order or another, the ranges are the same.
      if (step % 20 == 0) {
        BlockRanges whole;
        for (const auto& [each, of] : blocks) whole.set(each, of);
        REQUIRE(whole.ranges() == ranges.ranges());
      }
    }
  }
}

TEST_CASE("rows of a random cluster judge as the tables do; brought up to date they are what all of it makes") {
  for (unsigned seed = 1; seed <= 2 * effort(); ++seed) {
    CAPTURE(seed);
    Chaos chaos(seed * 31337, seed % 2 == 0);
    Compiler rules(Options{.node = "n0"});
    nft::NftRows rows(false);
    nftables::FakeNftables kernel;
    rows.rebuild(rules, {});
    REQUIRE(kernel.apply(nftables::diff({.section = "policy"}, rows.section())));
    std::map<Ip, PodKey> own;
    for (int step = 0; step < 25; ++step) {
      for (unsigned i = 1 + chaos.pick(3); i > 0; --i) chaos.change();
      rules.update(chaos.model.take_changes(), chaos.model);
      std::map<Ip, nft::Local> locals;
      std::map<Ip, std::optional<nft::Local>> changed;
      own.clear();
      for (const auto& [key, pod] : chaos.model.pods())
        if (const Subject* subject = rules.subjects.find(key))
          for (const Ip& address : pod.addresses)
            if (own.emplace(address, key).second) locals[address] = {.subject = *subject, .name = to_string(key)};
      for (unsigned i = 1; i < 10; ++i)
        for (const Ip& address : {ip(fmt::format("10.0.0.{}", i)), ip(fmt::format("fd00::{}", i))}) {
          const auto local = locals.find(address);
          changed[address] = local == locals.end() ? std::nullopt : std::optional(local->second);
        }
      const auto transaction = rows.update(rules, changed);
      auto applied = kernel.apply(transaction);
      REQUIRE_MESSAGE(applied, applied.error().message());
      REQUIRE(nftables::diff(kernel.observe("policy").value(), rows.section()).empty());
      rules.clean();
      if (step % 4 == 0) same_judgement(rows, rules, own);
      // Taken anew, with the outcomes' own numbers, it is of the same size and says the same.
      nft::NftRows whole(false);
      whole.rebuild(rules, locals);
      for (const auto& [set, all] : rows.section().elements) {
        CAPTURE(set);
        REQUIRE(whole.section().elements.at(set).size() == all.size());
      }
      if (step % 12 == 0) same_judgement(whole, rules, own);
    }
  }
}

TEST_CASE("nothing is touched before all is known; without policies every Pod of the node is open") {
  Bench bench;
  World world;
  world.ns("shop").pod("shop/web", {"10.0.0.1"});
  Bench::attach(world.model);
  CHECK(bench.apply(world.model) == "");
  CHECK(bench.nft.transactions == 0);
  Bench::sync(world.model);
  CHECK(bench.apply(world.model) == "");
  CHECK(bench.nft.transactions == 1);
  CHECK(holds(bench, R"(10.0.0.1 comment "shop/web" : return)"));
  // Another one is two verdicts and itself.
  const size_t before = elements(bench.applier);
  world.pod("shop/db", {"10.0.0.2"});
  Bench::attach(world.model);
  CHECK(bench.apply(world.model) == "");
  CHECK(elements(bench.applier) == before + 3);
  CHECK(bench.conntrack.listings == 0);
}

TEST_CASE("an attached Pod that the API server does not have fails its ADD, and has no row") {
  Bench bench;
  World world = shop();
  world.model.put(cluster::Attachment{
      .key = {"sandbox", "eth0"}, .pod = {"shop", "ghost"}, .addresses = {ip("10.0.0.7")}, .host_ifname = "vethg"});
  CHECK(bench.apply(world.model).starts_with("attachment sandbox/eth0: "));
  CHECK_FALSE(holds(bench, "10.0.0.7"));
}

TEST_CASE("a policy writes what concerns it, and takes all of it away again") {
  Bench bench;
  World world = shop();
  CHECK(bench.apply(world.model) == "");
  const std::string before = bench.nft.render();
  world.policy("shop/web", R"({"podSelector":{"matchLabels":{"app":"web"}},"ingress":[{"from":[{"podSelector":{}}],
    "ports":[{"port":"http"},{"port":9000,"endPort":9010}]},{"from":[{"ipBlock":{"cidr":"192.0.2.0/24","except":["192.0.2.128/25"]}}]}]})");
  CHECK(bench.apply(world.model) == "");
  CHECK(holds(bench, R"(10.0.0.1 comment "shop/web" : goto policy-judge-ingress4)"));
  CHECK(holds(bench, "192.0.2.0/25"));
  CHECK_FALSE(holds(bench, "192.0.2.128"));
  CHECK(holds(bench, "tcp . 8080 : return"));
  CHECK(holds(bench, "tcp . 9000-9010 : return"));
  world.model.remove(PolicyKey{"shop", "web"});
  CHECK(bench.apply(world.model) == "");
  CHECK(bench.nft.render() == before);
}

TEST_CASE("what others took away comes back; a restarted agent changes nothing that judges differently") {
  Bench bench;
  World world = shop();
  world.policy("shop/deny", R"({"podSelector":{}})");
  CHECK(bench.apply(world.model) == "");
  const std::string before = bench.nft.render();
  bench.nft.flush();
  bench.applier.forget();
  CHECK(bench.apply() == "");
  CHECK(bench.nft.render() == before);
  CHECK(bench.applier.differences().value().empty());
  NftApplier restarted({.node = "n1"}, {bench.nft, bench.conntrack});
  restarted.changed({}, world.model);
  CHECK(run_until_done(bench.loop, restarted.apply()));
  CHECK(bench.nft.render() == before);
  CHECK(restarted.writes() == 0);
}

TEST_CASE("open flows that a change forbids are cut, and only those") {
  Bench bench;
  World world = shop();
  CHECK(bench.apply(world.model) == "");
  const Endpoint web{ip("10.0.0.1"), 8080}, far{ip("10.0.1.9"), 40000}, db{ip("10.0.0.2"), 40001},
      vip{ip("10.96.0.1"), 80}, node{ip("172.18.0.2"), 40002};
  cluster::NodeFacts facts{.name = "n1"};
  facts.addresses = {node.ip};
  world.model.set_facts(facts);
  const auto from_far = flow(IPPROTO_TCP, far, vip, web), from_db = flow(IPPROTO_TCP, db, web, web),
             from_node = flow(IPPROTO_TCP, node, web, web), elsewhere = flow(IPPROTO_UDP, far, node, node),
             ping = flow(IPPROTO_ICMP, {far.ip, 7}, {web.ip, 8 << 8}, {web.ip, 7});
  bench.conntrack.all = {from_far, from_db, from_node, elsewhere, ping};
  world.policy("shop/web", R"({"podSelector":{"matchLabels":{"app":"web"}},
    "ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"db"}}}],"ports":[{"port":8080}]}]})");
  CHECK(bench.apply(world.model) == "");
  CHECK(bench.conntrack.all == std::set{from_db, from_node, elsewhere});
  CHECK(bench.applier.ended_flows() == 2);
  // The other end cannot take the TCP flow up.
  CHECK(holds(bench, "10.0.0.1 . tcp . 8080 . 10.0.1.9 . 40000"));
  // A client that loses its label loses its flow.
  auto changed = world.changed("shop/db");
  changed.labels = {{"app", "cache"}};
  world.model.put(changed);
  CHECK(bench.apply(world.model) == "");
  CHECK(bench.conntrack.all == std::set{from_node, elsewhere});
}

TEST_CASE("Pods elsewhere that come cost no look at tracked connections; those that went are looked at later") {
  Bench bench;
  World world = shop();
  world.policy(
      "shop/web",
      R"({"podSelector":{"matchLabels":{"app":"web"}},"egress":[{"to":[{"namespaceSelector":{}}]}],"policyTypes":["Egress"]})");
  CHECK(bench.apply(world.model) == "");
  const size_t before = bench.conntrack.listings;
  world.pod("other/new", {"10.0.1.10"}, "app=new");
  auto pod = world.changed("other/new");
  pod.node = "n2";
  world.model.put(pod);
  CHECK(bench.apply(world.model) == "");
  CHECK(bench.conntrack.listings == before);
  const auto open = flow(IPPROTO_UDP, {ip("10.0.0.1"), 4000}, {ip("10.0.1.10"), 53}, {ip("10.0.1.10"), 53});
  bench.conntrack.all = {open};
  world.model.remove_pod(World::key("other/new"));
  CHECK(bench.apply(world.model) == "");
  CHECK(bench.conntrack.listings == before);
  Scope scope(bench.loop);
  scope.spawn("flows", bench.applier.look_after_flows(bench.loop));
  bench.loop.advance(6s);
  CHECK(bench.conntrack.listings > before);
  CHECK(bench.conntrack.all.empty());
}
