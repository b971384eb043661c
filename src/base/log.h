// One line for each event, to standard error: time, level, text. An error is logged once, where it is handled.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace causeway::log {

enum class Level { Debug, Info, Warning, Error };

void set_level(Level level);
// Names the process in each line ("agent", "apiserver").
void set_name(std::string name);
void write(Level level, std::string_view text);
bool enabled(Level level);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::Debug)) write(Level::Debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace causeway::log
