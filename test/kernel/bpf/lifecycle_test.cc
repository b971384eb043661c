// Programs come, are replaced and go while packets pass; what is pinned outlives the agent.
#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "datapath/attachments.h"
#include "kernel/bpf/attach.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

namespace {

std::string attachments(Node& node) {
  In in(node.ns);
  std::string text;
  for (const auto& attachment : node.plane->attached().value()) text += to_string(attachment) + "\n";
  return text;
}

std::string all_reach(World& world) {
  return talk_tcp(world.a1().ns, world.a2().ns, world.a2().ip4, 8080).error +
         talk_tcp(world.a1().ns, world.b1().ns, world.b1().ip6, 8080).error +
         talk_tcp(world.a1().ns, world.outside, world.outside4, 8080).error;
}

// Sends 10,000 datagrams a second until stopped; how many of them arrived is known when the sender has stopped.
class Stream {
 public:
  Stream(const Ns& from, const Ns& to, Ip address)
      : server_(udp_socket(to, address.is_v4() ? Ip() : Ip::parse("::").value(), 9100)),
        client_(udp_socket(from, address.is_v4() ? Ip() : Ip::parse("::").value(), 0)),
        receiver_([this] {
          for (;;) {
            if (receive_udp(server_, std::chrono::milliseconds(300)))
              ++received;
            else if (stopped_)
              return;
          }
        }),
        sender_([this, address] {
          while (!stop_) {
            sent += send_udp(client_, address, 9100, "datagram");
            ::usleep(100);
          }
        }) {
    int large = 8 << 20;
    ::setsockopt(server_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
  }
  void finish() {
    stop_ = true;
    sender_.join();
    stopped_ = true;
    receiver_.join();
  }
  std::atomic<size_t> sent = 0, received = 0;

 private:
  Fd server_, client_;
  std::atomic<bool> stop_ = false, stopped_ = false;
  std::thread receiver_, sender_;
};

}  // namespace

TEST_CASE("programs are replaced under traffic and not a packet is lost") {
  for (auto attach : kAttaches) {
    CAPTURE(to_string(attach));
    World world({.attach = attach, .fabric = Fabric::Overlay4});
    REQUIRE(ping(world.a1().ns, world.b1().ip4));  // neighbours are known
    REQUIRE(ping(world.a1().ns, world.a2().ip4));
    Stream remote(world.a1().ns, world.b1().ns, world.b1().ip4), local(world.a1().ns, world.a2().ns, world.a2().ip4);
    for (int i = 0; i < 6; ++i) {
      for (Node* node : {&world.a, &world.b}) {
        In in(node->ns);
        auto features = node->plane->features();
        features.masquerade = !features.masquerade;
        REQUIRE(node->plane->set_features(features));
      }
      ::usleep(50000);
    }
    remote.finish();
    local.finish();
    CHECK(remote.sent > 500);
    CHECK(remote.received == remote.sent);
    CHECK(local.received == local.sent);
  }
}

TEST_CASE("an agent that comes back finds its programs and loads nothing") {
  for (auto attach : kAttaches) {
    World world({.attach = attach});
    auto before = attachments(world.a);
    auto programs = [&] {
      In in(world.a.ns);
      std::string text;
      for (auto direction : {bpf::Direction::Ingress, bpf::Direction::Egress}) {
        auto index = IfIndex{ifindex(world.a.ns, "eth0")};
        if (attach == datapath::Attach::Clsact)
          text += fmt::format("{} ", static_cast<uint32_t>(*bpf::query_clsact(index, direction).value()));
        else
          for (auto id : bpf::query_tcx(index, direction).value())
            text += fmt::format("{} ", static_cast<uint32_t>(id));
      }
      return text;
    };
    auto ids = programs();
    world.a.plane.reset();
    CHECK(talk_tcp(world.a1().ns, world.a2().ns, world.a2().ip4, 8080).error == "");  // nobody needs the agent
    world.open_plane(world.a, {.attach = attach});
    CHECK(attachments(world.a) == before);
    CHECK(programs() == ids);
  }
}

TEST_CASE("what is attached can be listed, moves between tcx and clsact, and goes with its device") {
  World world;
  uint32_t uplink = ifindex(world.a.ns, "eth0"), pod1 = ifindex(world.a.ns, "pod2"), pod2 = ifindex(world.a.ns, "pod3");
  const bool tcx = bpf::has_tcx();
  auto all = [&](datapath::Attach attach) {
    using datapath::Attach;
    const auto uplinks = to_string(attach == Attach::Auto && tcx ? Attach::Tcx
                                   : attach == Attach::Auto      ? Attach::Clsact
                                                                 : attach);
    const auto pods = to_string(attach == Attach::Auto ? Attach::Clsact : attach);
    std::string text;
    for (auto index : {uplink, pod1, pod2}) {
      if (index == uplink)
        text += fmt::format("dev {0} uplink_ingress by {1}\ndev {0} uplink_egress by {1}\n", index, uplinks);
      else
        text += fmt::format("dev {0} from_pod by {1}\ndev {0} to_pod by {1}\n", index, pods);
    }
    return text;
  };
  CHECK(attachments(world.a) == all(datapath::Attach::Auto));
  for (auto attach :
       {datapath::Attach::Clsact, datapath::Attach::Auto, datapath::Attach::Tcx, datapath::Attach::Auto}) {
    if (attach == datapath::Attach::Tcx && !tcx) continue;
    In in(world.a.ns);
    auto features = world.a.plane->features();
    features.attach = attach;
    REQUIRE(world.a.plane->set_features(features));
    CHECK(attachments(world.a) == all(attach));
    CHECK(all_reach(world) == "");
  }
  ip(world.a.ns, "link del pod3\n");
  std::string left = all(datapath::Attach::Auto);
  left.resize(left.find(fmt::format("dev {} ", pod2)));
  CHECK(attachments(world.a) == left);
  In in(world.a.ns);
  REQUIRE(world.a.plane->detach(IfIndex{pod1}));
  REQUIRE(world.a.plane->detach(IfIndex{pod1}));
  left.resize(left.find(fmt::format("dev {} ", pod1)));
  CHECK(attachments(world.a) == left);
  CHECK(world.a.plane->attach_pod(IfIndex{9999}).error().code() == Errc::NotFound);
  world.a.plane.reset();
  REQUIRE(datapath::Datapath::remove_all(world.a.pins));
  // The kernel detaches a link some moments after its last pin is gone.
  auto attached = [&] {
    return (tcx && !bpf::query_tcx(IfIndex{uplink}, bpf::Direction::Ingress).value().empty()) ||
           bpf::query_clsact(IfIndex{uplink}, bpf::Direction::Ingress).value();
  };
  for (int i = 0; i < 200 && attached(); ++i) ::usleep(10000);
  CHECK_FALSE(attached());
  CHECK(::access(world.a.pins.c_str(), F_OK) != 0);
}

TEST_CASE("Pods' veths share their programs, and one that an older agent attached keeps its own") {
  World world({.attach = datapath::Attach::Clsact});
  const IfIndex pod1{ifindex(world.a.ns, "pod2")}, pod2{ifindex(world.a.ns, "pod3")};
  const auto before = attachments(world.a);
  {
    In in(world.a.ns);
    auto blocks = bpf::Blocks::open().value();
    CHECK(blocks.of(pod1).value() == datapath::kPodBlocks);
    CHECK(blocks.of(pod2).value() == datapath::kPodBlocks);
    // As the older agent: filters of the device's own.
    const auto program = [&](bpf::Block block) {
      const auto id = static_cast<uint32_t>(*blocks.program(block).value());
      return Fd(::bpf_prog_get_fd_by_id(id));
    };
    const Fd from = program(datapath::kPodBlocks.ingress), to = program(datapath::kPodBlocks.egress);
    REQUIRE(blocks.leave(pod1));
    REQUIRE(bpf::attach_clsact(from.get(), pod1, bpf::Direction::Ingress));
    REQUIRE(bpf::attach_clsact(to.get(), pod1, bpf::Direction::Egress));
  }
  CHECK(attachments(world.a) == before);
  {
    In in(world.a.ns);
    REQUIRE(world.a.plane->attach_pod(pod1));
    auto blocks = bpf::Blocks::open().value();
    CHECK(blocks.of(pod1).value() == bpf::BlockPair{});
    const auto old = *blocks.program(datapath::kPodBlocks.ingress).value();
    auto features = world.a.plane->features();
    features.services = !features.services;
    REQUIRE(world.a.plane->set_features(features));
    CHECK(blocks.of(pod1).value() == bpf::BlockPair{});
    CHECK(*blocks.program(datapath::kPodBlocks.ingress).value() != old);
    CHECK(*bpf::query_clsact(pod1, bpf::Direction::Ingress).value() ==
          *blocks.program(datapath::kPodBlocks.ingress).value());
  }
  CHECK(attachments(world.a) == before);  // all of them current
  CHECK(all_reach(world) == "");
  In in(world.a.ns);
  for (auto pod : {pod1, pod2}) REQUIRE(world.a.plane->detach(pod));
  auto blocks = bpf::Blocks::open().value();
  CHECK_FALSE(blocks.program(datapath::kPodBlocks.ingress).value());  // the block went with its last device
  for (auto pod : {pod1, pod2}) REQUIRE(world.a.plane->attach_pod(pod));
  CHECK(blocks.of(pod2).value() == datapath::kPodBlocks);
  CHECK(attachments(world.a) == before);
  CHECK(all_reach(world) == "");
  REQUIRE(datapath::Datapath::remove_all(world.a.pins));
  CHECK(blocks.of(pod2).value() == std::nullopt);
}

TEST_CASE("features that cannot be are refused with the reason") {
  World world;
  auto refused = [&](datapath::Features features) {
    In in(world.a.ns);
    auto status = world.a.plane->set_features(std::move(features));
    return status ? std::string("accepted") : status.error().message();
  };
  CHECK(refused({.ipv4 = false, .ipv6 = false}) == "datapath features: neither ipv4 nor ipv6");
  CHECK(refused({.vni = 1 << 24}) == "datapath features: vni 16777216 has more than 24 bits");
  CHECK(refused({.nat_ports = {}}) == "datapath features: masquerade without nat_ports");
  auto nowhere = datapath::Datapath::open({.pins = "/tmp/cw-not-bpffs"});
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().message() ==
        "pin folder /tmp/cw-not-bpffs/maps: not in a bpffs; mount one: mount -t bpf bpf /sys/fs/bpf");
}

}  // namespace causeway::test
