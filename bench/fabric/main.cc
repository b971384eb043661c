// What a packet pays for our data path: round trip, connection and bulk transfer between Pods, beside a bare veth (the
// least possible) and beside bridge and kernel VXLAN. Every round measures every path, one after the other; medians.
#include <array>
#include <cstdio>
#include <functional>
#include <vector>

#include "figures.h"
#include "measure.h"
#include "peers.h"

using namespace causeway;
using namespace causeway::bench;

namespace {

constexpr int kRounds = 7;

Path between(test::Pod& client, test::Pod& server) {
  return {.client = &client.ns, .server = &server.ns, .address = server.ip4};
}

struct Series {
  std::vector<double> round_trip, connect, bulk;
  void add(const Sample& sample) {
    round_trip.push_back(sample.round_trip_us);
    connect.push_back(sample.connect_us);
    bulk.push_back(sample.us_per_megabyte);
  }
};

void report(Figures& figures, const char* name, const Series& ours, const Series& bare, Goal goal) {
  figures.ratio(fmt::format("{}: round trip, to a bare veth", name), "us", median(ours.round_trip), median(bare.round_trip), goal);
  figures.ratio(fmt::format("{}: connect, to a bare veth", name), "us", median(ours.connect), median(bare.connect), goal);
  figures.ratio(fmt::format("{}: CPU of bulk transfer, to a bare veth", name), "us/MB", median(ours.bulk), median(bare.bulk), goal);
}

}  // namespace

int main(int argc, char** argv) try {
  BareVeth veth;
  Bridge bridge;
  BridgeVxlan vxlan;
  // Each with the MTU that its network allows, as the bare veth has it.
  test::World native({.pod_mtu = 1500, .wire = true}), overlay({.fabric = test::Fabric::Overlay4, .pod_mtu = 1450, .wire = true});
  const std::array<Path, 6> paths = {
      veth.path(),
      between(native.a1(), native.a2()),
      between(native.a1(), native.b1()),
      between(overlay.a1(), overlay.b1()),
      bridge.path(),
      vxlan.path(),
  };
  std::array<Series, 6> series;
  for (const auto& path : paths) (void)measure(path);  // neighbours, caches
  for (int round = 0; round < kRounds; ++round)
    for (size_t i = 0; i < paths.size(); ++i) series[i].add(measure(paths[i]));

  Figures figures;
  const auto& [bare, same_node, by_route, by_overlay, by_bridge, by_vxlan] = series;
  report(figures, "same node", same_node, bare, AtMost{1.08});
  report(figures, "native", by_route, bare, AtMost{1.18});
  report(figures, "overlay", by_overlay, bare, AtMost{1.28});
  report(figures, "bridge (peer)", by_bridge, bare, {});
  report(figures, "bridge + kernel vxlan (peer)", by_vxlan, bare, {});
  return figures.finish(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_fabric: %s\n", error.what());
  return 1;
}
