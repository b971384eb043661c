#include "world.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "datapath/rows.h"
#include "kernel/bpf/pins.h"
#include "kernel/netlink/messages.h"
#include "planes.h"

namespace causeway::test {

namespace {

// A test without its world is no test: the exception ends it, and names what is missing.
void demand(bool fulfilled, const std::string& what) {
  if (!fulfilled) throw std::runtime_error("test world: " + what);
}

Fd open_own(const char* file) { return Fd(::open(file, O_RDONLY)); }  // inherited by `ip`

// The tests' own bpffs in a private mount namespace: gone with the process.
const std::string& pin_root() {
  static const std::string root = [] {
    demand(::unshare(CLONE_NEWNS) == 0, "a mount namespace (root?)");
    demand(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
    demand(::mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) == 0, "a bpffs");
    return std::string("/sys/fs/bpf/cw");
  }();
  return root;
}

Mac mac_of(int kind, int node, int pod) {
  return Mac{{0x02, 0xca, 0x05, static_cast<uint8_t>(kind), static_cast<uint8_t>(node), static_cast<uint8_t>(pod)}};
}

Ip ip_of(const std::string& text) { return Ip::parse(text).value(); }

template <class T>
T must(Result<T> result) {
  if (!result) demand(false, result.error().message());
  return std::move(*result);
}
void must(Status status) {
  if (!status) demand(false, status.error().message());
}

}  // namespace

Ns::Ns() {
  Fd back = open_own("/proc/thread-self/ns/net");
  demand(::unshare(CLONE_NEWNET) == 0, "a network namespace (root?)");
  fd_ = open_own("/proc/thread-self/ns/net");
  shell(*this, "ip link set lo up");
  demand(::setns(back.get(), CLONE_NEWNET) == 0, "the way back");
  sysctl(*this, "ipv4/conf/all/rp_filter", "0");
  sysctl(*this, "ipv4/conf/default/rp_filter", "0");
  sysctl(*this, "ipv4/ping_group_range", "0 2147483647");
  sysctl(*this, "ipv6/conf/default/accept_dad", "0");
  sysctl(*this, "ipv6/conf/all/accept_dad", "0");
  sysctl(*this, "ipv4/icmp_ratelimit", "0");
  sysctl(*this, "ipv6/icmp/ratelimit", "0");
}

In::In(const Ns& ns) : back_(open_own("/proc/thread-self/ns/net")) {
  demand(::setns(ns.fd(), CLONE_NEWNET) == 0, "into a namespace");
}
In::~In() { ::setns(back_.get(), CLONE_NEWNET); }

std::string path(const Ns& ns) { return fmt::format("/proc/{}/fd/{}", ::getpid(), ns.fd()); }

void ip(const Ns& ns, const std::string& batch) {
  In in(ns);
  FILE* pipe = ::popen("ip -batch -", "w");
  ::fputs(batch.c_str(), pipe);
  demand(::pclose(pipe) == 0, "ip refused:\n" + batch);
}

std::string shell(const Ns& ns, const std::string& command) {
  In in(ns);
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string output;
  char buffer[4096];
  while (size_t n = ::fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, n);
  ::pclose(pipe);
  return output;
}

void sysctl(const Ns& ns, const std::string& name, const std::string& value) {
  In in(ns);
  std::ofstream("/proc/sys/net/" + name) << value;
}

// Until the namespace takes packets to each of its IPv6 addresses: the kernel makes an address' local route in a work
// queue that waits for the machine's one lock of network settings, "nodad" or not (addrconf_dad_work).
void settle(const Ns& ns) {
  In in(ns);
  auto words = [](const char* file) {
    std::ifstream lines(file);
    std::vector<std::vector<std::string>> rows;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream row(line);
      rows.emplace_back(std::istream_iterator<std::string>(row), std::istream_iterator<std::string>());
    }
    return rows;
  };
  std::set<std::string> missing;
  for (int tries = 0; tries < 3000; ++tries, std::this_thread::sleep_for(std::chrono::milliseconds(10))) {
    missing.clear();
    for (const auto& row : words("/proc/thread-self/net/if_inet6"))  // address, index, length, scope: 00 is global
      if (row[3] == "00") missing.insert(row[0]);
    for (const auto& row : words("/proc/thread-self/net/ipv6_route"))  // destination, length, ..., flags: RTF_LOCAL
      if (row[1] == "80" && std::stoul(row[8], nullptr, 16) & 0x80000000) missing.erase(row[0]);
    if (missing.empty()) return;
  }
  demand(false, fmt::format("the kernel made no local route of {} within 30 s", *missing.begin()));
}

uint32_t ifindex(const Ns& ns, const std::string& device) {
  In in(ns);
  return ::if_nametoindex(device.c_str());
}

std::string name_of(const Setup& setup) {
  const char* fabric = setup.fabric == Fabric::Native     ? "native"
                       : setup.fabric == Fabric::Overlay4 ? "overlay-4"
                                                          : "overlay-6";
  return fmt::format("{} {}", to_string(setup.attach), fabric);
}

uint64_t Node::counted(abi::counter_reason reason) const { return must(plane->counters())[reason].packets; }

World::World(const Setup& setup) : setup_(setup) {
  auto open = [&](Node& node) {
    node.plane_kind = plane_kind(setup, node.number);
    node.pins = take_pins(pin_root(), node.plane_kind);
    open_plane(node, setup);
    node.room = room_of(node.pins);
  };
  if (setup.wire) {
    ip(a.ns, fmt::format("link add eth0 type veth peer name eth0 netns {}\n", path(b.ns)));
    wire_node(a, 1);
    wire_node(b, 2);
    for (Node* node : {&a, &b}) settle(node->ns);
    for (Node* node : {&a, &b}) open(*node);
    add_pod(a);
    add_pod(a);
    add_pod(b);
    return;
  }
  outside4 = ip_of("203.0.113.2");
  outside6 = ip_of("2001:db8:f::2");
  ip(router, fmt::format("link add br0 type bridge\nlink set br0 up\n"
                         "addr add 192.0.2.1/24 dev br0\naddr add 2001:db8:1::1/64 dev br0 nodad\n"
                         "link add out type veth peer name eth0 netns {}\nlink set out up\n"
                         "addr add 203.0.113.1/24 dev out\naddr add 2001:db8:f::1/64 dev out nodad\n",
                         path(outside)));
  sysctl(router, "ipv4/ip_forward", "1");
  sysctl(router, "ipv6/conf/all/forwarding", "1");
  ip(outside,
     "link set eth0 up\naddr add 203.0.113.2/24 dev eth0\naddr add 2001:db8:f::2/64 dev eth0 nodad\n"
     "route add default via 203.0.113.1\nroute add default via 2001:db8:f::1\n");
  int number = 0;
  for (Node* node : {&a, &b, &c}) wire_node(*node, ++number);
  for (const Ns* ns : {&router, &outside, &a.ns, &b.ns, &c.ns}) settle(*ns);
  for (Node* node : {&a, &b, &c}) open(*node);
  add_pod(a);
  add_pod(a);
  add_pod(b);
  add_pod(c);
}

World::~World() {
  for (Node* node : {&a, &b, &c}) {
    if (!node->plane) continue;
    In in(node->ns);
    keep_pins(*node);
  }
}

void World::wire_node(Node& node, int number) {
  bool far = number == 3;
  node.number = number;
  node.ip4 = ip_of(far ? "198.51.100.13" : fmt::format("192.0.2.1{}", number));
  node.ip6 = ip_of(fmt::format("2001:db8:{}::1{}", far ? 2 : 1, number));
  node.pods4 = must(Cidr::parse(fmt::format("10.244.{}.0/24", number)));
  node.pods6 = must(Cidr::parse(fmt::format("fd00:10:{}::/64", number)));
  std::string link =
      fmt::format("link add n{0} type veth peer name eth0 netns {1}\nlink set n{0} up\n", number, path(node.ns));
  link += far ? "addr add 198.51.100.1/24 dev n3\naddr add 2001:db8:2::1/64 dev n3 nodad\n"
              : fmt::format("link set n{} master br0\n", number);
  if (!setup_.wire) ip(router, link);
  for (auto name : {"ipv4/ip_forward", "ipv6/conf/all/forwarding"}) sysctl(node.ns, name, "1");
  std::string router4 = far ? "198.51.100.1" : "192.0.2.1", router6 = far ? "2001:db8:2::1" : "2001:db8:1::1";
  ip(node.ns, fmt::format("link set eth0 up\naddr add {}/24 dev eth0\naddr add {}/64 dev eth0 nodad\n"
                          "route add default via {}\nroute add default via {}\n",
                          to_string(node.ip4), to_string(node.ip6), router4, router6));
}

namespace {

bool is_far(const Node& node) { return node.number == 3; }

std::string router_of(const Node& node, Family family) {
  if (family == Family::V4) return is_far(node) ? "198.51.100.1" : "192.0.2.1";
  return is_far(node) ? "2001:db8:2::1" : "2001:db8:1::1";
}

// What the fabric's applier writes for one remote node.
void write_remote(Node& node, const Node& remote, Fabric fabric) {
  uint32_t uplink = ifindex(node.ns, "eth0");
  bool far = is_far(node) != is_far(remote);
  if (far && fabric == Fabric::Native) fabric = Fabric::Overlay4;
  bool overlay = fabric != Fabric::Native;
  Family outer = fabric == Fabric::Overlay6 ? Family::V6 : Family::V4;
  uint16_t mtu = outer == Family::V6 ? 1430 : 1450;
  std::vector<std::pair<abi::route_key, abi::route_value>> rows;
  for (Family family : kFamilies) {
    Cidr pods = family == Family::V4 ? remote.pods4 : remote.pods6;
    abi::route_value value{
        .kind = abi::ROUTE_NATIVE, .mtu = 1500, .ifindex = uplink, .next_hop = datapath::to_abi(remote.ip(family))};
    if (overlay)
      value = {.kind = abi::ROUTE_OVERLAY,
               .mtu = mtu,
               .ifindex = uplink,
               .next_hop = far ? abi::ip_addr{} : datapath::to_abi(remote.ip(outer)),
               .vtep = datapath::to_abi(remote.ip(outer)),
               .source = datapath::to_abi(node.ip(outer)),
               .vni = 1};
    rows.push_back({datapath::route_key(pods), value});
    value.flags = abi::ROUTE_F_NODE;
    rows.push_back({datapath::route_key(host_cidr(remote.ip(family))), value});
    std::string via = far ? router_of(node, family) : to_string(remote.ip(family));
    ip(node.ns, fmt::format("route replace {} via {} dev eth0 mtu {}\n", to_string(pods), via, overlay ? mtu : 1500));
  }
  must(node.plane->routes().put(rows));
  must(node.plane->peers().put(datapath::peer_key(remote.ip(outer)),
                               abi::peer_value{.node = static_cast<uint32_t>(remote.number)}));
}

}  // namespace

void World::open_plane(Node& node, const Setup& setup) {
  setup_ = setup;
  if (!setup.programs) return;
  In in(node.ns);
  node.plane.reset();
  datapath::Features features{.attach = setup.attach, .masquerade = setup.masquerade};
  if (!setup.nat_ports.empty()) features.nat_ports = setup.nat_ports;
  features.track_node_flows = setup.track_node_flows;
  features.services = setup.services;
  features.dns = setup.dns;
  features.policy = setup.policy;
  features.socket_hooks = !setup.socket_cgroup.empty() && &node == &a;
  node.plane = must(datapath::Datapath::open({.pins = node.pins,
                                              .features = features,
                                              .conntrack_entries = setup.conntrack_entries,
                                              .cgroup = setup.socket_cgroup,
                                              .service_rows = {1024, 4096, 4096, 1024}}));
  write_routes(node);
  uint32_t uplink = ifindex(node.ns, "eth0");
  must(node.plane->uplinks().put(
      uplink, abi::uplink_value{.addr4 = datapath::to_abi(node.ip4), .addr6 = datapath::to_abi(node.ip6)}));
  if (setup.services)
    for (const auto& own : {node.ip4, node.ip6})
      must(node.plane->node_addresses().put(datapath::to_abi(own), uint32_t{abi::NODE_ADDRESS_NODE_PORTS}));
  must(node.plane->attach_uplink(IfIndex{uplink}));
}

void World::write_routes(Node& node) {
  for (Node* remote : {&a, &b, &c})
    if (remote != &node && remote->number) write_remote(node, *remote, setup_.fabric);
  std::vector<std::pair<abi::route_key, abi::route_value>> rows;
  for (Family family : kFamilies) {
    Cidr pods = family == Family::V4 ? node.pods4 : node.pods6;
    rows.push_back({datapath::route_key(pods), {.kind = abi::ROUTE_LOCAL_PODS}});
    rows.push_back({datapath::route_key(host_cidr(node.ip(family))), {.kind = abi::ROUTE_THIS_NODE}});
    ip(node.ns, fmt::format("route replace {} via {} dev eth0\n", to_string(pods), router_of(node, family)));
  }
  must(node.plane->routes().put(rows));
}

Pod& World::add_pod(Node& node) {
  auto& pod = *node.pods.emplace_back(std::make_unique<Pod>());
  pod.number = static_cast<int>(node.pods.size()) + 1;
  pod.host_side = fmt::format("pod{}", pod.number);
  pod.ip4 = ip_of(fmt::format("10.244.{}.{}", node.number, pod.number));
  pod.ip6 = ip_of(fmt::format("fd00:10:{}::{}", node.number, pod.number));
  Mac mac = mac_of(1, node.number, pod.number), host_mac = mac_of(2, node.number, pod.number);
  int mtu = setup_.pod_mtu ? setup_.pod_mtu : 1430;
  ip(node.ns, fmt::format("link add {0} address {1} mtu {5} type veth peer name eth0 address {2} mtu {5} netns {3}\n"
                          "link set {0} up\n",
                          pod.host_side, to_string(host_mac), to_string(mac), path(pod.ns), 0, mtu));
  sysctl(node.ns, fmt::format("ipv6/conf/{}/accept_ra", pod.host_side), "0");
  if (!setup_.programs) ip(node.ns, fmt::format("link set {} group {}\n", pod.host_side, netlink::kPodGroup));
  ip(pod.ns, fmt::format("link set eth0 up\naddr add {}/32 dev eth0\naddr add {}/128 dev eth0 nodad\n"
                         "route add 169.254.1.1 dev eth0\nroute add default via 169.254.1.1 dev eth0\n"
                         "neigh add 169.254.1.1 lladdr {} dev eth0 nud permanent\n"
                         "neigh add fe80::1 lladdr {} dev eth0 nud permanent\nroute add default via fe80::1 dev eth0\n",
                         to_string(pod.ip4), to_string(pod.ip6), to_string(host_mac), to_string(host_mac)));
  ip(node.ns,
     fmt::format("neigh add {1} lladdr {3} dev {0} nud permanent\nneigh add {2} lladdr {3} dev {0} nud permanent\n"
                 "route add {1}/32 dev {0}\nroute add {2}/128 dev {0}\n",
                 pod.host_side, to_string(pod.ip4), to_string(pod.ip6), to_string(mac)));
  settle(pod.ns);
  if (!setup_.programs) return pod;
  abi::pod_value value{.ifindex = ifindex(node.ns, pod.host_side)};
  std::copy(mac.bytes.begin(), mac.bytes.end(), value.mac);
  std::copy(host_mac.bytes.begin(), host_mac.bytes.end(), value.host_mac);
  must(node.plane->pods().put({{datapath::pod_key(pod.ip4), value}, {datapath::pod_key(pod.ip6), value}}));
  In in(node.ns);
  must(node.plane->attach_pod(IfIndex{value.ifindex}));
  return pod;
}

}  // namespace causeway::test
