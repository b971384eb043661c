#include "datapath/programs.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cstdarg>
#include <cstdio>
#include <memory>

#include "datapath/rows.h"

namespace causeway::datapath::skeleton {
using abi::datapath_config;  // the skeletons name the types of their data sections
using abi::ip_addr;
using abi::nat_range;
#include "from_pod.skel.h"
#include "socket.skel.h"
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

namespace {

// 0 where the kernel has no networking to ask.
uint64_t own_netns_cookie() {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size);
  return cookie;
}

}  // namespace

abi::datapath_config config_of(const Features& features) {
  abi::datapath_config config{
      .ipv4 = features.ipv4,
      .ipv6 = features.ipv6,
      .overlay = features.overlay,
      .masquerade = features.masquerade,
      .track_node_flows = features.track_node_flows,
      .vni = features.vni,
      .vxlan_port = features.vxlan_port,
      .services = features.services,
      .node_netns = features.socket_hooks ? own_netns_cookie() : 0,
      .policy = features.policy,
  };
  for (size_t i = 0; i < abi::NAT_RANGES_MAX; ++i) {
    config.nat_ports[i] = {.first = 1, .last = 0};
    if (i < features.nat_ports.size()) config.nat_ports[i] = {features.nat_ports[i].first, features.nat_ports[i].last};
  }
  config.dns_count = static_cast<uint32_t>(features.dns.size());
  for (size_t i = 0; i < features.dns.size(); ++i) config.dns[i] = to_abi(features.dns[i]);
  return config;
}

namespace {

// libbpf and the verifier speak through a print function: kept for the error of this load.
thread_local std::string t_messages;

int keep_message(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[2048];
  int length = vsnprintf(line, sizeof(line), format, arguments);
  constexpr size_t kEnough = 1 << 16;
  if (t_messages.size() > kEnough) t_messages.erase(0, kEnough / 2);
  t_messages += line;
  return length;
}

// For good: the function is one for all threads, and several of them load programs.
struct KeepMessages {
  KeepMessages() {
    [[maybe_unused]] static const libbpf_print_fn_t kFormer = libbpf_set_print(keep_message);
    t_messages.clear();
  }
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

using Stats = std::map<std::string_view, std::string>;
using Loaded = std::map<std::string_view, Fd>;  // by the programs' names, which live in the binary

std::string_view name_in_binary(std::string_view name) {
  for (auto hook : kHooks)
    if (name == to_string(hook)) return to_string(hook);
  for (auto hook : kSocketHooks)
    if (name == to_string(hook)) return to_string(hook);
  return "";
}

void set_sizes(bpf_object* object, const Sizes& sizes) {
  for (const auto& [name, rows] : by_name(sizes))
    if (auto* map = bpf_object__find_map_by_name(object, name)) bpf_map__set_max_entries(map, rows);
}

template <class Skeleton>
Result<Loaded> load(std::string_view object, Skeleton* opened, void (*destroy)(Skeleton*), int (*load_it)(Skeleton*),
                    const abi::datapath_config& config, const Sizes& sizes, Stats* stats) {
  if (!opened) return fail_errno(errno, fmt::format("open program {}: {}", object, tail_of_messages()));
  std::unique_ptr<Skeleton, void (*)(Skeleton*)> skeleton(opened, destroy);
  opened->rodata->config = config;
  set_sizes(opened->obj, sizes);
  std::map<std::string_view, std::string> logs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, opened->obj) {
    if (!stats) continue;
    auto& log = logs[bpf_program__name(program)];
    log.resize(4096);
    bpf_program__set_log_level(program, kLogStats);
    bpf_program__set_log_buf(program, log.data(), log.size());
  }
  int error = load_it(opened);
  if (stats)
    for (const auto& [name, log] : logs) (*stats)[name_in_binary(name)] = log.c_str();
  if (error == -EPERM)
    return fail(Errc::Denied, "load program {}: not permitted (needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)", object);
  if (error) return fail_errno(-error, fmt::format("load program {}: {}", object, tail_of_messages()));
  Loaded loaded;
  bpf_object__for_each_program(program, opened->obj) {
    int fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return fail_errno(errno, fmt::format("load program {}", object));
    loaded.emplace(name_in_binary(bpf_program__name(program)), Fd(fd));
  }
  return loaded;
}

std::string fingerprint(std::string_view name, std::string_view elf, const abi::datapath_config& config,
                        const Sizes& sizes) {
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  auto add = [&hash](std::string_view bytes) {
    for (unsigned char byte : bytes) hash = (hash ^ byte) * 1099511628211ull;
  };
  add(elf);
  add({reinterpret_cast<const char*>(&config), sizeof(config)});
  for (const auto& [map, rows] : by_name(sizes)) add({reinterpret_cast<const char*>(&rows), sizeof(rows)});
  return fmt::format("{}-{:016x}", name, hash);
}

bpf_object_open_opts pinned_in(const std::string& map_folder) {
  bpf_object_open_opts options{};
  options.sz = sizeof(options);
  options.pin_root_path = map_folder.c_str();
  return options;
}

}  // namespace

std::string fingerprint(Hook hook, const abi::datapath_config& config, const Sizes& sizes) {
  return fingerprint(to_string(hook), elf_of(hook), config, sizes);
}

std::string fingerprint(SocketHook hook, const abi::datapath_config& config, const Sizes& sizes) {
  size_t size = 0;
  const auto* bytes = static_cast<const char*>(skeleton::socket__elf_bytes(&size));
  return fingerprint(to_string(hook), {bytes, size}, config, sizes);
}

Result<Fd> load_program(Hook hook, const abi::datapath_config& config, const Sizes& sizes,
                        const std::string& map_folder, std::string* stats) {
  KeepMessages keep;
  auto options = pinned_in(map_folder);
  Stats by_program;
  Stats* wanted = stats ? &by_program : nullptr;
  Result<Loaded> loaded = fail(Errc::Internal, "no such hook");
#define LOAD(name)                                                                                 \
  loaded = load(to_string(hook), skeleton::name##__open_opts(&options), skeleton::name##__destroy, \
                skeleton::name##__load, config, sizes, wanted);                                    \
  break;
  switch (hook) {
    case Hook::FromPod: LOAD(from_pod)
    case Hook::ToPod: LOAD(to_pod)
    case Hook::UplinkIngress: LOAD(uplink_ingress)
    case Hook::UplinkEgress: LOAD(uplink_egress)
  }
#undef LOAD
  if (stats) *stats = by_program[to_string(hook)];
  if (!loaded) return fail(std::move(loaded.error()));
  return std::move(loaded->at(to_string(hook)));
}

Result<std::map<std::string_view, Fd>> load_sockets(const abi::datapath_config& config, const Sizes& sizes,
                                                    const std::string& map_folder,
                                                    std::map<std::string_view, std::string>* stats) {
  KeepMessages keep;
  auto options = pinned_in(map_folder);
  return load("socket hooks", skeleton::socket__open_opts(&options), skeleton::socket__destroy, skeleton::socket__load,
              config, sizes, stats);
}

namespace {

template <class Skeleton>
Status create_maps_of(Skeleton* opened, void (*destroy)(Skeleton*), int (*load_it)(Skeleton*), const Sizes& sizes) {
  if (!opened) return fail_errno(errno, fmt::format("open the maps: {}", tail_of_messages()));
  std::unique_ptr<Skeleton, void (*)(Skeleton*)> skeleton(opened, destroy);
  set_sizes(opened->obj, sizes);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, opened->obj) bpf_program__set_autoload(program, false);
  if (int error = load_it(opened)) return fail_errno(-error, fmt::format("create the maps: {}", tail_of_messages()));
  return ok();
}

}  // namespace

Status create_maps(const Sizes& sizes, const std::string& map_folder) {
  KeepMessages keep;
  auto options = pinned_in(map_folder);
  TRY(create_maps_of(skeleton::socket__open_opts(&options), skeleton::socket__destroy, skeleton::socket__load, sizes));
  return create_maps_of(skeleton::uplink_ingress__open_opts(&options), skeleton::uplink_ingress__destroy,
                        skeleton::uplink_ingress__load, sizes);
}

}  // namespace causeway::datapath
