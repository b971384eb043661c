// What policies cost an agent, in CPU time and on this machine, without a lab. Prints `name value` lines: milliseconds
// of CPU, megabytes of heap (as malloc counts what is in use) and of this process at its largest.
//
//   bench_policy_cold small NAMESPACES       25,000: 100,000 Pods and 75,000 policies; `node`: a node that has its
//   share bench_policy_cold node NAMESPACES        of the Pods, `small`: every Pod is judged, as `causeway policy
//   matrix` has it bench_policy_cold one COUNT              one namespace, every policy for every Pod and from every
//   Pod bench_policy_cold changes all|each COUNT single changes among so many policies and Pods bench_policy_cold
//   blocks COUNT           compiled, and written to the kernel's maps (pins of its own)
#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "base/heap.h"
#include "clusters.h"
#include "datapath/datapath.h"
#include "kernel/bpf/cgroup.h"
#include "kernel/bpf/pins.h"
#include "policy/apply_bpf.h"

using namespace causeway;
using namespace causeway::bench;

namespace {

// User and system time of this process: other work on the machine does not count.
double cpu_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}
double heap_mb() { return static_cast<double>(::mallinfo2().uordblks + ::mallinfo2().hblkhd) / 1e6; }
double largest_mb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e3;
}

void say(const std::string& name, double value) {
  std::printf("%-40s %10.3f\n", name.c_str(), value);
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

struct Steps {
  double heap = heap_mb(), start = cpu_ms();
  void done(const std::string& name) {
    say(name + ", ms", cpu_ms() - start);
    say(name + ", heap MB", heap_mb() - heap);
    heap = heap_mb();  // takes its time too
    start = cpu_ms();
  }
};

void compile_whole(const std::function<void(cluster::Model&)>& fill, policy::Options options) {
  Steps steps;
  cluster::Model model;
  fill(model);
  model.take_changes();
  steps.done("model");
  policy::Compiler compiler(std::move(options));
  compiler.update({}, model);
  steps.done("compile");
  compiler.clean();
  say("whole heap, MB", heap_mb());
  say("largest, MB", largest_mb());
  say("Pods judged", static_cast<double>(compiler.subjects.rows().size()));
  say("verdicts", static_cast<double>(compiler.verdicts.rows().size()));
}

// Each kind of change some times; the slowest and the median.
void changes(const std::string& shape, uint32_t count) {
  const bool all = shape == "all";
  cluster::Model model;
  all ? one_for_all(model, count) : one_for_each(model, count);
  policy::Compiler compiler({.node = node_name(0)});
  compiler.update({}, model);
  compiler.clean();
  model.take_changes();
  settle_heap();  // as the feed does
  const auto each = [&](const std::string& name, const std::function<void(uint32_t)>& change) {
    std::vector<double> times;
    for (uint32_t i = 0; i < 40; ++i) {
      change(i);
      const auto what = model.take_changes();
      const double start = cpu_ms();
      compiler.update(what, model);
      times.push_back(cpu_ms() - start);
      compiler.clean();
    }
    std::ranges::sort(times);
    say(name + ", median ms", times[times.size() / 2]);
    say(name + ", slowest ms", times.back());
  };
  const auto one = [&](uint32_t i) { return i * 7919 % count; };
  const auto made = [&](uint32_t i, uint16_t port) {
    return all ? policy_for_all(i, port) : policy_for_one(i, i ^ 1, port);
  };
  each("a policy's port changes", [&](uint32_t i) { model.put(made(one(i / 2), i % 2 ? 0 : 80)); });
  each("a policy goes or comes", [&](uint32_t i) {
    if (i % 2)
      model.put(made(one(i - 1), 0));
    else
      model.remove(made(one(i), 0).key);
  });
  each("a new policy comes or goes", [&](uint32_t i) {
    if (i % 2)
      model.remove(made(count + i - 1, 0).key);
    else
      model.put(made(count + i, 0));
  });
  each("a Pod's label changes", [&](uint32_t i) {
    const uint32_t number = one(i / 2);
    cluster::Pod pod = all ? std::next(model.pods().begin(), number)->second : pod_of_one(number, number);
    if (i % 2 == 0) pod.labels = {{all ? "app-1" : "app", all ? "another" : fmt::format("scale-{}", one(i + 1))}};
    if (i % 2 && all) pod.labels = {{"app-1", "scale-1"}};
    model.put(std::move(pod));
  });
  each("a namespace's label changes", [&](uint32_t i) {
    cluster::Namespace ns = model.namespaces().begin()->second;
    ns.labels["round"] = std::to_string(i);
    model.put(std::move(ns));
  });
}

std::string pins() { return fmt::format("/sys/fs/bpf/causeway-bench-{}", ::getpid()); }
// Nobody is in it.
std::string cgroup() {
  static const std::string kPath = fmt::format("{}/causeway-bench-{}", must(bpf::find_cgroup_root()), ::getpid());
  return kPath;
}
void remove_pins() {
  (void)datapath::Datapath::remove_all(pins());
  ::rmdir(cgroup().c_str());
}

void blocks(uint32_t count) {
  if (::unshare(CLONE_NEWNET)) return std::perror("unshare"), std::exit(1);
  must(bpf::mount_bpffs("/sys/fs/bpf"));
  ::mkdir(cgroup().c_str(), 0755);
  std::atexit(remove_pins);
  auto plane = must(datapath::Datapath::open({.pins = pins(), .features = {.policy = true}, .cgroup = cgroup()}));
  Steps steps;
  cluster::Model model;
  many_blocks(model, count);
  for (auto source : {cluster::Source::Policies, cluster::Source::ClusterPolicies, cluster::Source::Namespaces,
                      cluster::Source::Nodes, cluster::Source::Pods, cluster::Source::Attachments})
    model.set_synced(source);
  steps.done("model");
  VirtualLoop loop;
  policy::BpfApplier applier(
      node_name(0),
      {loop, plane->policy(), [&](const datapath::PolicyRows& rows) { return plane->reserve_policy(rows); },
       [&] { return plane->enforce_policy(); }});
  applier.changed(model.take_changes(), model);
  steps.done("compile");
  must(run_until_done(loop, applier.apply()));
  steps.done("load");
  say("rows written", static_cast<double>(applier.writes()));
  say("largest, MB", largest_mb());
  auto more = policy_of_blocks(0, 0, 20'000);
  more.ingress[0].blocks.pop_back();
  model.put(std::move(more));
  steps.done("-");
  applier.changed(model.take_changes(), model);
  must(run_until_done(loop, applier.apply()));
  steps.done("one block goes");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "", last = argc > 2 ? argv[argc - 1] : "";
  const auto count = static_cast<uint32_t>(std::atoi(last.c_str()));
  if (count == 0)
    return std::fprintf(stderr, "bench_policy_cold small|node|one|changes all|changes each|blocks COUNT\n"), 2;
  if (what == "small") compile_whole([&](cluster::Model& model) { small_namespaces(model, count); }, {});
  if (what == "node")
    compile_whole([&](cluster::Model& model) { small_namespaces(model, count); }, {.node = node_name(7)});
  if (what == "one") compile_whole([&](cluster::Model& model) { one_for_all(model, count); }, {});
  if (what == "changes") changes(argv[2], count);
  if (what == "blocks") blocks(count);
}
