// How commands speak: steps with marks on a terminal, plain lines elsewhere; errors in one sentence on standard error.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::cli {

class Steps {
 public:
  Steps();
  void begin(const std::string& text);  // ends the step before it
  void done();                          // the last one
  void failed();
  // A step that is over, and how many seconds it took.
  void say(const std::string& text, bool good, double seconds);
  double seconds() const;  // since construction

 private:
  void end(bool good);
  bool terminal_;
  std::string open_;
  std::chrono::steady_clock::time_point start_, step_start_;
};

// "error: TEXT" on standard error; returns 1.
int complain(const Error& error);

// Columns padded to their widest cell.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace causeway::cli
