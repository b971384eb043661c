// Tables as rows of the kernel's maps: the longest prefix of a port finds its atom, the first row that is there
// decides.
#include "policy/bpf_rows.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>

#include "policy/policy_world.h"

using namespace causeway;
using namespace causeway::policy;

namespace {

// As the kernel's trie finds it.
uint32_t atom_at(const std::vector<std::pair<abi::policy_port_key, uint32_t>>& rows, Protocol protocol, uint16_t port) {
  uint32_t found = 0, longest = 0;
  for (const auto& [key, atom] : rows) {
    const uint32_t bits = key.prefixlen - abi::POLICY_PORT_BITS, shift = 16 - bits;
    if (key.proto != static_cast<uint8_t>(protocol) || (ntohs(key.port) >> shift) != (port >> shift)) continue;
    if (bits < longest) continue;
    longest = bits;
    found = atom;
  }
  return found;
}

}  // namespace

TEST_CASE("a range of ports is prefixes that hold it and nothing else") {
  const PortRanges all = {{Protocol::Tcp, 0, 0, 1},         {Protocol::Tcp, 1, 65535, 2},
                          {Protocol::Udp, 80, 80, 3},       {Protocol::Udp, 81, 1000, 4},
                          {Protocol::Udp, 32767, 32769, 5}, {Protocol::Sctp, 0, 65535, 6}};
  for (const PortRange& range : all) {
    const auto rows = port_rows(7, PortsId{9}, {range});
    CHECK(rows.size() <= 30);
    for (uint32_t port = 0; port <= UINT16_MAX; ++port)
      if (atom_at(rows, range.protocol, static_cast<uint16_t>(port)) !=
          (range.first <= port && port <= range.last ? range.atom : 0))
        FAIL("port ", port, " of ", range.first, "-", range.last);
    for (const auto& [key, atom] : rows) CHECK((key.bank == 7 && key.ports == 9 && key.reserved == 0));
  }
  CHECK(port_rows(1, PortsId{1}, {{Protocol::Sctp, 0, 65535, 6}}).size() == 1);
}

TEST_CASE("a set's rows: asked as (class, port), (class, any), (anybody, port), the first decides as the tables do") {
  World world;
  world.ns("x").pod("x/a", {"10.0.0.1"}, "p=a").pod("x/b", {"10.0.0.2"}, "p=b").pod("x/c", {"10.0.0.3"}, "p=c");
  world.policy("x/one", R"({"podSelector":{"matchLabels":{"p":"a"}},"ingress":[
      {"from":[{"podSelector":{"matchLabels":{"p":"b"}}}],"ports":[{"port":80}]},
      {"from":[{"podSelector":{"matchLabels":{"p":"c"}}}]},{"ports":[{"port":443}]}]})");
  Compiler compiler;
  compiler.update({}, world.model);
  const Tables tables = compiler.tables();
  const SetId set = tables.subjects.at(World::key("x/a")).ingress;
  const SetRows rows = set_rows(compiler.verdicts, set);
  CHECK(rows.otherwise.action == abi::POLICY_DENY);
  CHECK(!has_tiers(compiler.verdicts, set));
  for (std::string_view peer : {"10.0.0.2", "10.0.0.3", "192.0.2.1"})
    for (uint16_t port : {uint16_t{80}, uint16_t{81}, uint16_t{443}}) {
      CAPTURE(peer);
      CAPTURE(port);
      const ClassId of = class_of(tables, ip(peer));
      const PortAtom atom = atom_of(tables, set, Protocol::Tcp, port);
      abi::policy_verdict_value found = rows.otherwise;
      for (const auto& shape : {std::pair(of, atom), std::pair(of, PortAtom{0}), std::pair(ClassId::None, atom)})
        if (auto row = rows.rows.find(shape); row != rows.rows.end()) {
          found = row->second;
          break;
        }
      CHECK((found.action == abi::POLICY_ALLOW) ==
            judge(tables, World::key("x/a"), Direction::Ingress, {ip(peer), Protocol::Tcp, port}).allowed);
    }
}
