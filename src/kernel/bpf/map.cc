#include "kernel/bpf/map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

namespace causeway::bpf {

namespace {

constexpr uint32_t kBatch = 4096;
constexpr int kNotSupported = 524;  // ENOTSUPP, the kernel's own: this kind of map has no batch operations

Result<bpf_map_info> info_of(int fd, const std::string& name) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size))
    return fail_errno(errno, fmt::format("map {}: read its properties", name));
  return info;
}

bool no_batches(int error) { return error == kNotSupported || error == EOPNOTSUPP || error == EINVAL; }

}  // namespace

Status RawMap::expect(uint32_t key_size, uint32_t value_size) const {
  auto info = TRY(info_of(fd_.get(), name_));
  if (info.key_size == key_size && info.value_size == value_size) return ok();
  return fail(Errc::Invalid,
              "map {}: rows of {}+{} bytes, this program has {}+{}: pins of another version, remove the pin folder",
              name_, info.key_size, info.value_size, key_size, value_size);
}

Result<uint32_t> RawMap::max_entries() const { return TRY(info_of(fd_.get(), name_)).max_entries; }

Result<bool> RawMap::get(const void* key, void* value) const {
  if (!bpf_map_lookup_elem(fd_.get(), key, value)) return true;
  if (errno == ENOENT) return false;
  return fail_errno(errno, fmt::format("map {}: look up", name_));
}

Status RawMap::put(const std::byte* keys, const std::byte* values, size_t count, size_t key_size,
                   size_t value_size) const {
  size_t done = 0;
  while (count - done > 1) {
    uint32_t batch = static_cast<uint32_t>(std::min<size_t>(kBatch, count - done));
    if (!bpf_map_update_batch(fd_.get(), keys + done * key_size, values + done * value_size, &batch, nullptr)) {
      done += batch;
      continue;
    }
    if (!no_batches(errno)) break;  // the row that fails names the error below
    break;
  }
  for (; done < count; ++done) {
    if (!bpf_map_update_elem(fd_.get(), keys + done * key_size, values + done * value_size, BPF_ANY)) continue;
    if (errno == E2BIG || errno == ENOSPC) return fail(Errc::Exhausted, "map {}: full", name_);
    return fail_errno(errno, fmt::format("map {}: write a row", name_));
  }
  return ok();
}

Result<bool> RawMap::remove(const void* key) const {
  if (!bpf_map_delete_elem(fd_.get(), key)) return true;
  if (errno == ENOENT) return false;
  return fail_errno(errno, fmt::format("map {}: remove a row", name_));
}

Status RawMap::remove(const std::byte* keys, size_t count, size_t key_size) const {
  for (size_t done = 0; done < count;) {
    uint32_t batch = static_cast<uint32_t>(std::min<size_t>(kBatch, count - done));
    if (batch > 1 && !bpf_map_delete_batch(fd_.get(), keys + done * key_size, &batch, nullptr)) {
      done += batch;
      continue;
    }
    // The batch ended before this one: it is not there, or the map has no batches.
    if (batch > 1 && errno == ENOENT) done += std::min<size_t>(batch, count - done - 1);
    TRY(remove(keys + done++ * key_size));
  }
  return ok();
}

namespace {

// Key by key, for maps without batches (LPM tries of older kernels).
Status each_key(int fd, const std::string& name, size_t key_size, size_t value_size,
                const std::function<void(const std::byte*, const std::byte*)>& row) {
  std::vector<std::byte> key(key_size), next(key_size), value(value_size);
  const void* from = nullptr;
  while (!bpf_map_get_next_key(fd, from, next.data())) {
    std::swap(key, next);
    from = key.data();
    if (!bpf_map_lookup_elem(fd, key.data(), value.data()))
      row(key.data(), value.data());
    else if (errno != ENOENT)
      return fail_errno(errno, fmt::format("map {}: read a row", name));
  }
  if (errno == ENOENT) return ok();
  return fail_errno(errno, fmt::format("map {}: walk", name));
}

}  // namespace

Status RawMap::each(size_t key_size, size_t value_size,
                    const std::function<void(const std::byte*, const std::byte*)>& row) const {
  auto info = TRY(info_of(fd_.get(), name_));
  if (info.type == BPF_MAP_TYPE_LPM_TRIE) return each_key(fd_.get(), name_, key_size, value_size, row);
  uint32_t capacity = std::min(kBatch, info.max_entries);
  std::vector<std::byte> keys, values;
  uint32_t cursor = 0, next = 0;  // a bucket's number: 4 bytes for hashes
  bool first = true, more = true;
  while (more) {
    keys.resize(capacity * key_size);
    values.resize(capacity * value_size);
    uint32_t count = capacity;
    if (bpf_map_lookup_batch(fd_.get(), first ? nullptr : &cursor, &next, keys.data(), values.data(), &count,
                             nullptr)) {
      if (errno == ENOSPC) {  // a bucket with more rows than the batch holds
        capacity *= 2;
        continue;
      }
      if (first && no_batches(errno)) return each_key(fd_.get(), name_, key_size, value_size, row);
      if (errno != ENOENT) return fail_errno(errno, fmt::format("map {}: read its rows", name_));
      more = false;
    }
    for (uint32_t i = 0; i < count; ++i) row(keys.data() + i * key_size, values.data() + i * value_size);
    cursor = next;
    first = false;
  }
  return ok();
}

Result<std::vector<std::vector<uint64_t>>> sum_per_cpu(const RawMap& map, size_t words) {
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return fail_errno(-cpus, "number of CPUs");
  TRY(map.expect(sizeof(uint32_t), static_cast<uint32_t>(words * 8)));
  std::vector<std::vector<uint64_t>> sums(TRY(map.max_entries()), std::vector<uint64_t>(words));
  std::vector<uint64_t> values(words * static_cast<size_t>(cpus));
  for (uint32_t index = 0; index < sums.size(); ++index) {
    TRY(map.get(&index, values.data()));
    for (size_t i = 0; i < values.size(); ++i) sums[index][i % words] += values[i];
  }
  return sums;
}

}  // namespace causeway::bpf
