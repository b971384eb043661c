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

}  // namespace

Result<std::vector<SpooledDel>> read_spool(const std::string& folder) {
  std::vector<SpooledDel> all;
  DIR* directory = ::opendir(folder.c_str());
  if (!directory && errno == ENOENT) return all;
  if (!directory) return fail_errno(errno, "read the spool " + folder);
  while (const dirent* entry = ::readdir(directory)) {
    if (!is_record(entry->d_name)) continue;
    const std::string file = folder + "/" + entry->d_name;
    const auto text = read_file(file);
    if (!text) continue;  // removed meanwhile
    if (auto del = parse(*text)) {
      del->file = file;
      all.push_back(std::move(*del));
    } else {
      log::warning("spool: {} is no DEL; removed", file);
      ::unlink(file.c_str());
    }
  }
  ::closedir(directory);
  std::ranges::sort(all, {}, &SpooledDel::when);
  return all;
}

Status remove_spooled(const SpooledDel& del) {
  if (::unlink(del.file.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove " + del.file);
  return ok();
}

}  // namespace causeway::pod
