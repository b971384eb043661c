#include "lab/nodelet/node_object.h"

#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"

namespace causeway::lab {
namespace {

std::string first_line(const std::string& path) {
  auto text = read_file(path);
  return text ? text->substr(0, text->find('\n')) : "";
}

std::string os_name() {
  auto text = read_file("/etc/os-release");
  if (!text) return "Linux";
  const size_t at = text->find("PRETTY_NAME=\"");
  if (at == std::string::npos) return "Linux";
  return text->substr(at + 13, text->find('"', at + 13) - at - 13);
}

}  // namespace

NodeIdentity observe_identity(const std::string& name, const std::vector<Ip>& addresses) {
  struct utsname system{};
  ::uname(&system);
  struct sysinfo memory{};
  ::sysinfo(&memory);
  return {.name = name,
          .addresses = addresses,
          .boot_id = first_line("/proc/sys/kernel/random/uuid"),  // a node's boot is its nodelet's start
          .kernel = system.release,
          .os = os_name(),
          .cpus = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)),
          .memory_kib = memory.totalram * memory.mem_unit / 1024};
}

kube::Node build_node(const NodeIdentity& identity, const NodeProblem& problem,
                      const std::vector<kube::Condition>& before, kube::Time now) {
  kube::Node node;
  node.metadata.name = identity.name;
  node.metadata.labels = {{"kubernetes.io/hostname", identity.name},
                          {"kubernetes.io/os", "linux"},
                          {"kubernetes.io/arch", "amd64"},
                          {"beta.kubernetes.io/os", "linux"},
                          {"beta.kubernetes.io/arch", "amd64"}};
#ifdef __aarch64__
  node.metadata.labels["kubernetes.io/arch"] = node.metadata.labels["beta.kubernetes.io/arch"] = "arm64";
#endif
  for (const Ip& ip : identity.addresses) node.status.addresses.push_back({"InternalIP", to_string(ip)});
  node.status.addresses.push_back({"Hostname", identity.name});
  node.status.capacity = {{"cpu", std::to_string(identity.cpus)},
                          {"memory", fmt::format("{}Ki", identity.memory_kib)},
                          {"pods", "500"},
                          {"ephemeral-storage", "1Gi"}};
  node.status.allocatable = node.status.capacity;
  node.status.daemon_endpoints.kubelet_endpoint = kube::DaemonEndpoint{kNodeletPort};
  node.status.node_info = {.machine_id = identity.boot_id,
                           .system_uuid = identity.boot_id,
                           .boot_id = identity.boot_id,
                           .kernel_version = identity.kernel,
                           .os_image = identity.os,
                           .container_runtime_version = "causeway-lab://0.1.0",
                           .kubelet_version = "v1.36.0-causeway-lab",
                           .kube_proxy_version = "",
                           .operating_system = "linux",
                           .architecture = node.metadata.labels["kubernetes.io/arch"]};
  auto condition = [&](std::string type, bool value, std::string reason, std::string message) {
    kube::Condition out{.type = std::move(type),
                        .status = value ? "True" : "False",
                        .reason = std::move(reason),
                        .message = std::move(message)};
    const auto* old = kube::find_condition(before, out.type);
    out.last_heartbeat_time = now;
    out.last_transition_time =
        old != nullptr && old->status == out.status && old->last_transition_time ? old->last_transition_time : now;
    node.status.conditions.push_back(std::move(out));
  };
  condition("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available");
  condition("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure");
  condition("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available");
  if (problem.message.empty()) {
    condition("Ready", true, "KubeletReady", "kubelet is posting ready status");
  } else {
    condition("Ready", false, problem.reason, problem.message);
  }
  return node;
}

}  // namespace causeway::lab
