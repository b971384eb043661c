// Where the journal's bytes live: one file that is appended to and now and then replaced. The seam of the crash tests.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace causeway::pod {

class Storage {
 public:
  virtual ~Storage() = default;

  virtual Result<std::string> read() = 0;  // NotFound: no file yet
  // One write at the end. After an error a part of the bytes may be there.
  virtual Status append(std::string_view bytes) = 0;
  virtual Status truncate(uint64_t size) = 0;
  // Writes a side file; nothing of it counts before commit_side() has renamed it over the file.
  virtual Status write_side(std::string_view bytes) = 0;
  virtual Status commit_side() = 0;
  // Keeps a file that cannot be understood for people to look at, under its name + ".corrupt".
  virtual Status set_aside() = 0;
};

// `path` is on tmpfs: what it describes lives as long as the running kernel, so nothing is synced. Makes the folder.
Result<std::unique_ptr<Storage>> open_file_storage(std::string path);

}  // namespace causeway::pod
