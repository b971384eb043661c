#include "cli/output.h"

#include <unistd.h>

#include <cstdio>

namespace causeway::cli {

using Clock = std::chrono::steady_clock;

Steps::Steps() : terminal_(::isatty(STDOUT_FILENO) == 1), start_(Clock::now()) {}

void Steps::begin(const std::string& text) {
  done();
  open_ = text;
  step_start_ = Clock::now();
  if (terminal_) fmt::print(" \u2022 {} ...", text);
  std::fflush(stdout);
}

void Steps::say(const std::string& text, bool good, double seconds) {
  if (terminal_) {
    fmt::print("\r\033[K {} {} \033[2m{:.2f} s\033[0m\n", good ? "\033[32m\u2713\033[0m" : "\033[31m\u2717\033[0m",
               text, seconds);
  } else {
    fmt::print("{} {} ({:.2f} s)\n", good ? "ok" : "FAILED", text, seconds);
  }
  std::fflush(stdout);
}

void Steps::end(bool good) {
  if (open_.empty()) return;
  say(open_, good, std::chrono::duration<double>(Clock::now() - step_start_).count());
  open_.clear();
}

void Steps::done() { end(true); }
void Steps::failed() { end(false); }
double Steps::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

int complain(const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "error: {}\n", error.message());
  return 1;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}", row[i], widths[i] + 3);
    out += line + "\n";
  }
  return out;
}

}  // namespace causeway::cli
