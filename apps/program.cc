#include "apps/program.h"

#include <filesystem>

namespace causeway::apps {

Result<std::string> beside_this_program(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(Errc::Io, "/proc/self/exe: {}", error.message());
  return (self.parent_path() / name).string();
}

}  // namespace causeway::apps
