#include "apps/environment.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"

namespace causeway::apps {
namespace {

// Of a ConfigMap's folder, this leaves out ..data and the folders that it points to.
bool is_variable(const std::string& name) {
  return std::ranges::all_of(name, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

void take_environment(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty() || option == command.get_help_ptr()) continue;
    std::string name = "CAUSEWAY_";
    for (const char c : option->get_lnames().front()) name += c == '-' ? '_' : static_cast<char>(std::toupper(c));
    option->envname(name);
  }
}

Status take_settings(const std::string& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  if (error) return fail(Errc::NotFound, "read the settings in {}: {}", folder, error.message());
  for (; entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename();
    if (!is_variable(name)) continue;
    std::string value = TRY(read_file(entries->path()), "read the settings in {}", folder);
    if (value.ends_with('\n')) value.pop_back();
    ::setenv(name.c_str(), value.c_str(), name.starts_with("CAUSEWAY_") ? 0 : 1);
  }
  if (error) return fail(Errc::Io, "read the settings in {}: {}", folder, error.message());
  return {};
}

}  // namespace causeway::apps
