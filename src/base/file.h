// Whole files, read and replaced. A replaced file is never seen half-written: temporary name in the same
// directory, rename.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace causeway {

Result<std::string> read_file(const std::string& path);
// Atomic; `sync` makes it durable (fsync of file and directory). Mode is before umask.
Status replace_file(const std::string& path, std::string_view content, mode_t mode = 0644, bool sync = false);
// For /proc and /sys: one write to an existing file.
Status write_existing(const std::string& path, std::string_view content);

}  // namespace causeway
