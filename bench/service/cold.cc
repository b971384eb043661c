// What Services cost an agent of plane bpf, part by part, on this machine's kernel: `bench_service_cold SERVICES
// ENDPOINTS` in a namespace and a pin folder of its own, nothing attached. Prints `name value` lines: milliseconds of
// CPU (programs, model, compile, apply, of it map writes; one change; a restart), megabytes (heap, maps).
#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "async/virtual_loop.h"
#include "datapath/datapath.h"
#include "kernel/bpf/cgroup.h"
#include "kernel/bpf/pins.h"
#include "service/bpf_maps.h"

using namespace causeway;

namespace {

// User and system time of this process: other work on the machine does not count.
double cpu_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) { return t.tv_sec * 1e3 + t.tv_usec / 1e3; };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

double heap_mb() { return static_cast<double>(::mallinfo2().uordblks + ::mallinfo2().hblkhd) / 1e6; }

double resident_mb() {
  std::ifstream file("/proc/self/statm");
  size_t size = 0, resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident) * 4096 / 1e6;
}

void say(const char* name, double value) {
  std::printf("%-32s %10.2f\n", name, value);
  std::fflush(stdout);
}

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().message().c_str());
  std::exit(1);
}
void must(Status status) {
  if (status) return;
  std::fprintf(stderr, "%s\n", status.error().message().c_str());
  std::exit(1);
}

double t_written = 0;  // ms of CPU inside of put() and remove()

template <class K, class V>
struct Timed final : bpf::Table<K, V> {
  bpf::Table<K, V>& to;
  explicit Timed(bpf::Table<K, V>& table) : to(table) {}
  using bpf::Table<K, V>::put;
  using bpf::Table<K, V>::remove;
  Result<std::optional<V>> get(const K& key) const override { return to.get(key); }
  Status put(const std::vector<std::pair<K, V>>& rows) override {
    const double start = cpu_ms();
    Status status = to.put(rows);
    t_written += cpu_ms() - start;
    return status;
  }
  Status remove(const std::vector<K>& keys) override {
    const double start = cpu_ms();
    Status status = to.remove(keys);
    t_written += cpu_ms() - start;
    return status;
  }
  Result<std::map<K, V>> dump() const override { return to.dump(); }
  Status each(const std::function<void(const K&, const V&)>& row) const override { return to.each(row); }
};

std::string pins() { return fmt::format("/sys/fs/bpf/causeway-bench-{}", ::getpid()); }

// Where the socket hooks are attached: a cgroup that nobody is in.
std::string cgroup() {
  static const std::string kPath = fmt::format("{}/causeway-bench-{}", must(bpf::find_cgroup_root()), ::getpid());
  return kPath;
}

void clean() {
  (void)datapath::Datapath::remove_all(pins());
  ::rmdir(cgroup().c_str());
}

struct Agent {
  VirtualLoop loop;
  datapath::Datapath& node;
  service::Desired desired{{}};
  Timed<abi::service_key, abi::service_value> services{node.services()};
  Timed<abi::slot_key, uint32_t> slots{node.slots()};
  Timed<uint32_t, abi::backend_value> backends{node.backends()};
  service::BpfMaps maps{{loop, services, slots, backends, node.backend_connections(), node.node_addresses(),
                         node.service_ranges(), node.source_ranges(), node.clients(),
                         [this](const service::MapRoom& room) {
                           const double start = cpu_ms();
                           auto made =
                               node.reserve_services({room.services, room.slots, room.backends, room.source_ranges});
                           grown += cpu_ms() - start;
                           return made;
                         }},
                        desired};
  double grown = 0;

  explicit Agent(datapath::Datapath& datapath) : node(datapath) {}
  double apply() {
    const double start = cpu_ms();
    for (const auto& failure : must(maps.apply(true)))
      std::fprintf(stderr, "%s: %s\n", failure.object.c_str(), failure.error.message().c_str());
    return cpu_ms() - start;
  }
};

void put_slice(cluster::Model& model, uint32_t number, uint32_t endpoints, uint32_t first) {
  const auto name = fmt::format("n{}", number);
  cluster::EndpointSlice slice{.key = {"default", name + "-x7f2k"}, .service = name};
  slice.ports.push_back({.port = 8080});
  for (uint32_t i = 0; i < endpoints; ++i)
    slice.endpoints.push_back({.ip = Ip::v4(0x0a800000 + number * endpoints + i + first),
                               .ready = true,
                               .serving = true,
                               .node = fmt::format("node-{}", i)});
  model.put(std::move(slice));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "bench_service_cold SERVICES ENDPOINTS\n"), 2;
  const auto services = static_cast<uint32_t>(std::atoi(argv[1])),
             endpoints = static_cast<uint32_t>(std::atoi(argv[2]));
  if (::unshare(CLONE_NEWNET)) return std::perror("unshare"), 1;
  must(bpf::mount_bpffs("/sys/fs/bpf"));
  ::mkdir(cgroup().c_str(), 0755);
  std::atexit(clean);
  auto open = [&] {
    return must(datapath::Datapath::open(
        {.pins = pins(), .features = {.services = true, .socket_hooks = true}, .cgroup = cgroup()}));
  };
  double start = cpu_ms(), heap = heap_mb();
  auto step = [&](const char* name) {
    say(fmt::format("{}, ms", name).c_str(), cpu_ms() - start);
    say(fmt::format("{}, heap MB", name).c_str(), heap_mb() - heap);
    start = cpu_ms();
    heap = heap_mb();
  };
  auto node = open();
  step("programs");
  cluster::Model model;
  model.set_facts({.name = "node-1"});
  for (auto source : {cluster::Source::Nodes, cluster::Source::Services, cluster::Source::EndpointSlices,
                      cluster::Source::Attachments, cluster::Source::ServiceCidrs})
    model.set_synced(source);
  for (uint32_t i = 0; i < services; ++i) {
    cluster::Service service{.key = {"default", fmt::format("n{}", i)}};
    service.cluster_ips = {Ip::v4(0x0a600000 + i)};
    service.ports = {{.port = 80}};
    model.put(std::move(service));
    put_slice(model, i, endpoints, 0);
  }
  step("model");
  {
    Agent agent(*node);
    agent.desired.update(model.take_changes(), model);
    step("compile");
    const double took = agent.apply();
    say("apply, ms", took);
    say("of it growing, ms", agent.grown);
    say("of it map writes, ms", t_written);
    say("writes", static_cast<double>(agent.maps.writes()));
    step("apply whole");
    put_slice(model, 77, endpoints, 1);
    agent.desired.update(model.take_changes(), model);
    t_written = 0;
    say("one change, ms", agent.apply());
    agent.maps.forget();
    start = cpu_ms();
    heap = heap_mb();
    agent.apply();
    step("audit");
    say("resident, MB", resident_mb());
    ::malloc_trim(0);
    say("resident, trimmed, MB", resident_mb());
    agent.loop.advance(1s);
  }
  node.reset();
  start = cpu_ms();
  heap = heap_mb();
  node = open();
  step("restart: programs");
  Agent second(*node);
  model.take_changes();
  second.desired.update(model.take_changes(), model);
  step("restart: compile");
  second.apply();
  step("restart: apply");
  say("restart: writes", static_cast<double>(second.maps.writes()));
}
