// A journal file in memory that dies or fails on command: for the crash tests.
#pragma once

#include <limits>
#include <optional>

#include "pod/storage.h"

namespace causeway::pod {

// Every written byte and every call costs one step. When the steps are used up the "process" is dead: nothing changes
// any more, and what the file holds then is what the next process finds.
class FaultStorage final : public Storage {
 public:
  static constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();

  uint64_t steps = kForever;        // until the kill
  std::optional<uint64_t> full_at;  // bytes the file system holds; more is ENOSPC, after a partial write
  std::optional<std::string> file;
  std::string side;
  int set_asides = 0;

  bool dead() const { return steps == 0; }

  Result<std::string> read() override {
    if (!step()) return killed();
    if (!file) return fail(Errc::NotFound, "no journal");
    return *file;
  }
  Status append(std::string_view bytes) override {
    if (!step()) return killed();
    if (!file) file.emplace();
    return write(*file, bytes);
  }
  Status truncate(uint64_t size) override {
    if (!step()) return killed();
    file->resize(size);
    return ok();
  }
  Status write_side(std::string_view bytes) override {
    if (!step()) return killed();
    side.clear();
    return write(side, bytes);
  }
  Status commit_side() override {
    if (!step()) return killed();
    file = std::move(side);
    side.clear();
    return ok();
  }
  Status set_aside() override {
    if (!step()) return killed();
    file.reset();
    ++set_asides;
    return ok();
  }

 private:
  bool step() {
    if (steps == 0) return false;
    if (steps != kForever) --steps;
    return true;
  }
  static std::unexpected<Error> killed() { return fail(Errc::Internal, "killed"); }
  Status write(std::string& target, std::string_view bytes) {
    for (const char c : bytes) {
      if (!step()) return killed();
      if (full_at && target.size() >= *full_at) return fail(Errc::Exhausted, "No space left on device");
      target += c;
    }
    return ok();
  }
};

}  // namespace causeway::pod
