#include "load.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "balancer.h"
#include "kernel/bpf/cgroup.h"
#include "services.h"

namespace causeway::bench {

namespace {

void demand(bool fulfilled, const std::string& what) {
  if (!fulfilled) throw std::runtime_error(what);
}

Ip number(uint32_t net, int n) { return Ip::v4(net + static_cast<uint32_t>(n)); }

}  // namespace

void fill_services(test::Node& node, int services) {
  const auto rows = static_cast<uint32_t>(services);
  const auto room = node.plane->reserve_services(
      {.services = 2 * rows + 16, .slots = 2 * rows + 16, .backends = 2 * rows + 16, .source_ranges = 16});
  demand(bool(room), room ? "" : room.error().message());
  test::Balancer balancer(node);
  for (int i = 0; i < services; ++i) {
    const auto id = static_cast<uint32_t>(i + 1);
    balancer.endpoints(id, {{number(0x0afa0000, 2 * i), 8080}, {number(0x0afa0000, 2 * i + 1), 8080}});  // 10.250.0.0
    balancer.serve(id, number(0x0a640000, i), 80);                                                       // 10.100.0.0
  }
  balancer.range(Cidr::parse("10.100.0.0/14").value());
  test::ServiceRows known(node);
  for (const auto& pod : node.pods) known.client(*pod);
}

Cgroup::Cgroup(const std::string& name) {
  const auto root = bpf::find_cgroup_root();
  demand(bool(root), root ? "" : root.error().message());
  home_ = *root;
  std::ifstream own("/proc/self/cgroup");
  for (std::string line; std::getline(own, line);)
    if (line.starts_with("0::")) home_ += line.substr(3);
  path_ = fmt::format("{}/causeway-bench-{}-{}", *root, name, ::getpid());
  demand(::mkdir(path_.c_str(), 0755) == 0, "make the cgroup " + path_);
}

Cgroup::~Cgroup() {
  std::ofstream(home_ + "/cgroup.procs") << ::getpid() << std::flush;
  ::rmdir(path_.c_str());
}

void Cgroup::enter() const {
  std::ofstream procs(path_ + "/cgroup.procs");
  procs << ::getpid() << std::flush;
  demand(procs.good(), "move into the cgroup " + path_);
}

void Cgroup::leave() const {
  std::ofstream procs(home_ + "/cgroup.procs");
  procs << ::getpid() << std::flush;
  demand(procs.good(), "leave the cgroup " + path_);
}

}  // namespace causeway::bench
