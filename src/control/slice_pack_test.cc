#include "control/slice_pack.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>

using namespace causeway;
using namespace causeway::control;

namespace {

const kube::OwnerReference kOwner{.api_version = "v1", .kind = "Service", .name = "web", .uid = "u"};

SliceOwner owner(size_t max = 4) {
  return {.reference = kOwner, .ns = "shop", .labels = {{"kubernetes.io/service-name", "web"}}, .max_endpoints = max};
}
kube::SliceEndpoint endpoint(int number, bool ready = true) {
  kube::SliceEndpoint made;
  made.addresses = {fmt::format("10.0.{}.{}", number / 250, number % 250 + 1)};
  made.conditions.ready = ready;
  made.target_ref = kube::ObjectReference{.kind = "Pod", .ns = "shop", .name = fmt::format("p{}", number)};
  return made;
}
const std::vector<kube::EndpointPort> kPorts{{.name = "http", .protocol = "TCP", .port = 80}};

EndpointGroups wanted(const std::vector<int>& numbers, const std::vector<int>& unready = {}) {
  EndpointGroups groups;
  auto& group = groups[ports_key(kPorts)];
  group.ports = kPorts;
  for (int number : numbers) {
    auto one = endpoint(number, std::ranges::find(unready, number) == unready.end());
    group.endpoints.emplace(key_of(one), one);
  }
  return groups;
}

// The slices as the API server would have them afterwards. Counts the writes.
struct Cluster {
  std::map<std::string, kube::EndpointSlice> slices;
  size_t writes = 0;
  int next = 0;

  void apply(EndpointGroups groups, SliceOwner by = owner()) {
    std::vector<kube::EndpointSlice> existing;
    for (const auto& [name, slice] : slices) existing.push_back(slice);
    auto set = pack(by, "IPv4", existing, std::move(groups));
    reuse_removed(set, kOwner);
    CHECK(set.update.size() + set.remove.size() + set.unchanged.size() == slices.size());
    writes = set.create.size() + set.update.size() + set.remove.size();
    for (const auto& slice : set.remove) slices.erase(slice.metadata.name);
    for (auto* list : {&set.create, &set.update})
      for (auto& slice : *list) {
        if (slice.metadata.name.empty()) slice.metadata.name = fmt::format("web-{}", ++next);
        slices[slice.metadata.name] = slice;
      }
  }
  // "4 2": endpoints of each slice.
  std::string sizes() const {
    std::vector<size_t> sizes;
    for (const auto& [name, slice] : slices) sizes.push_back(slice.endpoints.size());
    std::ranges::sort(sizes, std::greater{});
    std::string text;
    for (auto size : sizes) text += fmt::format("{}{}", text.empty() ? "" : " ", size);
    return text;
  }
};

std::vector<int> range(int from, int to) {
  std::vector<int> numbers;
  for (int i = from; i < to; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace

TEST_CASE("without endpoints there is one slice that says so, and it is not written again") {
  Cluster cluster;
  cluster.apply({});
  CHECK(cluster.sizes() == "0");
  cluster.apply({});
  CHECK(cluster.writes == 0);
  // It becomes the first real one, and again the placeholder.
  cluster.apply(wanted({1}));
  CHECK(cluster.writes == 1);
  CHECK(cluster.sizes() == "1");
  cluster.apply({});
  CHECK(cluster.writes == 1);
  CHECK(cluster.sizes() == "0");
  CHECK(cluster.slices.begin()->second.ports.empty());
}

TEST_CASE("one endpoint's change writes one slice") {
  Cluster cluster;
  cluster.apply(wanted(range(0, 10)));
  CHECK(cluster.sizes() == "4 4 2");
  cluster.apply(wanted(range(0, 10), {3}));
  CHECK(cluster.writes == 1);
  cluster.apply(wanted(range(0, 10), {3}));
  CHECK(cluster.writes == 0);
  // A new one goes into the slice that has room.
  cluster.apply(wanted(range(0, 11), {3}));
  CHECK(cluster.writes == 1);
  CHECK(cluster.sizes() == "4 4 3");
}

TEST_CASE("new endpoints fill what is written anyway, then the one slice they fit best") {
  Cluster cluster;
  cluster.apply(wanted(range(0, 12)));
  // Two slices lose one each: the new endpoint goes into one of them.
  auto left = range(0, 13);
  std::erase(left, 0);
  std::erase(left, 4);
  cluster.apply(wanted(left));
  CHECK(cluster.writes == 2);
  CHECK(cluster.sizes() == "4 4 3");
  // Untouched slices of 3 and 1: one endpoint fits the fuller one exactly.
  Cluster other;
  other.apply(wanted(range(0, 5)));
  other.apply(wanted(range(0, 4)));
  CHECK(other.sizes() == "4");
}

TEST_CASE("slices are told apart by their ports, in whatever order these are listed") {
  CHECK(ports_key({{.name = "a", .port = 1}, {.name = "b", .port = 2}}) ==
        ports_key({{.name = "b", .port = 2}, {.name = "a", .port = 1}}));
  CHECK(ports_key({{.name = "a", .port = 1}}) != ports_key({{.name = "a", .port = 2}}));
  CHECK(ports_key({{.name = "a", .port = 1}}) != ports_key({{.name = "a"}}));
}

TEST_CASE("slices of an earlier Service of the same name are not filled, only taken away") {
  Cluster cluster;
  cluster.apply(wanted({1, 2}));
  cluster.slices.begin()->second.metadata.owner_references[0].uid = "older";
  cluster.apply(wanted({1, 2}));
  CHECK(cluster.slices.size() == 1);
  CHECK(cluster.slices.begin()->second.metadata.owner_references[0].uid == "u");
  CHECK(cluster.slices.begin()->second.metadata.name == "web-2");
}

TEST_CASE("whatever happens, each wanted endpoint is in exactly one slice, none is too big, and little is written") {
  std::mt19937 random(42);
  for (int run = 0; run < 30; ++run) {
    Cluster cluster;
    std::set<int> numbers;
    for (int step = 0; step < 60; ++step) {
      const size_t changes = random() % 6;
      for (size_t i = 0; i < changes; ++i) {
        const int number = int(random() % 40);
        if (!numbers.erase(number)) numbers.insert(number);
      }
      cluster.apply(wanted({numbers.begin(), numbers.end()}));
      std::set<std::string> seen;
      for (const auto& [name, slice] : cluster.slices) {
        CHECK(slice.endpoints.size() <= 4);
        if (!numbers.empty()) CHECK(!slice.endpoints.empty());
        for (const auto& one : slice.endpoints) CHECK(seen.insert(one.target_ref->name).second);
      }
      CHECK(seen.size() == numbers.size());
      // Each change writes at most the slice that it leaves and one that it enters.
      CHECK(cluster.writes <= 2 * changes + 1);
    }
  }
}
