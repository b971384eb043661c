#include "pod/spool.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/file.h"
#include "base/log.h"
#include "pod/cni_wire.h"

namespace causeway::pod {
namespace {

// Three lines: container id, interface name, time.
std::optional<SpooledDel> parse(std::string_view text) {
  std::string_view lines[3];
  for (auto& line : lines) {
    const size_t newline = text.find('\n');
    if (newline == std::string_view::npos || newline == 0) return std::nullopt;
    line = text.substr(0, newline);
    text.remove_prefix(newline + 1);
  }
  int64_t when = 0;
  const auto [end, error] = std::from_chars(lines[2].data(), lines[2].data() + lines[2].size(), when);
  if (error != std::errc() || end != lines[2].data() + lines[2].size() || !text.empty()) return std::nullopt;
  return SpooledDel{
      .key = {std::string(lines[0]), std::string(lines[1])}, .when = TimePoint(Duration(when)), .file = {}};
}

// 16 hex digits; anything else is a temporary name of a plugin that is still writing, or was killed.
bool is_record(std::string_view name) {
  return name.size() == 16 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_gc(std::string_view name) { return name.starts_with("gc-") && is_record(name.substr(3)); }

std::optional<SpooledGc> parse_gc(std::string_view text) {
  const size_t newline = text.find('\n');
  int64_t when = 0;
  if (newline == std::string_view::npos) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + newline, when);
  if (error != std::errc() || end != text.data() + newline) return std::nullopt;
  return SpooledGc{.config = std::string(text.substr(newline + 1)), .when = TimePoint(Duration(when)), .file = {}};
}

// What is whole of those files whose name `wanted` takes, oldest first. A file that is not is removed.
template <class Item, class Wanted, class Parse>
Result<std::vector<Item>> read_all(const std::string& folder, Wanted wanted, Parse parse) {
  std::vector<Item> all;
  DIR* directory = ::opendir(folder.c_str());
  if (!directory && errno == ENOENT) return all;
  if (!directory) return fail_errno(errno, "read the spool " + folder);
  while (const dirent* entry = ::readdir(directory)) {
    if (!wanted(std::string_view(entry->d_name))) continue;
    const std::string file = folder + "/" + entry->d_name;
    const auto text = read_file(file);
    if (!text) continue;  // removed meanwhile
    if (auto item = parse(*text)) {
      item->file = file;
      all.push_back(std::move(*item));
    } else {
      log::warning("spool: {} is no call that a plugin left; removed", file);
      ::unlink(file.c_str());
    }
  }
  ::closedir(directory);
  std::ranges::sort(all, {}, &Item::when);
  return all;
}

}  // namespace

Result<std::vector<SpooledDel>> read_spool(const std::string& folder) {
  return read_all<SpooledDel>(folder, is_record, parse);
}
Result<std::vector<SpooledGc>> read_spooled_gcs(const std::string& folder) {
  return read_all<SpooledGc>(folder, is_gc, parse_gc);
}

Status remove_spooled(const std::string& file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove " + file);
  return ok();
}

}  // namespace causeway::pod
