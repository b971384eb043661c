// Where this program is.
#pragma once

#include <string>

#include "base/result.h"

namespace causeway::apps {

// The path of a program that was installed beside this one.
Result<std::string> beside_this_program(const std::string& name);

}  // namespace causeway::apps
