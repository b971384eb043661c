// Runs a packaged program and waits for it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::lab {

// What it printed. Errors: Unsupported when it is not installed; Io with the last line that it said when it fails.
Result<std::string> run_tool(const std::vector<std::string>& argv);

}  // namespace causeway::lab
