// The maps under random changes, deaths of the agent in the middle, and full maps: after every single write each
// Service is whole, and in the end the maps say what the tables say.
#include <doctest/doctest.h>

#include <random>

#include "service/bpf_maps_world.h"
#include "service/slots.h"

using namespace causeway;
using namespace causeway::service;

namespace {

using Expected = std::map<FrontendKey, std::string>;

class RandomTables {
 public:
  explicit RandomTables(uint32_t seed) : random_(seed) {}
  uint32_t below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }
  bool chance(uint32_t percent) { return below(100) < percent; }

  static cluster::ServiceKey key(uint32_t n) { return {"ns", fmt::format("s{}", n)}; }

  Tables service(uint32_t n) {
    Tables tables;
    const uint32_t ports = below(3);
    for (uint32_t p = 0; p < ports; ++p) {
      const PortId id{"ns", fmt::format("s{}", n), fmt::format("p{}", p)};
      Port port{.algorithm = chance(10)   ? Algorithm::SourceHash
                             : chance(20) ? Algorithm::RoundRobin
                             : chance(10) ? Algorithm::LeastConnections
                                          : Algorithm::Random,
                .affinity = chance(20) ? 60u : 0u};
      const bool weighted = chance(20);
      for (uint32_t i = 0; i < 12; ++i) {
        if (chance(50)) continue;
        Backend backend{.at = {Ip::v4(0x0a010000 + i), static_cast<uint16_t>(8000 + p)},
                        .cluster_pool = chance(80),
                        .local_pool = chance(30),
                        .weight = static_cast<uint16_t>(weighted ? 1 + below(5) : 1)};
        port.backends.push_back(backend);
      }
      auto has = [&](auto of) { return std::ranges::any_of(port.backends, of); };
      const bool cluster = has([](const Backend& b) { return b.cluster_pool; });
      const bool local = has([](const Backend& b) { return b.local_pool; });
      auto side = [&]() -> Side {
        if (cluster && chance(60)) return {.verdict = Verdict::Balance, .masquerade = chance(50)};
        if (local && chance(60)) return {.verdict = Verdict::Balance, .pool = Pool::Local};
        return {.verdict = chance(50) ? Verdict::Reject : Verdict::Drop};
      };
      const uint16_t number = static_cast<uint16_t>(80 + p);
      tables.frontends[{Ip::v4(0x0a600001 + n), number}] = {.port = id, .inside = side(), .outside = side()};
      if (chance(50))
        tables.frontends[{Ip::v4(0), static_cast<uint16_t>(30000 + 10 * n + p)}] = {
            .port = id, .kind = Kind::NodePort, .inside = side(), .outside = side()};
      if (chance(20))
        tables.frontends[{Ip::v4(0xc0000201 + n), number}] = {.port = id,
                                                              .kind = Kind::LoadBalancer,
                                                              .inside = side(),
                                                              .outside = side(),
                                                              .sources = {Cidr(Ip::v4(below(4) << 24), 8)}};
      tables.ports[id] = std::move(port);
    }
    if (ports) tables.addresses[Ip::v4(0x0a600001 + n)] = key(n);
    return tables;
  }

 private:
  std::mt19937 random_;
};

// What the tables ask for, said as Kernel::resolve() says it.
std::map<FrontendKey, std::string> expected(const Desired& desired) {
  Expected out;
  for (const auto& [key, row] : desired.frontends.rows()) {
    const Port& port = desired.ports.find(row.value.port)->value;
    auto side = [&](const Side& of) -> std::string {
      if (of.verdict == Verdict::Reject) return "reject";
      if (of.verdict == Verdict::Drop) return "drop";
      std::vector<Share> shares;
      for (const Backend& b : port.backends)
        if (of.pool == Pool::Cluster ? b.cluster_pool : b.local_pool)
          shares.push_back({b.at, static_cast<uint32_t>(shares.size()), b.weight});
      std::map<uint32_t, uint32_t> times;
      for (uint32_t slot : plan_slots(port.algorithm, shares, {}).slots) ++times[slot];
      std::map<std::string, uint32_t> named;
      for (const auto& [share, n] : times) named[to_string(shares[share].at)] = n;
      std::string text = of.masquerade ? "masquerade" : "";
      for (const auto& [endpoint, n] : named) text += fmt::format(" {}x{}", endpoint, n);
      return text;
    };
    const auto encoded = encode(row.value, {.id = 1, .algorithm = port.algorithm, .affinity = port.affinity});
    out[key] = fmt::format("kind {} flags {} affinity {} in:{} out:{}", encoded.kind, encoded.flags, encoded.affinity,
                           side(row.value.inside), side(row.value.outside));
  }
  return out;
}

const Side* side_of(const Tables& tables, const FrontendKey& key, bool inside) {
  const auto row = tables.frontends.find(key);
  return row == tables.frontends.end() ? nullptr : inside ? &row->second.inside : &row->second.outside;
}

// Endpoints of the pool that `side` names, as `tables` have them.
std::set<std::string> endpoints_of(const Tables& tables, const PortId& id, const Side& side) {
  std::set<std::string> out;
  const auto port = tables.ports.find(id);
  if (port == tables.ports.end() || side.verdict != Verdict::Balance) return out;
  for (const Backend& b : port->second.backends)
    if (side.pool == Pool::Cluster ? b.cluster_pool : b.local_pool) out.insert(to_string(b.at));
  return out;
}

// What a side leads to is of its old pool or its new one, of the old endpoints or the new ones; where the pool stays,
// the endpoints that stay are there all the time. Kernel::endpoints() wants every slot there and serving.
void check_whole(const Kernel& kernel, const Tables& old, const Tables& now) {
  for (const auto& [key, row] : kernel.services.rows) {
    if (is_address(key)) continue;
    for (const bool inside : {true, false}) {
      const abi::service_side& side = inside ? row.inside : row.outside;
      if (side.verdict != abi::SERVICE_BALANCE) continue;
      const PortId& id = (now.frontends.contains(decode(key)) ? now : old).frontends.at(decode(key)).port;
      const Side *was = side_of(old, decode(key), inside), *is = side_of(now, decode(key), inside);
      std::set<std::string> met, any;
      for (const auto& [endpoint, times] : kernel.endpoints(row, side)) met.insert(endpoint);
      for (const Side* of : {was, is})
        for (const Tables* tables : {&old, &now})
          if (of) any.merge(endpoints_of(*tables, id, *of));
      for (const std::string& endpoint : met)
        if (!any.contains(endpoint)) FAIL("leads to one that never was asked for");
      if (!was || !is || was->pool != is->pool) continue;
      const auto before = endpoints_of(old, id, *was), after = endpoints_of(now, id, *is);
      for (const std::string& endpoint : before)
        if (after.contains(endpoint) && !met.contains(endpoint)) FAIL("lost one that stays");
    }
  }
}

}  // namespace

TEST_CASE("random changes and deaths: every write leaves every Service whole") {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    RandomTables random(seed);
    Kernel kernel;
    Tables old;  // what the kernel had before the pass
    auto agent = std::make_unique<Agent>(kernel);
    const uint32_t services = 1 + random.below(6);
    for (int step = 0; step < 15; ++step) {
      const uint32_t changes = 1 + random.below(3);
      for (uint32_t i = 0; i < changes; ++i) {
        const uint32_t n = random.below(services);
        agent->desired.replace(RandomTables::key(n), random.chance(20) ? Tables() : random.service(n));
      }
      const Tables tables = agent->desired.tables();
      kernel.look = [&] { check_whole(kernel, old, tables); };
      if (random.chance(30)) kernel.left = random.below(40);
      const std::string said = agent->apply();
      const bool died = kernel.left == 0;
      kernel.left = SIZE_MAX;
      if (died || random.chance(10)) {  // killed, or just restarted
        auto next = std::make_unique<Agent>(kernel);
        for (uint32_t n = 0; n < services; ++n) {
          Tables mine;
          const std::string name = RandomTables::key(n).name;
          for (const auto& [key, row] : tables.frontends)
            if (row.port.name == name) mine.frontends.emplace(key, row);
          for (const auto& [key, row] : tables.ports)
            if (key.name == name) mine.ports.emplace(key, row);
          for (const auto& [key, row] : tables.addresses)
            if (row.name == name) mine.addresses.emplace(key, row);
          next->desired.replace(RandomTables::key(n), std::move(mine));
        }
        std::swap(agent, next);
        CHECK(agent->apply() == "");
      } else {
        CHECK(said == "");
      }
      CHECK(kernel.resolve() == expected(agent->desired));
      if (random.chance(50)) agent->loop.advance(1s);
      CHECK(agent->differences() == "");
      old = tables;
    }
    kernel.look = [] {};
    for (uint32_t n = 0; n < services; ++n) agent->desired.replace(RandomTables::key(n), {});
    CHECK(agent->apply() == "");
    agent->loop.advance(1s);
    CHECK(kernel.services.rows.empty());
    CHECK(kernel.slots.rows.empty());
    CHECK(kernel.sources.rows.empty());
    CHECK(kernel.serving() == 0);
  }
}
