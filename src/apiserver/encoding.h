// Base64 in its two alphabets (RFC 4648 sections 4 and 5).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace causeway::apiserver {

// The usual alphabet, with padding.
std::string base64(std::string_view bytes);
// For URLs, without padding.
std::string base64_url(std::string_view bytes);
// Errors: Invalid.
Result<std::string> from_base64_url(std::string_view text);

}  // namespace causeway::apiserver
