#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace causeway::log {
namespace {

std::shared_ptr<spdlog::logger>& logger() {
  static auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("causeway", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%f %L %n: %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return instance;
}

spdlog::level::level_enum level_of(Level level) {
  switch (level) {
    case Level::Debug: return spdlog::level::debug;
    case Level::Info: return spdlog::level::info;
    case Level::Warning: return spdlog::level::warn;
    case Level::Error: return spdlog::level::err;
  }
  __builtin_unreachable();
}

}  // namespace

void set_level(Level level) { logger()->set_level(level_of(level)); }
void set_name(std::string name) {
  const auto level = logger()->level();
  logger() = logger()->clone(std::move(name));
  logger()->set_level(level);
}
bool enabled(Level level) { return logger()->should_log(level_of(level)); }
void write(Level level, std::string_view text) { logger()->log(level_of(level), text); }

}  // namespace causeway::log
