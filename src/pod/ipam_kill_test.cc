// IPAM under kills: a runtime that remembers what it was told judges what a new agent finds.
#include <doctest/doctest.h>

#include <random>
#include <set>

#include "base/log.h"
#include "pod/ipam_fixture.h"

using namespace causeway;
using namespace causeway::pod;

namespace {

// A runtime that drives the node's IPAM through kills, and remembers what it was told.
struct Runtime {
  FaultStorage storage;
  std::unique_ptr<Ipam> ipam;
  TimePoint now = at(100);
  std::vector<Cidr> blocks{cidr("10.1.0.0/27"), cidr("fd00::/64")};
  std::map<Key, std::vector<Ip>> answered;  // ADDs that were answered, their Pods live
  std::set<Key> unknown;                    // a call that died half-way: the runtime will DEL
  std::map<Ip, TimePoint> deleted;          // when a DEL of that address was answered
  size_t exhausted = 0;
  size_t kills = 0;

  // What the agent does at start; false: killed meanwhile.
  bool start() {
    auto opened = Ipam::open(storage, {.boot_id = "boot"}, nothing);
    if (!opened) {
      if (!storage.dead()) FAIL(opened.error().message());
      return false;
    }
    ipam = std::move(*opened);
    ipam->set_blocks(blocks, now);
    std::vector<Key> unfinished;
    for (const auto& [key, record] : ipam->records())
      if (record.state == pod::State::Reserved) unfinished.push_back(key);
    for (const auto& key : unfinished)
      if (!ipam->release(key, now)) return false;
    return !storage.dead();
  }
  void restart() {
    ++kills;
    ipam.reset();  // a killed process writes nothing more: the storage is dead still
    storage.steps = FaultStorage::kForever;
    REQUIRE(start());
    check();
  }
  void add(const Key& key) {
    Record record = wish(key.container);
    auto lease = ipam->reserve(record, now);
    if (!lease) {
      if (storage.dead())
        unknown.insert(key);
      else if (lease.error().code() == Errc::Exhausted)
        ++exhausted;
      else
        FAIL(lease.error().message());
      return;
    }
    const auto addresses = lease->record().addresses;
    for (const auto& address : addresses) {
      for (const auto& [other, theirs] : answered)
        for (const auto& taken : theirs) CHECK(taken != address);  // never one address twice
      if (auto found = deleted.find(address); found != deleted.end()) CHECK(now - found->second >= 30s);
    }
    if (lease->commit(1))
      answered[key] = addresses;
    else
      unknown.insert(key);
  }
  void remove(const Key& key) {
    std::vector<Ip> addresses;
    if (const auto* record = ipam->find(key)) addresses = record->addresses;
    if (ipam->release(key, now)) {
      for (const auto& address : addresses) deleted[address] = now;
      answered.erase(key);
      unknown.erase(key);
    } else {
      answered.erase(key);
      unknown.insert(key);
    }
  }
  // Every answered attachment is there with its addresses, and nothing else but what the runtime will delete.
  void check() {
    std::set<Ip> seen;
    for (const auto& [key, record] : ipam->records()) {
      for (const auto& address : record.addresses) CHECK(seen.insert(address).second);
      CHECK((answered.contains(key) || unknown.contains(key)));
    }
    for (const auto& [key, addresses] : answered) {
      REQUIRE(ipam->find(key));
      CHECK(ipam->find(key)->addresses == addresses);
    }
  }
};

}  // namespace

TEST_CASE("a kill after every single byte and call leaves nothing leaked and nothing given twice") {
  log::set_level(log::Level::Error);
  uint64_t steps = 1;
  for (;; ++steps) {
    Runtime runtime;
    runtime.storage.steps = steps;
    if (runtime.start()) {
      const auto live = [&] { return !runtime.storage.dead(); };
      for (int i = 0; i < 3 && live(); ++i) runtime.add({"c" + std::to_string(i), "eth0"});
      if (live()) {
        auto dropped = runtime.ipam->reserve(wish("dropped"), runtime.now);
        if (!dropped) runtime.unknown.insert({"dropped", "eth0"});
      }
      if (!live()) runtime.unknown.insert({"dropped", "eth0"});
      if (live()) runtime.remove({"c1", "eth0"});
      if (live()) runtime.add({"c3", "eth0"});
    }
    const bool survived = !runtime.storage.dead();
    runtime.restart();
    for (const auto& key : std::set<Key>(runtime.unknown)) runtime.remove(key);
    runtime.check();
    CHECK(runtime.ipam->records().size() == runtime.answered.size());
    if (survived) break;
  }
  CHECK(steps > 500);
}

TEST_CASE("10,000 random ADDs, DELs and kills leak no address and give none twice") {
  log::set_level(log::Level::Error);
  std::mt19937_64 random(20260101);
  Runtime runtime;
  REQUIRE(runtime.start());
  for (int i = 0; i < 10'000; ++i) {
    runtime.now += std::chrono::milliseconds(random() % 3000);
    if (random() % 8 == 0) runtime.storage.steps = random() % 400;
    const Key key{"c" + std::to_string(random() % 40), "eth0"};
    if (runtime.answered.contains(key) || runtime.unknown.contains(key))
      runtime.remove(key);
    else
      runtime.add(key);
    if (runtime.storage.dead()) runtime.restart();
  }
  runtime.storage.steps = FaultStorage::kForever;
  for (const auto& key : std::set<Key>(runtime.unknown)) runtime.remove(key);
  const auto live = runtime.answered;
  for (const auto& [key, addresses] : live) runtime.remove(key);
  CHECK(runtime.ipam->records().empty());
  CHECK(runtime.kills > 500);
  CHECK(runtime.exhausted > 0);
  // All of the block can be had again.
  runtime.now += 31s;
  for (int i = 0; i < 29; ++i) runtime.add({"last" + std::to_string(i), "eth0"});
  CHECK(runtime.answered.size() == 29);
}
