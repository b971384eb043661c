// What a packet pays for our data path: round trip, connection and bulk transfer between Pods, beside a bare veth (the
// least possible) and beside bridge and kernel VXLAN. Every round measures every path, one after the other; medians.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <vector>

#include "figures.h"
#include "load.h"
#include "measure.h"
#include "netfilter_world.h"
#include "peers.h"

using namespace causeway;
using namespace causeway::bench;

namespace {

constexpr int kRounds = 9;

Path between(test::Pod& client, test::Pod& server) {
  return {.client = &client.ns, .server = &server.ns, .address = server.ip4};
}

struct Kind {
  const char* name;
  const char* unit;
  double (*measure)(const Path&);
};
constexpr Kind kKinds[] = {
    {"round trip", "us", round_trip},
    {"connect", "us", connect_and_close},
    {"CPU of bulk transfer", "us/MB", bulk},
};

struct Subject {
  const char* name;
  Path path;
  Goal goal;
  const Cgroup* cgroup = nullptr;  // whose socket hooks run for its connections
  std::array<std::vector<double>, std::size(kKinds)> ratios = {};
};

// Two nodes of the netfilter plane on one wire.
struct NetfilterPair {
  test::World world;
  test::NftAgent a, b;
  NetfilterPair(fabric::Mode mode, int mtu)
      : world({.pod_mtu = mtu, .wire = true, .programs = false}),
        a(world, world.a, {.mode = mode}),
        b(world, world.b, {.mode = mode}) {
    for (test::NftAgent* agent : {&a, &b})
      if (std::string failures = agent->apply(); !failures.empty()) throw std::runtime_error(failures);
  }
};

// --services N: so many Services are there, and the socket hooks of plane bpf.
int services_of(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i)
    if (std::string_view(argv[i]) == "--services") return std::atoi(argv[i + 1]);
  return 0;
}

double measure(const Kind& kind, const Subject& subject) {
  if (!subject.cgroup) return kind.measure(subject.path);
  subject.cgroup->enter();
  const double out = kind.measure(subject.path);
  subject.cgroup->leave();
  return out;
}

}  // namespace

int main(int argc, char** argv) try {
  BareVeth veth;
  Bridge bridge;
  BridgeVxlan vxlan;
  const int services = services_of(argc, argv);
  const Cgroup of_native("native"), of_overlay("overlay");
  const auto hooks = [&](const Cgroup& cgroup) { return services ? cgroup.path() : std::string(); };
  // Each with the MTU that its network allows, as the bare veth has it.
  test::World native({.pod_mtu = 1500, .wire = true, .services = services > 0, .socket_cgroup = hooks(of_native)}),
      overlay({.fabric = test::Fabric::Overlay4,
               .pod_mtu = 1450,
               .wire = true,
               .services = services > 0,
               .socket_cgroup = hooks(of_overlay)});
  if (services > 0)
    for (test::World* world : {&native, &overlay})
      for (test::Node* node : {&world->a, &world->b}) fill_services(*node, services);
  // The other plane, for information: no goal.
  NetfilterPair routes(fabric::Mode::HostGw, 1500), tunnel(fabric::Mode::Vxlan, 1450);
  const Path bare = veth.path();
  Subject subjects[] = {
      {"same node", between(native.a1(), native.a2()), AtMost{1.08}, services ? &of_native : nullptr},
      {"native", between(native.a1(), native.b1()), AtMost{1.18}, services ? &of_native : nullptr},
      {"overlay", between(overlay.a1(), overlay.b1()), AtMost{1.28}, services ? &of_overlay : nullptr},
      {"plane netfilter, same node", between(routes.world.a1(), routes.world.a2()), {}},
      {"plane netfilter, native", between(routes.world.a1(), routes.world.b1()), {}},
      {"plane netfilter, kernel vxlan", between(tunnel.world.a1(), tunnel.world.b1()), {}},
      {"peer: bridge", bridge.path(), {}},
      {"peer: bridge and kernel vxlan", vxlan.path(), {}},
  };
  for (const auto& kind : kKinds)
    for (const auto& subject : subjects) (void)measure(kind, subject);  // neighbours, caches

  // The bare veth is measured right before each subject: what else the machine does changes slower than that. The
  // median of the ratios is the figure; the median of the bare veth gives it a unit.
  std::array<std::vector<double>, std::size(kKinds)> bares;
  for (int round = 0; round < kRounds; ++round)
    for (auto& subject : subjects)
      for (size_t k = 0; k < std::size(kKinds); ++k) {
        double peer = kKinds[k].measure(bare), ours = measure(kKinds[k], subject);
        bares[k].push_back(peer);
        subject.ratios[k].push_back(ours / peer);
      }

  Figures figures;
  for (const auto& subject : subjects)
    for (size_t k = 0; k < std::size(kKinds); ++k) {
      double peer = median(bares[k]);
      const std::string among = services && subject.cgroup ? fmt::format(" among {} Services", services) : "";
      figures.ratio(fmt::format("{}{}: {}, to a bare veth", subject.name, among, kKinds[k].name), kKinds[k].unit,
                    median(subject.ratios[k]) * peer, peer, subject.goal);
    }
  return figures.finish(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_fabric: %s\n", error.what());
  return 1;
}
