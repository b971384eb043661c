#include "datapath/conntrack.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <time.h>

#include "kernel/bpf/pins.h"

namespace causeway::datapath {

uint32_t monotonic_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(now.tv_sec);
}

abi::ct_key twin_of(const abi::ct_key& key, const abi::ct_value& value) {
  bool source = value.flags & abi::CT_F_REWRITE_SRC, target = value.flags & abi::CT_F_REWRITE_DST;
  return {
      .net = key.net,
      .src = target ? value.to_dst : key.dst,
      .dst = source ? value.to_src : key.src,
      .sport = target ? value.to_dport : key.dport,
      .dport = source ? value.to_sport : key.sport,
      .proto = key.proto,
  };
}

Result<bool> is_over(const bpf::Table<abi::ct_key, abi::ct_value>& table, const abi::ct_key& key,
                     const abi::ct_value& value, uint32_t now) {
  if (value.expires > now) return false;
  const auto twin = TRY(table.get(twin_of(key, value)));
  return !twin || twin->expires <= now;
}

// A row that is removed on the way disturbs nobody: the walk goes by buckets, and the row's twin is over by itself
// when the walk comes to it.
Result<size_t> sweep(ConntrackMap& map, uint32_t now) {
  size_t removed = 0;
  Status status;
  TRY(map.each([&](const abi::ct_key& key, const abi::ct_value& value) {
    if (!status) return;
    auto over = is_over(map, key, value, now);
    if (over && !*over) return;
    status = over ? map.remove(key) : fail(std::move(over.error()));
    if (status) ++removed;
  }));
  TRY(std::move(status));
  return removed;
}

Status copy_conntrack(const ConntrackMap& from, ConntrackMap& to) {
  constexpr size_t kBatch = 4096;
  const uint32_t now = monotonic_seconds();
  std::vector<ConntrackMap::Row> batch;
  Status status;
  auto flush = [&] {
    if (status) status = to.put(batch);
    batch.clear();
  };
  TRY(from.each([&](const abi::ct_key& key, const abi::ct_value& value) {
    if (!status) return;
    auto over = is_over(from, key, value, now);
    auto present = over && !*over ? to.get(key) : Result<std::optional<abi::ct_value>>();
    if (!over || !present) status = fail(std::move(over ? present.error() : over.error()));
    if (!status || *over || *present) return;
    batch.emplace_back(key, value);
    if (batch.size() == kBatch) flush();
  }));
  flush();
  return status;
}

Result<std::map<uint32_t, uint32_t>> open_connections(const bpf::Table<abi::ct_key, abi::ct_value>& table,
                                                      uint32_t now) {
  std::map<uint32_t, uint32_t> open;
  Status status;
  TRY(table.each([&](const abi::ct_key& key, const abi::ct_value& value) {
    if (!status || !(value.flags & abi::CT_F_COUNTED) || value.flags & abi::CT_F_REPLY) return;
    auto over = is_over(table, key, value, now);
    if (!over)
      status = fail(std::move(over.error()));
    else if (!*over)
      ++open[value.backend];
  }));
  if (!status) return fail(std::move(status.error()));
  return open;
}

Result<std::optional<ConntrackMap>> resize_conntrack(const std::string& map_folder, uint32_t entries) {
  auto path = map_folder + "/conntrack";
  auto pinned = bpf::open_pin(path);
  if (!pinned && pinned.error().code() == Errc::NotFound) return std::optional<ConntrackMap>();
  auto old = TRY(ConntrackMap::open(bpf::RawMap(TRY(std::move(pinned)), "conntrack")));
  if (TRY(old.raw().max_entries()) == entries) return std::optional<ConntrackMap>();
  Fd fd(bpf_map_create(BPF_MAP_TYPE_HASH, "conntrack", sizeof(abi::ct_key), sizeof(abi::ct_value), entries, nullptr));
  if (!fd) return fail_errno(errno, fmt::format("create a conntrack map of {} rows", entries));
  int create_fd = fd.get();
  auto next = TRY(ConntrackMap::open(bpf::RawMap(std::move(fd), "conntrack")));
  TRY(copy_conntrack(old, next), "move conntrack to {} rows", entries);
  TRY(bpf::pin(create_fd, path));
  return std::optional<ConntrackMap>(std::move(old));
}

}  // namespace causeway::datapath
