// Random clusters: the tables say of every packet what the API's text says, and compiling what changed arrives where
// compiling everything does.
#include <doctest/doctest.h>

#include "policy/policy_chaos.h"
#include "policy/walk.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

constexpr std::pair<std::optional<Protocol>, std::string_view> kProtocols[] = {
    {Protocol::Tcp, "TCP"}, {Protocol::Udp, "UDP"}, {Protocol::Sctp, "SCTP"}, {std::nullopt, ""}};

// As plane netfilter asks: the first row that is there decides.
Decision first_row(const std::map<VerdictKey, Decision>& rows, SetId set, ClassId peer, PortAtom port) {
  for (const VerdictKey& key :
       {VerdictKey{set, peer, port}, {set, peer, 0}, {set, ClassId::None, port}, {set, ClassId::None, 0}})
    if (auto row = rows.find(key); row != rows.end()) return row->second;
  return {.allowed = false};
}

void agrees_with_the_text(const Tables& tables, const Chaos& chaos) {
  const oracle::Cluster truth = chaos.truth();
  std::map<SetId, std::map<VerdictKey, Decision>> flat;
  for (const auto& [id, set] : tables.sets) flat[id] = flatten(tables, id);
  for (const auto& [key, pod] : chaos.pods) {
    CHECK(tables.subjects.contains(key) == oracle::on_pod_network(pod));
    if (!oracle::on_pod_network(pod)) continue;
    for (std::string_view text : {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.8", "10.0.0.99", "192.0.2.7",
                                  "203.0.113.1", "fd00::1", "fd00::3", "fd00::99", "2001:db8::1"})
      for (const auto& [protocol, protocol_name] : kProtocols)
        for (int port : {80, 82, 53, 8080, 9}) {
          if (!protocol && port != 9) continue;
          for (Direction direction : {Direction::Ingress, Direction::Egress}) {
            const Ip other = ip(text);
            const Decision is = judge(tables, key, direction, {other, protocol, static_cast<uint16_t>(port)});
            // The text of NetworkPolicy knows no tiers: with them the rules alone say what is wanted.
            const bool wanted = chaos.tiers ? is.allowed
                                            : oracle::allows(truth, pod, direction == Direction::Ingress, other,
                                                             std::string(protocol_name), port);
            if (is.allowed != wanted) {
              CAPTURE(to_string(key));
              CAPTURE(text);
              CAPTURE(protocol_name);
              CAPTURE(port);
              CAPTURE(to_string(direction));
              CAPTURE(render(tables));
              REQUIRE(is.allowed == wanted);
            }
            auto peer = tables.addresses.find(other);
            const Walk by_rules =
                walk(chaos.model, chaos.model.pods().at(key), direction, {other, protocol, static_cast<uint16_t>(port)},
                     peer == tables.addresses.end() ? nullptr : &chaos.model.pods().at(peer->second.pod));
            if (by_rules.allowed != wanted || by_rules.tier != is.tier) REQUIRE(by_rules.allowed == wanted);
            if (by_rules.decided ? tables.rules.at(is.rule) != by_rules.decided->named() : is.rule != RuleId::None)
              FAIL("the tables name another rule than the rules do");
            if (is.set == SetId::Open) continue;
            const Decision first = first_row(flat.at(is.set), is.set, class_of(tables, other),
                                             atom_of(tables, is.set, protocol, static_cast<uint16_t>(port)));
            if (!(first == is)) REQUIRE(first == is);
          }
        }
  }
}

// What an applier holds that writes dirty rows only.
template <class K, class V>
void copy_dirty(const Table<K, V>& from, std::map<K, V>& to) {
  for (const K& key : from.dirty())
    if (const V* row = from.find(key))
      to.insert_or_assign(key, *row);
    else
      to.erase(key);
}

}  // namespace

TEST_CASE("tables of a random cluster say what the text of the API says") {
  for (unsigned seed = 1; seed <= 2 * effort(); ++seed) {
    CAPTURE(seed);
    Chaos chaos(seed);
    for (int i = 0; i < 40; ++i) chaos.change();
    agrees_with_the_text(compile(chaos.model), chaos);
  }
}

TEST_CASE("with tiers, priorities and Pass the tables say what going through the rules says") {
  for (unsigned seed = 1; seed <= 2 * effort(); ++seed) {
    CAPTURE(seed);
    Chaos chaos(seed * 104729, true);
    for (int i = 0; i < 60; ++i) chaos.change();
    agrees_with_the_text(compile(chaos.model), chaos);
  }
}

TEST_CASE("compiling only what changed arrives where compiling everything does, row by row") {
  for (unsigned seed = 1; seed <= 6 * effort(); ++seed) {
    CAPTURE(seed);
    Chaos chaos(seed * 7919, seed % 2 == 0);
    Options options;
    if (seed % 3 == 0) options.node = "n0";
    if (seed % 4 < 2) options.block_list = 1;
    Compiler compiler(options);
    Tables mirror;
    for (int step = 0; step < 30; ++step) {
      for (unsigned i = 1 + chaos.pick(3); i > 0; --i) chaos.change();
      compiler.update(chaos.model.take_changes(), chaos.model);
      copy_dirty(compiler.subjects, mirror.subjects);
      copy_dirty(compiler.addresses, mirror.addresses);
      copy_dirty(compiler.blocks, mirror.blocks);
      copy_dirty(compiler.ports, mirror.ports);
      copy_dirty(compiler.sets, mirror.sets);
      copy_dirty(compiler.verdicts, mirror.verdicts);
      copy_dirty(compiler.rules, mirror.rules);
      compiler.clean();
      const std::string whole = render(compile(chaos.model, options)), is = render(compiler.tables());
      if (is != whole) {
        CAPTURE(step);
        REQUIRE(is == whole);
      }
      REQUIRE(mirror.subjects == compiler.subjects.values());
      REQUIRE(mirror.addresses == compiler.addresses.values());
      REQUIRE(mirror.blocks == compiler.blocks.values());
      REQUIRE(mirror.ports == compiler.ports.values());
      REQUIRE(mirror.sets == compiler.sets.values());
      REQUIRE(mirror.verdicts == compiler.verdicts.values());
      REQUIRE(mirror.rules == compiler.rules.values());
    }
    if (!options.node && seed % 5 == 1) agrees_with_the_text(compiler.tables(), chaos);
  }
}
