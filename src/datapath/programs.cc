#include "datapath/programs.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <cstdarg>
#include <cstdio>
#include <memory>

namespace causeway::datapath::skeleton {
using abi::datapath_config;  // the skeletons name the types of their data sections
using abi::nat_range;
#include "from_pod.skel.h"
#include "to_pod.skel.h"
#include "uplink_egress.skel.h"
#include "uplink_ingress.skel.h"
}  // namespace causeway::datapath::skeleton

namespace causeway::datapath {

bpf::Direction direction_of(Hook hook) {
  switch (hook) {
    case Hook::FromPod:
    case Hook::UplinkIngress: return bpf::Direction::Ingress;
    case Hook::ToPod:
    case Hook::UplinkEgress: return bpf::Direction::Egress;
  }
  return bpf::Direction::Ingress;
}

abi::datapath_config config_of(const Features& features) {
  abi::datapath_config config{
      .ipv4 = features.ipv4,
      .ipv6 = features.ipv6,
      .overlay = features.overlay,
      .masquerade = features.masquerade,
      .track_node_flows = features.track_node_flows,
      .vni = features.vni,
      .vxlan_port = features.vxlan_port,
  };
  for (size_t i = 0; i < abi::NAT_RANGES_MAX; ++i) {
    config.nat_ports[i] = {.first = 1, .last = 0};
    if (i < features.nat_ports.size()) config.nat_ports[i] = {features.nat_ports[i].first, features.nat_ports[i].last};
  }
  return config;
}

namespace {

// libbpf and the verifier speak through a print function: kept for the error of this load.
thread_local std::string t_messages;

int keep_message(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[2048];
  int length = vsnprintf(line, sizeof(line), format, arguments);
  t_messages += line;
  return length;
}

struct KeepMessages {
  libbpf_print_fn_t old = libbpf_set_print(keep_message);
  KeepMessages() { t_messages.clear(); }
  ~KeepMessages() { libbpf_set_print(old); }
};

// The verifier's log can be megabytes; its end says what it refused.
std::string tail_of_messages() {
  constexpr size_t kKeep = 600;
  return t_messages.size() <= kKeep ? t_messages : "... " + t_messages.substr(t_messages.size() - kKeep);
}

std::string_view elf_of(Hook hook) {
  size_t size = 0;
  const void* bytes = nullptr;
  switch (hook) {
    case Hook::FromPod: bytes = skeleton::from_pod__elf_bytes(&size); break;
    case Hook::ToPod: bytes = skeleton::to_pod__elf_bytes(&size); break;
    case Hook::UplinkIngress: bytes = skeleton::uplink_ingress__elf_bytes(&size); break;
    case Hook::UplinkEgress: bytes = skeleton::uplink_egress__elf_bytes(&size); break;
  }
  return {static_cast<const char*>(bytes), size};
}

constexpr uint32_t kLogStats = 4;  // BPF_LOG_STATS of the kernel: times, stack depths, instructions walked

// One skeleton, whose functions are named after the hook.
template <class Skeleton>
Result<Fd> load(Hook hook, Skeleton* opened, void (*destroy)(Skeleton*), int (*load_it)(Skeleton*),
                const abi::datapath_config& config, uint32_t conntrack_entries, bpf_program* program,
                std::string* stats) {
  std::unique_ptr<Skeleton, void (*)(Skeleton*)> skeleton(opened, destroy);
  opened->rodata->config = config;
  bpf_map__set_max_entries(opened->maps.conntrack, conntrack_entries);
  std::string log(stats ? 4096 : 0, '\0');
  if (stats) {
    bpf_program__set_log_level(program, kLogStats);
    bpf_program__set_log_buf(program, log.data(), log.size());
  }
  int error = load_it(opened);
  if (stats) *stats = log.c_str();
  if (error == -EPERM)
    return fail(Errc::Denied, "load program {}: not permitted (needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)",
                to_string(hook));
  if (error) return fail_errno(-error, fmt::format("load program {}: {}", to_string(hook), tail_of_messages()));
  int fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return fail_errno(errno, fmt::format("load program {}", to_string(hook)));
  return Fd(fd);
}

}  // namespace

std::string fingerprint(Hook hook, const abi::datapath_config& config, uint32_t conntrack_entries) {
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  auto add = [&hash](std::string_view bytes) {
    for (unsigned char byte : bytes) hash = (hash ^ byte) * 1099511628211ull;
  };
  add(elf_of(hook));
  add({reinterpret_cast<const char*>(&config), sizeof(config)});
  add({reinterpret_cast<const char*>(&conntrack_entries), sizeof(conntrack_entries)});
  return fmt::format("{}-{:016x}", to_string(hook), hash);
}

Result<Fd> load_program(Hook hook, const abi::datapath_config& config, uint32_t conntrack_entries,
                        const std::string& map_folder, std::string* stats) {
  KeepMessages keep;
  bpf_object_open_opts options{};
  options.sz = sizeof(options);
  options.pin_root_path = map_folder.c_str();
#define LOAD(name)                                                                                                  \
  {                                                                                                                 \
    auto* opened = skeleton::name##__open_opts(&options);                                                           \
    if (!opened) return fail_errno(errno, fmt::format("open program {}: {}", to_string(hook), tail_of_messages())); \
    return load(hook, opened, skeleton::name##__destroy, skeleton::name##__load, config, conntrack_entries,         \
                opened->progs.name, stats);                                                                         \
  }
  switch (hook) {
    case Hook::FromPod: LOAD(from_pod)
    case Hook::ToPod: LOAD(to_pod)
    case Hook::UplinkIngress: LOAD(uplink_ingress)
    case Hook::UplinkEgress: LOAD(uplink_egress)
  }
#undef LOAD
  return fail(Errc::Internal, "no such hook");
}

}  // namespace causeway::datapath
