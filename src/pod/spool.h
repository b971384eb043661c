// DELs and GCs that found no agent: the plugin leaves a file for each, which the agent works off before it listens.
#pragma once

#include "pod/record.h"

namespace causeway::pod {

struct SpooledDel {
  Key key;
  TimePoint when;    // an attachment that began later is another life of the same key
  std::string file;  // its path
};

// Those that can be read; a file that cannot is removed with a log line. A missing folder is empty.
Result<std::vector<SpooledDel>> read_spool(const std::string& folder);
Status remove_spooled(const std::string& file);

struct SpooledGc {
  std::string config;  // what came on standard input
  TimePoint when;      // what began later is not meant
  std::string file;
};
// Likewise.
Result<std::vector<SpooledGc>> read_spooled_gcs(const std::string& folder);

}  // namespace causeway::pod
