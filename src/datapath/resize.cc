#include "datapath/resize.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "kernel/bpf/map.h"
#include "kernel/bpf/pins.h"

namespace causeway::datapath {

namespace {

constexpr uint32_t kMostRows = 1u << 30;

// An empty map like `old`, with so many rows.
Result<Fd> create_like(int old, const std::string& name, uint32_t rows) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(old, &info, &size)) return fail_errno(errno, fmt::format("map {}: its properties", name));
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = info.map_flags;
  Fd fd(
      bpf_map_create(static_cast<bpf_map_type>(info.type), info.name, info.key_size, info.value_size, rows, &options));
  if (fd) return fd;
  if (errno == ENOMEM || errno == E2BIG || errno == EPERM)
    return fail(Errc::Exhausted, "map {}: the kernel has no memory for {} rows", name, rows);
  return fail_errno(errno, fmt::format("map {}: create one of {} rows", name, rows));
}

Status copy_rows(const bpf::RawMap& from, const bpf::RawMap& to) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(from.fd(), &info, &size)) return fail_errno(errno, "read a map's properties");
  constexpr size_t kBatch = 4096;
  std::vector<std::byte> keys, values;
  Status status;
  auto flush = [&] {
    if (status && !keys.empty())
      status = to.put(keys.data(), values.data(), keys.size() / info.key_size, info.key_size, info.value_size);
    keys.clear();
    values.clear();
  };
  TRY(from.each(info.key_size, info.value_size, [&](const std::byte* key, const std::byte* value) {
    keys.insert(keys.end(), key, key + info.key_size);
    values.insert(values.end(), value, value + info.value_size);
    if (keys.size() == kBatch * info.key_size) flush();
  }));
  flush();
  return status;
}

}  // namespace

Result<Sizes> sizes_at_least(const std::string& map_folder, Sizes first) {
  auto pinned = [&](const char* name, uint32_t& size) -> Status {
    auto fd = bpf::open_pin(map_folder + "/" + name);
    if (!fd && fd.error().code() == Errc::NotFound) return ok();
    size = TRY(bpf::RawMap(TRY(std::move(fd)), name).max_entries());
    return ok();
  };
  TRY(pinned("services", first.services));
  TRY(pinned("slots", first.slots));
  TRY(pinned("backends", first.backends));
  TRY(pinned("source_ranges", first.source_ranges));
  TRY(pinned("affinity", first.affinity));
  TRY(pinned("socket_flows", first.socket_flows));
  TRY(pinned("policy_addresses", first.policy_addresses));
  TRY(pinned("policy_sets", first.policy_sets));
  TRY(pinned("policy_verdicts", first.policy_verdicts));
  TRY(pinned("policy_flows", first.policy_flows));
  return first;
}

namespace {
void take(uint32_t& size, uint32_t wanted) {
  while (size < wanted && size < kMostRows) size *= 2;
}
}  // namespace

Sizes grown(Sizes sizes, const PolicyRows& rows) {
  take(sizes.policy_addresses, rows.addresses);
  take(sizes.policy_sets, rows.sets);
  take(sizes.policy_verdicts, rows.verdicts);
  return sizes;
}

Sizes grown(Sizes sizes, const ServiceRows& rows) {
  take(sizes.services, rows.services);
  take(sizes.slots, rows.slots);
  take(sizes.backends, rows.backends);
  take(sizes.source_ranges, rows.source_ranges);
  return sizes;
}

Result<Growth> Growth::begin(const std::string& map_folder, const Sizes& from, const Sizes& to) {
  struct Next {
    std::string path;
    Fd old;
    bpf::RawMap larger;
  };
  std::vector<Next> all;
  const auto before = by_name(from), after = by_name(to);
  for (size_t i = 0; i < after.size(); ++i) {
    const auto& [name, rows] = after[i];
    if (before[i].second == rows) continue;
    const auto path = fmt::format("{}/{}", map_folder, name);
    const bpf::RawMap old(TRY(bpf::open_pin(path)), name);
    bpf::RawMap larger(TRY(create_like(old.fd(), name, rows)), name);
    TRY(copy_rows(old, larger), "move to {} rows", rows);
    all.push_back({.path = path, .old = TRY(bpf::open_pin(path)), .larger = std::move(larger)});
  }
  Growth growth;
  for (auto& next : all) {
    auto pinned = bpf::pin(next.larger.fd(), next.path);
    growth.replaced_.push_back({.path = std::move(next.path), .old = std::move(next.old)});
    if (pinned) continue;
    TRY(growth.undo());
    return fail(std::move(pinned.error()));
  }
  return growth;
}

Status Growth::undo() {
  for (const auto& [path, old] : replaced_) TRY(bpf::pin(old.get(), path));
  replaced_.clear();
  return ok();
}

}  // namespace causeway::datapath
