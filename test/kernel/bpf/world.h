// Nodes, Pods, a router and an outside host as network namespaces without names, so that nothing is left when a test
// dies. Real devices, real programs; the rows that the appliers would write are written here by hand.
//
//   node a 192.0.2.11 ─┐                      ┌─ node c 198.51.100.13
//   node b 192.0.2.12 ─┴─ bridge ── router ───┴─ outside 203.0.113.2
//
// IPv6 likewise: 2001:db8:1::11, 2001:db8:1::12, 2001:db8:2::13, 2001:db8:f::2. Pods: 10.244.<n>.<m>, fd00:10:<n>::<m>.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "datapath/datapath.h"
#include "kernel/bpf/attach.h"

namespace causeway::test {

// A network namespace that lives as long as this value.
class Ns {
 public:
  Ns();
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
};

// The calling thread is in this namespace until the end of the scope.
class In {
 public:
  explicit In(const Ns& ns);
  ~In();
  In(const In&) = delete;

 private:
  Fd back_;
};

// Lines of `ip -batch`, inside a namespace; {name} of another namespace's path comes from path().
void ip(const Ns& ns, const std::string& batch);
std::string path(const Ns& ns);
void sysctl(const Ns& ns, const std::string& name, const std::string& value);
// Output of a shell command inside a namespace.
std::string shell(const Ns& ns, const std::string& command);
uint32_t ifindex(const Ns& ns, const std::string& device);

enum class Fabric { Native, Overlay4, Overlay6 };

struct Setup {
  datapath::Attach attach = datapath::Attach::Auto;
  Fabric fabric = Fabric::Native;  // between a and b; c is another subnet, so native there becomes Overlay4
  bool masquerade = true;
  uint32_t conntrack_entries = 4096;
  int pod_mtu = 0;  // 0: what the overlay leaves (1430)
  std::vector<datapath::PortRange> nat_ports = {};
  std::vector<Ip> dns = {};  // addresses of cluster DNS
  bool track_node_flows = false;
  bool wire = false;               // only a and b, joined by one veth: no bridge, router, outside
  bool policy = false;             // policies are enforced; nothing passes to Pods that nobody judges
  bool services = false;           // the per-packet path; the tables of Services are the test's
  std::string socket_cgroup = "";  // where the socket hooks of node a attach; "": none
  bool programs = true;  // false: nothing of the bpf plane, and no routes between nodes; Pods' links are of their group
};
std::string name_of(const Setup& setup);

struct Pod {
  Ns ns;
  int number = 0;
  std::string host_side;
  Ip ip4, ip6;
  Ip ip(Family family) const { return family == Family::V4 ? ip4 : ip6; }
};

struct Node {
  Ns ns;
  int number = 0;
  Ip ip4, ip6;
  Cidr pods4, pods6;
  std::string pins;
  std::string plane_kind, room;  // planes.h
  std::vector<std::unique_ptr<Pod>> pods;
  std::unique_ptr<datapath::Datapath> plane;
  Ip ip(Family family) const { return family == Family::V4 ? ip4 : ip6; }
  uint64_t counted(abi::counter_reason reason) const;
};

class World {
 public:
  explicit World(const Setup& setup = {});
  ~World();

  Pod& add_pod(Node& node);
  // Pins, programs and rows of one node; again: as after an agent's restart.
  void open_plane(Node& node, const Setup& setup);

  Ns router, outside;
  Ip outside4, outside6;
  Node a, b, c;
  Pod& a1() { return *a.pods[0]; }
  Pod& a2() { return *a.pods[1]; }
  Pod& b1() { return *b.pods[0]; }
  Pod& c1() { return *c.pods[0]; }
  Ip outside_ip(Family family) const { return family == Family::V4 ? outside4 : outside6; }

 private:
  void wire_node(Node& node, int number);
  void write_routes(Node& node);
  Setup setup_;
};

// All sets of tests run by both ways of attaching, where the kernel has both.
inline const std::vector<datapath::Attach> kAttaches =
    bpf::has_tcx() ? std::vector{datapath::Attach::Tcx, datapath::Attach::Clsact}
                   : std::vector{datapath::Attach::Clsact};
inline constexpr Family kFamilies[] = {Family::V4, Family::V6};

}  // namespace causeway::test
