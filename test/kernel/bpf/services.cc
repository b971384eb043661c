#include "services.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "datapath/rows.h"
#include "kernel/bpf/cgroup.h"

namespace causeway::test {

namespace {

namespace fs = std::filesystem;
constexpr const char* kPrefix = "causeway-test-";

void demand(bool fulfilled, const std::string& what) {
  if (!fulfilled) throw std::runtime_error("test services: " + what);
}
void must(Status status) {
  if (!status) demand(false, status.error().message());
}

void move_to(const std::string& cgroup) {
  std::ofstream procs(cgroup + "/cgroup.procs");
  procs << ::getpid() << std::flush;
  demand(procs.good(), "move into the cgroup " + cgroup);
}

// Of tests that were killed.
void remove_left_over(const std::string& root) {
  for (const auto& entry : fs::directory_iterator(root)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    if (::kill(std::atoi(name.c_str() + std::string(kPrefix).size()), 0)) ::rmdir(entry.path().c_str());
  }
}

struct OwnCgroup {
  std::string root, path;
  OwnCgroup() {
    auto found = bpf::find_cgroup_root();
    demand(bool(found), found ? "" : found.error().message());
    root = *found;
    remove_left_over(root);
    path = root + "/" + kPrefix + std::to_string(::getpid());
    demand(::mkdir(path.c_str(), 0755) == 0, "make the cgroup " + path);
    move_to(path);
  }
  ~OwnCgroup() {
    std::ofstream(root + "/cgroup.procs") << ::getpid() << std::flush;
    ::rmdir(path.c_str());
  }
};

}  // namespace

const std::string& own_cgroup() {
  static const OwnCgroup own;
  return own.path;
}

uint64_t netns_cookie(const Ns& ns) {
  In in(ns);
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  demand(::getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0, "SO_NETNS_COOKIE");
  return cookie;
}

void ServiceRows::write(const ServiceSpec& spec, uint32_t id, const std::vector<uint32_t>& slots) {
  const uint32_t pool = 2 * id, epoch = ++epoch_;
  for (uint32_t i = 0; i < slots.size(); ++i)
    must(node_.plane->slots().put({.pool = pool, .epoch = epoch, .index = i}, slots[i]));
  abi::service_side side{.verdict = static_cast<uint8_t>(spec.verdict), .masquerade = spec.masquerade};
  if (slots.empty() && spec.verdict == abi::SERVICE_BALANCE) side.verdict = abi::SERVICE_REJECT;
  if (side.verdict == abi::SERVICE_BALANCE) {
    side.pool = pool;
    side.epoch = epoch;
    side.slots = static_cast<uint32_t>(slots.size());
  }
  must(node_.plane->services().put({.addr = datapath::to_abi(spec.ip), .port = htons(spec.port), .proto = spec.proto},
                                   {.id = id,
                                    .flags = spec.flags,
                                    .affinity = spec.affinity,
                                    .kind = static_cast<uint8_t>(spec.kind),
                                    .algorithm = static_cast<uint8_t>(spec.algorithm),
                                    .inside = side,
                                    .outside = side}));
}

uint32_t ServiceRows::add(const ServiceSpec& spec) {
  const uint32_t id = ++ids_;
  std::vector<uint32_t> slots;
  for (uint32_t i = 0; i < spec.backends.size(); ++i) {
    const uint32_t number = first_backend(id) + i;
    const auto& at = spec.backends[i];
    must(node_.plane->backends().put(number, {.addr = datapath::to_abi(at.ip),
                                              .port = htons(at.port),
                                              .proto = spec.proto,
                                              .state = abi::BACKEND_ELIGIBLE,
                                              .generation = 1,
                                              .service = id,
                                              .load = i < spec.loads.size() ? spec.loads[i] : uint16_t{0},
                                              .weight = i < spec.weights.size() ? spec.weights[i] : uint16_t{1}}));
    slots.push_back(number);
  }
  write(spec, id, slots);
  return id;
}

void ServiceRows::flip(const ServiceSpec& spec, uint32_t id, const std::vector<uint32_t>& backends) {
  write(spec, id, backends);
}

void ServiceRows::known(Ip ip) {
  abi::service_side reject{.verdict = abi::SERVICE_REJECT};
  must(node_.plane->services().put({.addr = datapath::to_abi(ip)},
                                   {.kind = abi::SERVICE_ADDRESS, .inside = reject, .outside = reject}));
}

void ServiceRows::set_state(uint32_t backend, abi::backend_state state) {
  auto row = node_.plane->backends().get(backend);
  demand(row && *row, "no such backend");
  auto value = **row;
  value.state = static_cast<uint8_t>(state);
  if (state == abi::BACKEND_GONE) ++value.generation;
  must(node_.plane->backends().put(backend, value));
}

void ServiceRows::node_address(Ip ip, bool node_ports) {
  must(node_.plane->node_addresses().put(datapath::to_abi(ip),
                                         node_ports ? uint32_t{abi::NODE_ADDRESS_NODE_PORTS} : uint32_t{0}));
}

void ServiceRows::client(const Pod& pod, uint32_t flags) {
  must(node_.plane->clients().put(
      netns_cookie(pod.ns), {.addr4 = datapath::to_abi(pod.ip4), .addr6 = datapath::to_abi(pod.ip6), .flags = flags}));
}

void ServiceRows::source_range(uint32_t id, const Cidr& range) {
  const auto bits = static_cast<uint32_t>(range.prefix() + (range.family() == Family::V4 ? 96 : 0));
  must(node_.plane->source_ranges().put(
      {.prefixlen = 32 + bits, .service = id, .addr = datapath::to_abi(range.address())}, 1u));
}

}  // namespace causeway::test
