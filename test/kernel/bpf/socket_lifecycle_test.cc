// The socket hooks without the agent, through its restarts and changes; maps that grow under connections.
#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "kernel/bpf/cgroup.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/pins.h"
#include "services.h"
#include "sockets.h"

namespace causeway::test {

namespace {

const Ip kVip = Ip::parse("10.96.0.10").value();

struct Scene {
  Setup setup{.wire = true, .socket_cgroup = own_cgroup()};
  World world{setup};
  ServiceRows rows{world.a};
  Scene() {
    rows.client(world.a1());
    rows.add({.ip = kVip, .port = 80, .backends = {{world.a2().ip4, 8080}}});
  }
  std::string hooks() {
    std::string text;
    for (const auto& hook : world.a.plane->attached_sockets().value()) text += to_string(hook) + "\n";
    return text;
  }
  // Numbers of the programs behind the pinned links.
  std::string programs() {
    std::string text;
    for (auto hook : datapath::kSocketHooks) {
      auto fd = bpf::open_pin(fmt::format("{}/sockets/{}", world.a.pins, to_string(hook)));
      text += fd ? fmt::format("{} ", static_cast<uint32_t>(bpf::cgroup_link(fd->get()).value().program)) : "- ";
    }
    return text;
  }
  bool connects() {
    Fd listener = tcp_listener(world.a2().ns, Ip(), 8080);
    return dial(world.a1().ns, SOCK_STREAM, {kVip, 80}).error == 0;
  }
};

// All hooks, on this cgroup.
std::string all(const std::string& cgroup = own_cgroup()) {
  std::string text;
  for (auto hook : datapath::kSocketHooks)
    text += fmt::format("cgroup {} {}\n", bpf::open_cgroup(cgroup).value().id, to_string(hook));
  return text;
}

// Connects to the Service, one connection after the other, until stopped.
class Connections {
 public:
  Connections(const Ns& client, const Ns& server)
      : listener_(tcp_listener(server, Ip(), 8080)), thread_([this, &client] {
          while (!stop_) {
            int error = dial(client, SOCK_STREAM, {kVip, 80}).error;
            ++(error ? failed : done);
            accepted(listener_, std::chrono::milliseconds(0));
          }
        }) {}
  ~Connections() { finish(); }
  void finish() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::atomic<int> done = 0, failed = 0;

 private:
  Fd listener_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE("nobody needs the agent, and one that comes back loads nothing") {
  Scene scene;
  CHECK(scene.hooks() == all());
  const auto programs = scene.programs();
  CHECK(programs.find('-') == std::string::npos);
  scene.world.a.plane.reset();
  CHECK(scene.connects());
  scene.world.open_plane(scene.world.a, scene.setup);
  CHECK(scene.programs() == programs);
  CHECK(scene.hooks() == all());
  CHECK(scene.connects());
}

TEST_CASE("hooks are switched off and on, are replaced by links, move to another cgroup, and go with the pins") {
  Scene scene;
  auto& node = scene.world.a;
  auto set = [&](auto change) {
    In in(node.ns);
    auto features = node.plane->features();
    change(features);
    REQUIRE(node.plane->set_features(features));
  };
  const auto programs = scene.programs();
  set([](auto& features) { features.ipv6 = false; });
  CHECK(scene.hooks() == all());
  CHECK(scene.programs() != programs);
  CHECK(scene.connects());
  set([](auto& features) { features.socket_hooks = false; });
  CHECK(scene.hooks() == "");
  CHECK(scene.programs() == "- - - - - - - - ");
  CHECK_FALSE(scene.connects());
  set([](auto& features) { features.socket_hooks = true; });
  CHECK(scene.hooks() == all());
  CHECK(scene.connects());

  const std::string child = own_cgroup() + "/child";
  REQUIRE(::mkdir(child.c_str(), 0755) == 0);
  auto setup = scene.setup;
  setup.socket_cgroup = child;
  scene.world.open_plane(node, setup);
  CHECK(scene.hooks() == all(child));
  CHECK_FALSE(scene.connects());  // this process is not in the child
  REQUIRE(::rmdir(child.c_str()) == 0);
  setup.socket_cgroup = own_cgroup();
  scene.world.open_plane(node, setup);  // the cgroup of the links is gone
  CHECK(scene.hooks() == all());
  CHECK(scene.connects());

  In in(node.ns);
  node.plane.reset();
  REQUIRE(datapath::Datapath::remove_all(node.pins));
  CHECK_FALSE(scene.connects());
  CHECK(::access(node.pins.c_str(), F_OK) != 0);
}

TEST_CASE("maps grow with all their rows, and no connection notices") {
  Scene scene;
  auto& plane = *scene.world.a.plane;
  In in(scene.world.a.ns);
  REQUIRE(plane.source_ranges().put({.prefixlen = 64, .service = 1}, 1u));
  auto rows = [&] {
    return fmt::format("{} {} {} {}", plane.services().dump()->size(), plane.slots().dump()->size(),
                       plane.backends().dump()->size(), plane.source_ranges().dump()->size());
  };
  auto* services = &plane.services();
  REQUIRE(rows() == "1 1 1 1");
  // Beyond its room a map is full, and says so.
  std::vector<std::pair<abi::slot_key, uint32_t>> many;
  for (uint32_t i = 0; i < 6000; ++i) many.push_back({{.pool = 77, .index = i}, i});
  auto full = plane.slots().put(many);
  REQUIRE_FALSE(full);
  CHECK(full.error().code() == Errc::Exhausted);

  const auto before = scene.programs();
  REQUIRE(plane.reserve_services({.services = 1024, .slots = 4096, .backends = 4096, .source_ranges = 1024}));
  CHECK(scene.programs() == before);  // there was room
  {
    Connections connections(scene.world.a1().ns, scene.world.a2().ns);
    REQUIRE(plane.reserve_services({.slots = 6001}));
    REQUIRE(plane.slots().put(many));
    REQUIRE(plane.reserve_services({.services = 5000, .slots = 20000, .backends = 10000, .source_ranges = 5000}));
    for (int i = 0; i < 100 && connections.done < 50; ++i) ::usleep(10000);
    connections.finish();
    CHECK(connections.done >= 50);
    CHECK(connections.failed == 0);
  }
  CHECK(scene.programs() != before);
  CHECK(services == &plane.services());
  CHECK(rows() == "1 6001 1 1");
  CHECK(plane.backends().get(9999).value() == std::nullopt);
  CHECK(plane.backends().put(16384u, abi::backend_value{}).error().code() == Errc::Exhausted);
  // What grew stays so when the agent comes back.
  const auto programs = scene.programs();
  scene.world.a.plane.reset();
  scene.world.open_plane(scene.world.a, scene.setup);
  CHECK(scene.programs() == programs);
  CHECK(scene.connects());
}

TEST_CASE("growth whose swap failed is finished by the next call, and leaves conntrack alone") {
  Scene scene;
  auto& plane = *scene.world.a.plane;
  In in(scene.world.a.ns);
  const auto conntrack = [&] {
    return dynamic_cast<bpf::Map<abi::ct_key, abi::ct_value>&>(plane.conntrack()).raw().fd();
  };
  const int before = conntrack();
  // In the place of a link stands something that is none.
  const auto path = scene.world.a.pins + "/sockets/connect6";
  const Fd other = bpf::open_pin(scene.world.a.pins + "/maps/slots").value();
  REQUIRE(bpf::pin(other.get(), path));
  const auto failed = plane.reserve_services({.slots = 6001});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message().starts_with("make room for Services: bring programs to the larger maps: "));
  CHECK(plane.swap_pending());
  CHECK_FALSE(plane.reserve_services({.slots = 6001}));  // nothing more to grow, and still not done
  CHECK(plane.swap_pending());
  REQUIRE(bpf::unpin(path));
  REQUIRE(plane.reserve_services({.slots = 6001}));
  CHECK_FALSE(plane.swap_pending());
  CHECK(scene.hooks() == all());
  CHECK(conntrack() == before);  // another thread may be sweeping it
  // What is written now is what the programs read.
  REQUIRE(plane.services().dump()->size() == 1);
  CHECK(scene.connects());
}

TEST_CASE("socket hooks that somebody detached are attached again") {
  Scene scene;
  auto& plane = *scene.world.a.plane;
  In in(scene.world.a.ns);
  const auto before = scene.programs();
  REQUIRE(plane.repair_sockets());
  CHECK(scene.programs() == before);
  for (const char* name : {"connect4", "connect6"})
    REQUIRE(bpf::unpin_link(fmt::format("{}/sockets/{}", scene.world.a.pins, name)));
  const Fd link = bpf::open_pin(scene.world.a.pins + "/sockets/sendmsg4").value();
  REQUIRE(bpf_link_detach(link.get()) == 0);  // its pin stays
  CHECK(scene.hooks() != all());
  CHECK_FALSE(scene.connects());
  REQUIRE(plane.repair_sockets());
  CHECK(scene.hooks() == all());
  CHECK(scene.connects());
}

TEST_CASE("a cgroup that cannot serve is refused with what to do") {
  World world({.wire = true});
  auto refused = [&](const std::string& cgroup) {
    In in(world.a.ns);
    auto opened = datapath::Datapath::open({.pins = world.a.pins + "-other",
                                            .features = {.socket_hooks = true},
                                            .conntrack_entries = 1024,
                                            .cgroup = cgroup});
    (void)datapath::Datapath::remove_all(world.a.pins + "-other");
    return opened ? std::string("accepted") : opened.error().message();
  };
  CHECK(refused("/tmp") == "socket hooks: /tmp: not in a cgroup2 file system");
  CHECK(refused("/nowhere") == "socket hooks: open the cgroup /nowhere: No such file or directory");
}

}  // namespace causeway::test
