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

std::vector<abi::ct_key> expired_rows(const ConntrackMap::Rows& rows, uint32_t now) {
  std::vector<abi::ct_key> expired;
  for (const auto& [key, value] : rows) {
    if (value.expires > now) continue;
    auto twin = rows.find(twin_of(key, value));
    if (twin == rows.end() || twin->second.expires <= now) expired.push_back(key);
  }
  return expired;
}

Status copy_conntrack(const ConntrackMap& from, ConntrackMap& to) {
  auto rows = TRY(from.dump());
  for (const auto& key : expired_rows(rows, monotonic_seconds())) rows.erase(key);
  auto present = TRY(to.dump());
  std::erase_if(rows, [&](const auto& row) { return present.contains(row.first); });
  return to.put(std::vector<ConntrackMap::Row>(rows.begin(), rows.end()));
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
