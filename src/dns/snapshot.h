// The names on disk, so that a DNS process that starts while the agent or the API server is away answers at once what
// it answered last. Checked as a whole before anything of it is believed; the first complete list replaces it.
#pragma once

#include "dns/tables.h"

namespace causeway::dns {

struct SnapshotInfo {
  int64_t saved = 0;    // seconds since 1970
  uint32_t serial = 0;  // of the tables then
  size_t objects = 0;
};

// Replaces the file whole, durably; `now` in seconds since 1970. On any thread: it registers as a Reader for the time,
// so that what goes meanwhile is freed only after it. Refuses tables that are not complete.
Status save_snapshot(const std::string& path, Tables& tables, int64_t now);
// Into the tables, as their one writer; they are complete then. Errors: NotFound, or Invalid where it is damaged, cut
// or of another version: then the tables are not complete by it.
Result<SnapshotInfo> load_snapshot(const std::string& path, Tables& tables);

}  // namespace causeway::dns
