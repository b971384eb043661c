#include "planes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include "datapath/sockets.h"
#include "kernel/bpf/pins.h"

namespace causeway::test {

namespace {

std::map<std::string, std::vector<std::string>>& kept() {
  static std::map<std::string, std::vector<std::string>> folders;
  return folders;
}

Status remove_keys(int map, const bpf_map_info& info) {
  std::vector<uint8_t> key(info.key_size);
  while (bpf_map_get_next_key(map, nullptr, key.data()) == 0)
    if (bpf_map_delete_elem(map, key.data()) && errno != ENOENT) return fail_errno(errno, "delete a row");
  return ok();
}

Status zero_rows(int map, const bpf_map_info& info) {
  const bool per_cpu = info.type == BPF_MAP_TYPE_PERCPU_ARRAY;
  const uint32_t size =
      per_cpu ? (info.value_size + 7) / 8 * 8 * static_cast<uint32_t>(libbpf_num_possible_cpus()) : info.value_size;
  const std::vector<uint8_t> none(size);
  std::vector<uint8_t> now(size);
  for (uint32_t row = 0; row < info.max_entries; ++row) {
    if (bpf_map_lookup_elem(map, &row, now.data())) return fail_errno(errno, "look at a row");
    if (now != none && bpf_map_update_elem(map, &row, none.data(), 0)) return fail_errno(errno, "empty a row");
  }
  return ok();
}

Result<bpf_map_info> info_of(int map) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(map, &info, &size)) return fail_errno(errno, "what a map is");
  return info;
}

Status empty_map(const std::string& path) {
  const Fd map = TRY(bpf::open_pin(path));
  const bpf_map_info info = TRY(info_of(map.get()));
  switch (info.type) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_LPM_TRIE: return remove_keys(map.get(), info);
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_PERCPU_ARRAY: return zero_rows(map.get(), info);
    default: return ok();  // rings, and what lives with a socket
  }
}

Status empty_plane(Node& node) {
  for (const auto& attachment : TRY(node.plane->attached())) TRY(node.plane->detach(attachment.ifindex));
  node.plane.reset();
  TRY(datapath::SocketPrograms::detach(node.pins));
  for (const auto& name : TRY(bpf::list_pins(node.pins + "/maps"))) TRY(empty_map(node.pins + "/maps/" + name));
  return ok();
}

}  // namespace

std::string plane_kind(const Setup& setup, int number) {
  std::string ports;
  for (const auto& range : setup.nat_ports) ports += fmt::format(" {}-{}", range.first, range.last);
  for (const Ip& ip : setup.dns) ports += fmt::format(" {}", ip);
  return fmt::format("node {} {} {} {} {} {} {}{}", number, setup.masquerade, setup.services, setup.policy,
                     setup.track_node_flows, !setup.socket_cgroup.empty(), setup.conntrack_entries, ports);
}

std::string take_pins(const std::string& root, const std::string& kind) {
  static int count = 0;
  auto& folders = kept()[kind];
  if (folders.empty()) return fmt::format("{}/plane-{}", root, ++count);
  const std::string pins = std::move(folders.back());
  folders.pop_back();
  return pins;
}

std::string room_of(const std::string& pins) {
  std::string room;
  const auto names = bpf::list_pins(pins + "/maps");
  if (!names) return "?";
  for (const auto& name : *names) {
    const auto map = bpf::open_pin(pins + "/maps/" + name);
    const auto info = map ? info_of(map->get()) : Result<bpf_map_info>(std::unexpected(map.error()));
    room += fmt::format("{} {}\n", name, info ? info->max_entries : 0);
  }
  return room;
}

void keep_pins(Node& node) {
  if (::access(node.pins.c_str(), F_OK) == 0 && room_of(node.pins) == node.room && empty_plane(node)) {
    kept()[node.plane_kind].push_back(node.pins);
    return;
  }
  node.plane.reset();
  (void)datapath::Datapath::remove_all(node.pins);
}

}  // namespace causeway::test
