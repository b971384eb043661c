// The door to nf_tables against the running kernel; `nft list` judges what was written. Everything happens in
// namespaces without a name that end with the test.
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "async/scope.h"
#include "kernel/netns/netns.h"
#include "kernel/nftables/diff.h"
#include "kernel/nftables/nftables.h"

using namespace causeway;
using namespace causeway::nftables;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
Cidr cidr(const char* text) { return Cidr::parse(text).value(); }

struct World {
  Fd node = netns::create().value();
  std::unique_ptr<Nftables> door = open_nftables_in(node.get()).value();

  // What a shell prints in the namespace.
  std::string shell(const std::string& command) const {
    return netns::call_in(node.get(),
                          [&]() -> Result<std::string> {
                            FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
                            std::string out;
                            std::array<char, 4096> buffer;
                            for (size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
                              out.append(buffer.data(), n);
                            ::pclose(pipe);
                            return out;
                          })
        .value();
  }
  void bring(const Section& section) const {
    auto actual = door->observe(section.name);
    REQUIRE_MESSAGE(actual.has_value(), (actual ? "" : actual.error().message()));
    const auto done = door->apply(diff(*actual, section));
    REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().message()));
  }
  std::string error_of(const Transaction& transaction) const {
    const auto done = door->apply(transaction);
    return done ? "" : done.error().message();
  }
  size_t differences(const Section& section) const { return diff(door->observe(section.name).value(), section).size(); }
};

// nft lists a hash in the order of the hash and two elements on a line: one on a line and sorted, as render() has them.
std::string sorted(const std::string& listing) {
  std::string out;
  size_t at = 0;
  for (;;) {
    const size_t begin = listing.find("elements = { ", at);
    if (begin == std::string::npos) break;
    const size_t first = begin + 13;
    const size_t end = listing.find(" }\n", first);
    out += listing.substr(at, first - at);
    std::vector<std::string> elements;
    std::string list = listing.substr(first, end - first);
    for (size_t comma; !list.empty();) {
      comma = list.find(',');
      std::string one = list.substr(0, comma);
      one.erase(0, one.find_first_not_of(" \t\n"));
      elements.push_back(one);
      list.erase(0, comma == std::string::npos ? list.size() : comma + 1);
    }
    std::sort(elements.begin(), elements.end());
    for (size_t i = 0; i < elements.size(); ++i) out += (i ? ", " : "") + elements[i];
    at = end;
  }
  return out + listing.substr(at);
}

// What nft says shorter or longer than we do: the same to the kernel.
std::string in_words_of_nft(std::string text) {
  for (const auto& [ours, theirs] : {std::pair{"meta l4proto udp th dport", "udp dport"},
                                     {"\tct original ip daddr", "\tmeta nfproto ipv4 ct original ip daddr"}})
    if (const size_t at = text.find(ours); at != std::string::npos) text.replace(at, std::strlen(ours), theirs);
  return text;
}

// Every kind of set and of statement once.
Section everything() {
  Section s{.name = "all"};
  s.sets["all-addresses"] = {.key = {Type::Ipv4}};
  s.sets["all-cidrs4"] = {.key = {Type::Ipv4}, .interval = true};
  s.sets["all-cidrs6"] = {.key = {Type::Ipv6}, .interval = true};
  s.sets["all-devices"] = {.key = {Type::Ifname}};
  s.sets["all-dynamic"] = {.key = {Type::Ipv4}, .dynamic = true, .timeout_ms = 10000, .has_timeout = true, .size = 999};
  s.sets["all-marks"] = {.key = {Type::Ipv4}, .data = {Type::Mark}};
  s.sets["all-pairs"] = {.key = {Type::Ipv4, Type::Port}, .interval = true};
  s.sets["all-ports4"] = {.key = {Type::Protocol, Type::Ipv4, Type::Port}, .data = {Type::Ipv4, Type::Port}};
  s.sets["all-ports6"] = {.key = {Type::Protocol, Type::Ipv6, Type::Port}, .data = {Type::Ipv6, Type::Port}};
  s.sets["all-slots"] = {.key = {Type::Mark}, .verdicts = true};
  s.sets["all-endpoints"] = {.key = {Type::Ipv4, Type::Protocol, Type::Port, Type::Mark},
                             .data = {Type::Ipv4, Type::Port}};
  s.sets["all-numbers"] = {.key = {Type::Ipv4, Type::Mark}, .data = {Type::ClassId}};
  s.sets["all-members"] = {.key = {Type::ClassId}, .data = {Type::Ipv4, Type::Port}};
  s.sets["all-kept"] = {
      .key = {Type::Ipv4, Type::Port}, .data = {Type::ClassId}, .dynamic = true, .has_timeout = true, .size = 999};
  s.sets["all-targets"] = {.key = {Type::Ipv4}, .data = {Type::Ipv4}};
  s.sets["all-verdicts"] = {.key = {Type::Ipv4, Type::Port}, .verdicts = true};

  s.elements["all-addresses"] = {{Tuple().ip(ip("10.0.0.1")), {}}, {Tuple().ip(ip("10.0.0.2")), {}}};
  for (const char* one : {"10.0.0.0/8", "11.0.0.0/8", "192.168.0.1/32", "255.255.255.0/24"})
    s.elements["all-cidrs4"].insert(range(cidr(one)));
  s.elements["all-cidrs4"].emplace(Tuple().ip(ip("13.0.0.1")), Value{.last = Tuple().ip(ip("13.0.0.3"))});
  s.elements["all-cidrs6"].insert(range(cidr("fd00::/8")));
  s.elements["all-devices"] = {{Tuple().name("eth0"), {}}};
  s.elements["all-marks"] = {{Tuple().ip(ip("10.0.0.1")), {.data = Tuple().number(7)}}};
  s.elements["all-pairs"].emplace(Tuple().ip(ip("10.0.0.0")).port(80),
                                  Value{.last = Tuple().ip(ip("10.255.255.255")).port(90)});
  s.elements["all-ports4"] = {
      {Tuple().protocol(IPPROTO_TCP).ip(ip("10.0.0.1")).port(80),
       {.data = Tuple().ip(ip("10.1.0.5")).port(8080), .comment = "shop/web"}},
      {Tuple().protocol(IPPROTO_UDP).ip(ip("10.0.0.1")).port(53), {.data = Tuple().ip(ip("10.1.0.6")).port(53)}}};
  s.elements["all-ports6"] = {
      {Tuple().protocol(IPPROTO_TCP).ip(ip("fd00::1")).port(80), {.data = Tuple().ip(ip("fd00:1::5")).port(8080)}}};
  s.elements["all-slots"] = {{Tuple().number(0), {.data = go("all-other")}}, {Tuple().number(1), {.data = drop()}}};
  s.elements["all-endpoints"] = {{Tuple().ip(ip("10.0.0.1")).protocol(IPPROTO_TCP).port(80).number(0),
                                  {.data = Tuple().ip(ip("10.1.0.5")).port(8080)}}};
  s.elements["all-numbers"] = {{Tuple().ip(ip("10.0.0.1")).number(0), {.data = Tuple().number(0xca000001)}}};
  s.elements["all-members"] = {{Tuple().number(0xca000001), {.data = Tuple().ip(ip("10.1.0.5")).port(8080)}}};
  s.elements["all-targets"] = {{Tuple().ip(ip("10.0.0.1")), {.data = Tuple().ip(ip("10.1.0.5"))}}};
  s.elements["all-verdicts"] = {{Tuple().ip(ip("10.0.0.1")).port(80), {.data = jump("all-other")}}};

  const std::vector<Selector> ports4{Field::L4Proto, Field::IpDaddr, Field::ThDport};
  const std::vector<Selector> ports6{Field::L4Proto, Field::Ip6Daddr, Field::ThDport};
  const std::vector<Selector> client{Field::IpSaddr, Field::ThDport};
  s.chains["all-dnat"] = {
      .base = Base{ChainType::Nat, Hook::Prerouting, kDstnat + 5},
      .rules = {
          {{match(Field::FibDaddrType, kLocal),
            Nat{.family = Family::V4, .to = FromMap{ports4, "all-ports4"}, .with_port = true}}},
          {{match(Field::FibDaddrType, kLocal),
            Nat{.family = Family::V6, .to = FromMap{ports6, "all-ports6"}, .with_port = true}}},
          {{VerdictMap{{Field::IpDaddr, Field::ThDport}, "all-verdicts"}}},
          {{match(Field::IpDaddr, Tuple().ip(ip("10.0.0.9"))),
            Nat{.family = Family::V4, .to = Endpoint{ip("10.1.0.5"), 8080}}}},
          {{match(Field::Ip6Daddr, Tuple().ip(ip("fd00::9"))),
            Nat{.family = Family::V6, .to = Endpoint{ip("fd00:1::5"), 8080}}}},
          {{Nat{.family = Family::V4, .to = FromMap{{Field::IpDaddr}, "all-targets"}}}},
          {{VerdictMap{{Random{.mod = 2}}, "all-slots"}}},
          {{Nat{.family = Family::V4,
                .to = FromMap{{Field::IpDaddr, Field::L4Proto, Field::ThDport, Random{.mod = 3}}, "all-endpoints"},
                .with_port = true}}},
          {{SetMark{.target = SetMark::Target::Priority, .to = FromMap{client, "all-kept"}},
            Update{.key = client, .set = "all-kept", .timeout_ms = 30000, .data = Field::Priority},
            Nat{.family = Family::V4, .to = FromMap{{Field::Priority}, "all-members"}, .with_port = true}}},
          {{SetMark{.target = SetMark::Target::Priority,
                    .to = FromMap{{Field::IpDaddr, Random{.mod = 3}}, "all-numbers"}},
            Update{.key = client, .set = "all-kept", .data = Field::Priority, .remove = true},
            Update{.key = client, .set = "all-kept", .timeout_ms = 30000, .data = Field::Priority},
            Nat{.family = Family::V4, .to = FromMap{{Field::Priority}, "all-members"}, .with_port = true}}},
          {{masked(Field::Priority, 0xff000000, 0xca000000), SetMark{.target = SetMark::Target::Priority, .to = 0u}}},
          {{differs(Field::IifName, Tuple().name("lo")), match(Field::IpDaddr, cidr("127.0.0.0/8")), drop()},
           "what nobody may send"},
      }};
  s.chains["all-raw"] = {.base = Base{ChainType::Filter, Hook::Prerouting, kRaw},
                         .rules = {{{in(Field::IpSaddr, "all-addresses"), Notrack{}}}}};
  s.chains["all-filter"] = {
      .base = Base{ChainType::Filter, Hook::Forward, kFilter},
      .rules = {
          {{match(Field::L4Proto, IPPROTO_TCP), Reject{Reject::With::TcpReset}}},
          {{in(Field::IpSaddr, "all-addresses"), Reject{Reject::With::AdminProhibited}}},
          {{any_of(Field::CtState, kStateEstablished | kStateRelated), accept()}},
          {{any_of(Field::CtState, kStateInvalid), drop()}},
          {{SetMark{.target = SetMark::Target::Connection, .to = Field::Mark}}},
          {{SetMark{.to = uint32_t{5}}}},
          {{SetMark{.to = Field::Mark, .add = 0x4000}}},
          {{SetMark{.to = Field::CtMark, .keep = 0xff}}},
          {{SetMark{.to = FromMap{{Field::IpSaddr}, "all-marks"}}}},
          {{in(Field::IifName, "all-devices"), match(Field::OifName, Tuple().name("lo")), accept()}},
          {{match(Field::NfProto, 2), match(Field::IifGroup, 51776), accept()}},
          {{Update{.key = {Field::IpSaddr}, .set = "all-dynamic", .timeout_ms = 5000}}},
          {{match(Field::CtDirection, 1), accept()}},
          {{match(Field::CtOriginalIpDaddr, Tuple().ip(ip("10.0.0.1"))), returns()}},
          {{match(Field::Icmp6Type, 134), drop()}},
          {{match(Field::L4Proto, IPPROTO_UDP), match(Field::ThDport, 4789),
            match(Raw{.offset = 12, .length = 3}, Tuple::from_bytes(std::string("\0\0\x01", 3))), drop()}},
          {{Lookup{{Field::IpSaddr, Field::ThDport}, "all-pairs", true}, jump("all-other")}},
          {{Reject{}}},
      }};
  s.chains["all-other"] = {};
  s.chains["all-postrouting"] = {
      .base = Base{ChainType::Nat, Hook::Postrouting, kSrcnat},
      .rules = {
          {{in(Field::IpSaddr, "all-cidrs4"), not_in(Field::IpDaddr, "all-cidrs4"), Masquerade{.fully_random = true}}},
          {{in(Field::Ip6Saddr, "all-cidrs6"), not_in(Field::Ip6Daddr, "all-cidrs6"), Masquerade{}}},
          {{any_of(Field::CtStatus, kStatusDnat), match(Field::IpSaddr, cidr("127.0.0.0/8")),
            Nat{.kind = Nat::Kind::Source, .family = Family::V4, .to = Endpoint{ip("172.18.0.2"), 0}}}},
          {{masked(Field::Mark, 0x4000, 0x4000), Masquerade{}}},
      }};
  return s;
}

}  // namespace

TEST_CASE("what render() prints is what nft lists, for every kind of set and statement") {
  World world;
  const Section section = everything();
  world.bring(section);
  CHECK(in_words_of_nft(sorted(render(section))) == sorted(world.shell("nft list table inet causeway")));
}

TEST_CASE("what was applied is observed as the same: applying it again writes nothing") {
  World world;
  const Section section = everything();
  world.bring(section);
  CHECK(world.differences(section) == 0);
  Section counted = everything();
  counted.chains["all-filter"].rules.push_back({{Counter{}, accept()}});
  world.bring(counted);
  CHECK(world.differences(counted) == 0);
}

TEST_CASE("10,000 elements in one transaction, a thousand changed, all removed: each time the kernel holds just them") {
  World world;
  Section section{.name = "big"};
  section.sets["big-ports"] = {.key = {Type::Protocol, Type::Ipv4, Type::Port}, .data = {Type::Ipv4, Type::Port}};
  section.sets["big-ranges"] = {.key = {Type::Ipv6}, .interval = true};
  auto& ports = section.elements["big-ports"];
  for (uint32_t i = 0; i < 10000; ++i)
    ports.emplace(Tuple().protocol(IPPROTO_TCP).ip(Ip::v4(0x0a000000 + i)).port(80),
                  Value{.data = Tuple().ip(Ip::v4(0x0a800000 + i)).port(8080), .comment = "shop/web"});
  for (uint64_t i = 0; i < 2000; ++i)
    section.elements["big-ranges"].insert(range(Cidr(ip("fd00::").plus(i << 16), 112 + int(i % 3))));
  world.bring(section);
  CHECK(world.differences(section) == 0);
  CHECK(world.door->observe("big")->sets.at("big-ports").elements.size() == 10000);

  uint32_t i = 0;
  for (auto& [key, value] : ports)
    if (++i % 10 == 0) value.data = Tuple().ip(Ip::v4(0x0b000000 + i)).port(8081);
  world.bring(section);
  CHECK(world.differences(section) == 0);
  section.elements.clear();
  world.bring(section);
  CHECK(world.differences(section) == 0);
  CHECK(world.door->observe("big")->sets.at("big-ports").elements.empty());
}

TEST_CASE("a transaction that fails changes nothing, and its error names the object") {
  World world;
  const Section section = everything();
  world.bring(section);
  const std::string before = world.shell("nft -a list table inet causeway");
  const Set& map = section.sets.at("all-ports4");
  AddElements add{"all-ports4", map, {}};
  for (uint32_t i = 0; i < 3000; ++i)
    add.elements.emplace(Tuple().protocol(IPPROTO_UDP).ip(Ip::v4(0x0a000000 + i)).port(53),
                         Value{.data = Tuple().ip(ip("10.1.0.9")).port(53)});
  // 10.0.0.1 is there with another value. Kernels that say which element it was name it.
  const std::string exists = world.error_of({AddChain{"all-new", {}}, add});
  CHECK(exists.starts_with("nftables: add element inet causeway all-ports4 { udp . 10.0.0."));
  CHECK(world.shell("nft -a list table inet causeway") == before);
  CHECK(world.error_of({DeleteSet{"all-cidrs4"}}).starts_with("nftables: delete set inet causeway all-cidrs4"));
  CHECK(world.error_of({DeleteChain{"all-absent"}}) ==
        "nftables: delete chain inet causeway all-absent: No such file or directory");
  CHECK(world.error_of({AddRule{"all-other", {{jump("all-absent")}}}})
            .starts_with("nftables: add rule inet causeway all-other jump all-absent: No such file or directory"));
  CHECK(world.error_of(
            {DeleteElements{"all-addresses", section.sets.at("all-addresses"), {{Tuple().ip(ip("10.0.0.77")), {}}}}}) ==
        "nftables: delete element inet causeway all-addresses { 10.0.0.77 }: No such file or directory");
  CHECK(world.shell("nft -a list table inet causeway") == before);
}

TEST_CASE("what others put into our chains and sets is undone, what is not ours is left alone") {
  World world;
  const Section section = everything();
  world.bring(section);
  world.shell("nft add table ip theirs");
  for (const char* meddling : {"nft add rule inet causeway all-other drop", "nft flush chain inet causeway all-filter",
                               "nft add element inet causeway all-addresses { 10.0.0.99 }",
                               "nft delete element inet causeway all-cidrs4 { 11.0.0.0/8 }",
                               "nft add chain inet causeway all-theirs", "nft flush ruleset"}) {
    world.shell(meddling);
    CHECK_MESSAGE(world.differences(section) > 0, meddling);
    world.bring(section);
    CHECK(world.differences(section) == 0);
  }
  world.shell("nft add chain inet causeway other-chain");
  world.bring(Section{.name = "all"});
  CHECK(world.shell("nft list table inet causeway") == "table inet causeway {\n\tchain other-chain {\n\t}\n}\n");
}

TEST_CASE("a watch tells of what somebody else does to our table, and of nothing else") {
  World world;
  const auto outcome = netns::call_in(world.node.get(), [&]() -> Status {
    auto loop = make_loop();
    auto watch = TRY(open_watch(*loop, world.door->port()));
    bool told = false;
    Scope scope(*loop);
    scope.spawn("watch", [](Watch& watch, bool& told) -> Task<Status> {
      CO_TRY(co_await watch.changed());
      told = true;
      co_return ok();
    }(*watch, told));
    TRY(world.door->apply(diff({}, everything())));
    world.shell("nft add table ip theirs");
    TRY(run_until_done(*loop, loop->sleep(20ms)));
    CHECK(!told);
    world.shell("nft flush ruleset");
    for (int i = 0; i < 1000 && !told; ++i) TRY(run_until_done(*loop, loop->sleep(5ms)));
    CHECK(told);
    return ok();
  });
  CHECK(outcome.has_value());
}
