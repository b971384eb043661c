// Which groups, versions and resources there are: the aggregated form (KEP-3352) and the old one.
#pragma once

#include <optional>

#include "http/message.h"

namespace causeway::apiserver {

// /api, /apis, /api/v1, /apis/GROUP, /apis/GROUP/VERSION; nothing for any other path.
std::optional<http::Response> discovery(const http::Request& request, std::string_view path);

}  // namespace causeway::apiserver
