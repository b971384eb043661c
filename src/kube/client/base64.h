#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace causeway::kube {

// RFC 4648 section 4; line breaks and spaces are skipped, padding may be missing. Errors: Invalid.
Result<std::string> decode_base64(std::string_view text);

}  // namespace causeway::kube
