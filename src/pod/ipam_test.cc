#include "pod/ipam.h"

#include <doctest/doctest.h>

#include "base/log.h"
#include "pod/ipam_fixture.h"

using namespace causeway;
using namespace causeway::pod;

TEST_CASE("a block leaves out network, node and broadcast address, and says so when it is used up") {
  AddressBlock block(cidr("10.1.0.0/29"), 30s, 4);
  std::string taken;
  for (int i = 0; i < 5; ++i) taken += to_string(block.take(at(0)).value()) + " ";
  CHECK(taken == "10.1.0.4 10.1.0.5 10.1.0.6 10.1.0.2 10.1.0.3 ");
  CHECK(block.take(at(0)).error().message() ==
        "Pod CIDR 10.1.0.0/29 has no free address: 5 of 5 are held by Pods, 0 were released less than 30 s ago");
  block.release(ip("10.1.0.5"), at(1));
  block.release(ip("10.1.0.4"), at(2));
  CHECK(block.take(at(30)).error().message() ==
        "Pod CIDR 10.1.0.0/29 has no free address: 3 of 5 are held by Pods, 2 were released less than 30 s ago");
  CHECK(to_string(block.take(at(32)).value()) == "10.1.0.5");  // released longest ago
  CHECK(to_string(block.take(at(32)).value()) == "10.1.0.4");
}

TEST_CASE("small and large blocks") {
  CHECK(AddressBlock(cidr("10.1.0.8/32"), 30s, 9).capacity() == 1);
  CHECK(AddressBlock(cidr("10.1.0.8/31"), 30s, 9).capacity() == 2);
  CHECK(AddressBlock(cidr("10.1.0.0/24"), 30s, 9).capacity() == 253);
  AddressBlock wide(cidr("fd00:1::/64"), 30s, 0x12345);
  CHECK(wide.capacity() == 65534);
  CHECK(to_string(wide.take(at(0)).value()) == "fd00:1::2345");
  CHECK(wide.hold(ip("fd00:1::ffff")));
  CHECK(!wide.hold(ip("fd00:1::ffff")));
  CHECK(!wide.hold(ip("fd00:1::1:0")));
  CHECK(!wide.hold(ip("fd00:2::5")));
}

TEST_CASE("an address that no packet carried is fresh again, one that was used cools") {
  AddressBlock block(cidr("10.1.0.0/31"), 30s, 0);
  const Ip first = block.take(at(0)).value();
  block.give_back(first);
  (void)block.take(at(0)).value();
  CHECK(block.take(at(0)).value() == first);
  block.release(first, at(0));
  CHECK(!block.take(at(29)).has_value());
  CHECK(block.take(at(30)).value() == first);
}

TEST_CASE("an attachment gets one address of each family or none") {
  FaultStorage storage;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/30"), cidr("fd00::/127")});
  CHECK(add(*ipam, "a") == "10.1.0.0 fd00::");
  CHECK(add(*ipam, "b") == "10.1.0.1 fd00::1");
  CHECK(add(*ipam, "c") ==
        "Pod CIDR fd00::/127 has no free address: 2 of 2 are held by Pods, 0 were released less than 30 s ago; of this "
        "node's attachments 2 by namespace shop");
  CHECK(add(*ipam, "a") == "a/eth0 has addresses already");
  CHECK(ipam->render(at(0)) ==
        "block 10.1.0.0/30 held 2 cooling 0 of 4\n"
        "block fd00::/127 held 2 cooling 0 of 2\n"
        "a/eth0 committed generation 1 10.1.0.0 fd00:: pod shop/web-1\n"
        "b/eth0 committed generation 2 10.1.0.1 fd00::1 pod shop/web-1\n");
  CHECK(ipam->available(at(0)).error().code() == Errc::Exhausted);
}

TEST_CASE("a journal read again gives the same state, cooling addresses included") {
  FaultStorage storage;
  std::string before;
  {
    auto ipam = open_ipam(storage, {cidr("10.1.0.0/29")});
    add(*ipam, "a");
    add(*ipam, "b");
    {
      auto dropped = ipam->reserve(wish("c"), at(1)).value();
    }
    CHECK(ipam->release({"a", "eth0"}, at(2)).has_value());
    CHECK(add(*ipam, "d", at(3)) == "10.1.0.5");
    before = ipam->render(at(3));
  }
  auto again = open_ipam(storage, {cidr("10.1.0.0/29")}, at(3));
  CHECK(again->render(at(3)) == before);
  CHECK(*again->find({"b", "eth0"}) == Record{.key = {"b", "eth0"},
                                              .state = pod::State::Committed,
                                              .generation = 2,
                                              .addresses = {ip("10.1.0.3")},
                                              .netns_path = "/run/netns/a b",
                                              .netns = {4, 4026532000},
                                              .netns_cookie = 7,
                                              .pod = {"shop", "web-1"},
                                              .pod_uid = "u"});
  CHECK(add(*again, "e", at(4)) != "10.1.0.2");
}

TEST_CASE("an ADD that was cut off is found reserved, and a new one gets another address meanwhile") {
  FaultStorage storage;
  {
    auto ipam = open_ipam(storage, {cidr("10.1.0.0/29")});
    auto lease = ipam->reserve(wish("a"), at(0)).value();
    storage.steps = 0;  // the kill: the lease's destructor writes nothing
  }
  storage.steps = FaultStorage::kForever;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/29")});
  CHECK(ipam->find({"a", "eth0"})->state == pod::State::Reserved);
  CHECK(add(*ipam, "b") == "10.1.0.3");
}

TEST_CASE("a journal of another boot is nobody's; a broken or missing one is rebuilt from the links") {
  log::set_level(log::Level::Error);
  const Record seen{.key = {"k", "eth0"},
                    .state = pod::State::Committed,
                    .generation = 41,
                    .addresses = {ip("10.1.0.5")},
                    .netns = {4, 99}};
  const auto observe = [&]() -> Result<std::vector<Record>> {
    return std::vector<Record>{parse_alias(alias_of(seen)).value()};
  };
  FaultStorage storage;
  add(*open_ipam(storage, {cidr("10.1.0.0/29")}), "a");

  SUBCASE("another boot") {
    auto ipam = Ipam::open(storage, {.boot_id = "next"}, nothing).value();
    CHECK(ipam->records().empty());
    CHECK(storage.set_asides == 0);
  }
  SUBCASE("missing") {
    storage.file.reset();
    auto ipam = Ipam::open(storage, {.boot_id = "boot"}, observe).value();
    ipam->set_blocks({cidr("10.1.0.0/29")}, at(0));
    CHECK(ipam->render(at(0)) == "block 10.1.0.0/29 held 1 cooling 0 of 5\nk/eth0 committed generation 41 10.1.0.5\n");
    CHECK(ipam->reserve(wish("b"), at(0))->record().generation == 42);
  }
  SUBCASE("broken in the middle") {
    (*storage.file)[storage.file->find("reserve") + 9] ^= 1;
    log::set_level(log::Level::Error);
    auto ipam = Ipam::open(storage, {.boot_id = "boot"}, observe).value();
    CHECK(storage.set_asides == 1);
    CHECK(ipam->records().size() == 1);
    // What was rebuilt is in the new journal.
    CHECK(Ipam::open(storage, {.boot_id = "boot"}, nothing).value()->records().size() == 1);
  }
}

TEST_CASE("changing the Pod CIDRs keeps the addresses of living Pods and the rest of those just released") {
  FaultStorage storage;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/30")});
  CHECK(add(*ipam, "a") == "10.1.0.0");
  CHECK(add(*ipam, "b") == "10.1.0.1");
  CHECK(ipam->release({"b", "eth0"}, at(1)).has_value());
  ipam->set_blocks({cidr("10.2.0.0/30"), cidr("fd00::/64")}, at(2));
  CHECK(add(*ipam, "c", at(2)) == "10.2.0.0 fd00::2");
  CHECK(ipam->find({"a", "eth0"})->addresses == std::vector<Ip>{ip("10.1.0.0")});
  ipam->set_blocks({cidr("10.1.0.0/31")}, at(3));
  CHECK(
      add(*ipam, "d", at(3)) ==
      "Pod CIDR 10.1.0.0/31 has no free address: 1 of 2 are held by Pods, 1 were released less than 30 s ago; of this "
      "node's attachments 2 by namespace shop");
  CHECK(add(*ipam, "d", at(31)) == "10.1.0.1");
  CHECK(ipam->release({"c", "eth0"}, at(32)).has_value());  // of a CIDR that is not ours any more
  ipam->set_blocks({}, at(33));
  CHECK(add(*ipam, "e", at(33)) == "this node has no Pod CIDR yet");
}

TEST_CASE("a full disk fails the ADD, leaves the address free and the journal readable") {
  log::set_level(log::Level::Error);
  FaultStorage storage;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/29")});
  add(*ipam, "a");
  const auto whole = *storage.file;
  for (size_t room = 0; room < 60; room += 7) {
    storage.full_at = whole.size() + room;
    CHECK(add(*ipam, "b") == "journal of addresses: No space left on device");
    CHECK(*storage.file == whole);
  }
  storage.full_at.reset();
  CHECK(add(*ipam, "b") != "10.1.0.2");
}

TEST_CASE("the journal stays small however long the node lives") {
  FaultStorage storage;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/24")});
  add(*ipam, "stays");
  for (int i = 0; i < 5000; ++i) {
    add(*ipam, "x", at(i));
    CHECK(ipam->release({"x", "eth0"}, at(i)).has_value());
  }
  CHECK(storage.file->size() < 70'000);
  auto again = open_ipam(storage, {cidr("10.1.0.0/24")}, at(5000));
  CHECK(again->records().size() == 1);
  CHECK(again->find({"stays", "eth0"})->state == pod::State::Committed);
}

TEST_CASE("field values that look like syntax survive the journal") {
  FaultStorage storage;
  Record odd = wish("a");
  odd.netns_path = "/run/a b%20\n-";
  odd.pod = {"-", ""};
  odd.pod_uid = "%";
  {
    CHECK(open_ipam(storage, {cidr("10.1.0.0/29")})->reserve(odd, at(0))->commit(1).has_value());
  }
  const auto ipam = open_ipam(storage, {});
  const auto* record = ipam->find({"a", "eth0"});
  CHECK(record->netns_path == odd.netns_path);
  CHECK(record->pod == odd.pod);
  CHECK(record->pod_uid == odd.pod_uid);
}

TEST_CASE("host ports survive the journal, and a journal of an agent that knew none is read as before") {
  FaultStorage storage;
  Record record = wish("a");
  record.host_ports = {{cluster::Protocol::Tcp, 80, 8080, {}}, {cluster::Protocol::Udp, 53, 53, ip("fd00::1")}};
  {
    const auto ipam = open_ipam(storage, {cidr("10.1.0.0/29")});
    CHECK(ipam->reserve(record, at(0))->commit(1).has_value());
    CHECK(ipam->reserve(wish("b"), at(0))->commit(1).has_value());
  }
  const auto ipam = open_ipam(storage, {});
  CHECK(ipam->find({"a", "eth0"})->host_ports == record.host_ports);
  CHECK(ipam->find({"b", "eth0"})->host_ports.empty());
  CHECK(encode(Reserved{record}).find(" u 80:8080/tcp,53:53/udp@fd00::1\n") != std::string::npos);
  CHECK(encode(Reserved{wish("b")}).ends_with(" shop web-1 u\n"));
}

TEST_CASE("host ports are in the alias while it has room for them") {
  Record record{.key = {std::string(64, 'f'), "eth0"},
                .state = pod::State::Committed,
                .generation = 1,
                .addresses = {ip("10.244.255.254")},
                .netns = {4, 4026532000},
                .host_ports = {{cluster::Protocol::Tcp, 80, 8080, {}}}};
  CHECK(alias_of(record).ends_with(" 10.244.255.254 80:8080/tcp"));
  CHECK(parse_alias(alias_of(record)) == record);
  for (uint16_t port = 1000; port < 1020; ++port) record.host_ports.push_back({cluster::Protocol::Tcp, port, port, {}});
  CHECK(alias_of(record).ends_with(" 10.244.255.254"));
  for (const char* other : {"80", "80:1", "80:1/icmp", "0:1/tcp", "80:70000/tcp", "80:1/tcp@x", "", "80:1/tcp,"})
    CHECK(!parse_host_ports(other));
}

TEST_CASE("an alias carries what the journal needs") {
  const Record record{.key = {std::string(64, 'f'), "eth0"},
                      .state = pod::State::Committed,
                      .generation = 1234567890,
                      .addresses = {ip("10.244.255.254"), ip("fd00:1234:5678:9abc:def0:1234:5678:9abc")},
                      .netns = {4, 4026532000}};
  CHECK(alias_of(record).size() <= 255);
  CHECK(parse_alias(alias_of(record)) == record);
  for (const char* other : {"", "uplink", "causeway a", "causeway a eth0 4:x 1 10.0.0.1",
                            "causeway a eth0 4:1 1 10.0.0", "causeway  eth0 4:1 1 10.0.0.1"})
    CHECK(!parse_alias(other));
  CHECK(host_ifname({"a", "eth0"}).size() == 14);
  CHECK(host_ifname({"a", "eth0"}) != host_ifname({"a", "eth1"}));
  CHECK(to_string(mac_of(ip("169.254.1.1"))) == "0a:58:a9:fe:01:01");
}

TEST_CASE("a reserved address is given to whom it is promised, and to nobody else") {
  FaultStorage storage;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/30")});
  const auto ask = [&](const char* container, const char* pod, std::vector<Ip> wanted, TimePoint now = at(0)) {
    Record record = wish(container);
    record.pod.name = pod;
    auto lease = ipam->reserve(std::move(record), now, wanted);
    if (!lease) return std::string(to_string(lease.error().code())) + ": " + lease.error().message();
    const auto got = to_string(lease->record().addresses.front());
    REQUIRE(std::move(*lease).commit(7));
    return got;
  };
  ipam->set_reservations({{ip("10.1.0.2"), {"shop", "db-0"}}, {ip("10.9.0.9"), {"shop", "db-1"}}}, at(0));
  CHECK(ask("a", "x", {}) == "10.1.0.0");
  CHECK(ask("b", "x", {}) == "10.1.0.1");
  CHECK(ask("c", "x", {}) == "10.1.0.3");
  CHECK(ask("d", "x", {})
            .find("3 of 4 are held by Pods, 0 were released less than 30 s ago, 1 are reserved; of this "
                  "node's attachments 3 by namespace shop") != std::string::npos);
  CHECK(ask("d", "x", {ip("10.1.0.2")}).ends_with("address 10.1.0.2 is reserved for Pod shop/db-0"));
  CHECK(ask("e", "db-0", {ip("10.1.0.2")}) == "10.1.0.2");
  CHECK(ask("f", "db-0", {ip("10.1.0.2")})
            .ends_with("address 10.1.0.2 is still held by an earlier life of Pod shop/db-0 (e/eth0)"));
  // Elsewhere, and promised.
  CHECK(ask("g", "db-1", {ip("10.9.0.9")}) == "10.9.0.9");
  // Let go of, it waits for its owner, not for the cooldown, and for nobody else.
  CHECK(ipam->release({"e", "eth0"}, at(1)));
  CHECK(ask("h", "x", {}, at(100)).find("has no free address") != std::string::npos);
  CHECK(ask("i", "db-0", {ip("10.1.0.2")}, at(2)) == "10.1.0.2");
  CHECK(ipam->release({"i", "eth0"}, at(3)));
  // No longer promised, it cools: another node may have used it until now.
  ipam->set_reservations({}, at(200));
  CHECK(ask("j", "x", {}, at(229)).find("1 were released less than 30 s ago") != std::string::npos);
  CHECK(ask("j", "x", {}, at(230)) == "10.1.0.2");
}

TEST_CASE("addresses by name: what is refused, and by which reason") {
  FaultStorage storage;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/24")});
  const auto ask = [&](const char* container, const char* wanted, TimePoint now = at(0)) {
    auto lease = ipam->reserve(wish(container), now, {ip(wanted)});
    if (!lease) return std::string(to_string(lease.error().code())) + ": " + lease.error().message();
    REQUIRE(std::move(*lease).commit(7));
    return std::string("given");
  };
  CHECK(ask("a", "10.1.0.77") == "given");
  Record other = wish("b");
  other.pod.name = "other";
  auto taken = ipam->reserve(other, at(0), {ip("10.1.0.77")});
  CHECK(taken.error().code() == Errc::Denied);
  CHECK(taken.error().message() == "address 10.1.0.77 is taken by Pod shop/web-1 (a/eth0)");
  CHECK(ask("b", "10.1.0.0").ends_with("10.1.0.0 is the network address of 10.1.0.0/24"));
  CHECK(ask("b", "10.1.0.1").ends_with("10.1.0.1 is the node's own address of 10.1.0.0/24"));
  CHECK(ask("b", "10.1.0.255").ends_with("10.1.0.255 is the broadcast address of 10.1.0.0/24"));
  CHECK(ask("b", "10.2.0.5")
            .ends_with("address 10.2.0.5 is outside of this node's ranges (10.1.0.0/24), and no "
                       "AddressReservation promises it to Pod shop/web-1"));
  CHECK(ask("b", "fd00::5").ends_with("address fd00::5 is of a family that Pods of this node have no addresses of"));
  CHECK(ipam->records().size() == 1);  // nothing of what was refused stays
  // Its own address, at once again: what the cooldown protects from is another Pod.
  CHECK(ipam->release({"a", "eth0"}, at(1)));
  CHECK(ask("c", "10.1.0.77", at(2)) == "given");
}

TEST_CASE("the cluster's own addresses are no Pod's by name, whoever promised them, and nothing is held of them") {
  FaultStorage storage;
  std::map<Ip, std::string> own{{ip("172.30.0.2"), "it is the API server's"}};
  auto ipam =
      Ipam::open(storage,
                 {.boot_id = "boot", .why_not = [&](const Ip& one) { return own.contains(one) ? own[one] : ""; }},
                 nothing)
          .value();
  ipam->set_blocks({cidr("10.1.0.0/24")}, at(0));
  const auto pod = wish("a").pod;
  for (const char* text : {"172.30.0.2", "10.1.0.0", "10.1.0.1", "10.1.0.255", "10.9.0.9"})
    ipam->set_reservations(
        [&] {
          auto all = ipam->reservations();
          all[ip(text)] = pod;
          return all;
        }(),
        at(0));
  const auto ask = [&](const char* wanted) {
    auto lease = ipam->reserve(wish("a"), at(0), {ip(wanted)});
    return lease ? std::string("given") : std::string(to_string(lease.error().code())) + ": " + lease.error().message();
  };
  CHECK(ask("172.30.0.2") == "denied: address 172.30.0.2 cannot be a Pod's: it is the API server's");
  CHECK(ask("10.1.0.0") == "denied: 10.1.0.0 is the network address of 10.1.0.0/24");
  CHECK(ask("10.1.0.1") == "denied: 10.1.0.1 is the node's own address of 10.1.0.0/24");
  CHECK(ask("10.1.0.255") == "denied: 10.1.0.255 is the broadcast address of 10.1.0.0/24");
  CHECK(ipam->records().empty());
  own[ip("10.1.0.7")] = "it is an address of Node n2";  // given out by the range, asked for or not
  CHECK(ask("10.9.0.9") == "given");
  CHECK(ipam->reserve(wish("b"), at(0), {ip("10.1.0.7")}).has_value());
}

TEST_CASE("an address by name is its Pod's again after a restart, before anything is given out") {
  FaultStorage storage;
  {
    auto ipam = open_ipam(storage, {cidr("10.1.0.0/30")});
    auto lease = ipam->reserve(wish("a"), at(0), {ip("10.1.0.2")}).value();
    REQUIRE(std::move(lease).commit(7));
  }
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/30")});
  CHECK(ipam->holder(ip("10.1.0.2"))->key.container == "a");
  CHECK(ipam->holder(ip("10.1.0.1")) == nullptr);
}

TEST_CASE("what was reserved is known again after a restart, before anything is given out") {
  FaultStorage storage;
  {
    auto ipam = open_ipam(storage, {cidr("10.1.0.0/30")});
    ipam->set_reservations({{ip("10.9.0.9"), {"shop", "web-1"}}}, at(0));
    auto lease = ipam->reserve(wish("a"), at(0), {ip("10.9.0.9")}).value();
    REQUIRE(std::move(lease).commit(7));
  }
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/30")});
  CHECK(ipam->holder(ip("10.9.0.9"))->key.container == "a");
  CHECK(ipam->holder(ip("10.1.0.2")) == nullptr);
}

TEST_CASE("a clock that jumps frees no address too early for good, and none stays cooling for ever") {
  FaultStorage storage;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/31")}, at(1000));
  CHECK(add(*ipam, "a", at(1000)) == "10.1.0.0");
  CHECK(add(*ipam, "b", at(1000)) == "10.1.0.1");
  CHECK(ipam->release({"a", "eth0"}, at(1000)));
  // Backwards (a restored machine): it cools on, and is free again by the clock as it is now.
  CHECK(add(*ipam, "c", at(5)).find("has no free address") != std::string::npos);
  CHECK(ipam->explain(at(5))[0].spans.size() == 2);
  // Far ahead (a machine that slept): it is free, once.
  CHECK(add(*ipam, "c", at(1'000'000)) == "10.1.0.0");
  CHECK(add(*ipam, "d", at(1'000'000)).find("2 of 2 are held") != std::string::npos);
}

TEST_CASE("every address of a range is explained") {
  FaultStorage storage;
  auto ipam = open_ipam(storage, {cidr("10.1.0.0/28"), cidr("fd00::/64")});
  ipam->set_reservations({{ip("10.1.0.9"), {"shop", "db-0"}}}, at(0));
  CHECK(add(*ipam, "a") == "10.1.0.2 fd00::2");
  CHECK(add(*ipam, "b") == "10.1.0.3 fd00::3");
  CHECK(ipam->release({"b", "eth0"}, at(10)));
  std::string text;
  for (const auto& block : ipam->explain(at(15)))
    for (const auto& span : block.spans)
      text += fmt::format("{}-{} {} {}\n", span.first, span.last, int(span.use), span.left / 1s);
  using Use = AddressBlock::Use;
  const auto line = [](const char* first, const char* last, Use use, int left = 0) {
    return fmt::format("{}-{} {} {}\n", first, last, int(use), left);
  };
  CHECK(text == line("10.1.0.0", "10.1.0.0", Use::Network) + line("10.1.0.1", "10.1.0.1", Use::Gateway) +
                    line("10.1.0.2", "10.1.0.2", Use::Held) + line("10.1.0.3", "10.1.0.3", Use::Cooling, 25) +
                    line("10.1.0.4", "10.1.0.8", Use::Free) + line("10.1.0.9", "10.1.0.9", Use::Reserved) +
                    line("10.1.0.10", "10.1.0.14", Use::Free) + line("10.1.0.15", "10.1.0.15", Use::Broadcast) +
                    line("fd00::", "fd00::", Use::Network) + line("fd00::1", "fd00::1", Use::Gateway) +
                    line("fd00::2", "fd00::2", Use::Held) + line("fd00::3", "fd00::3", Use::Cooling, 25) +
                    line("fd00::4", "fd00::ffff", Use::Free) +
                    line("fd00::1:0", "fd00::ffff:ffff:ffff:ffff", Use::Unused));
}
