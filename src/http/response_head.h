// The text before a response's body.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

namespace causeway::http {

std::string_view reason_of(int status);

enum class Framing {
  Length,  // Content-Length
  Chunked,
  ToClose,  // HTTP/1.0: the body ends with the connection
};
// Status line, headers, Date and framing. Line breaks inside of header values become spaces.
std::string format_head(int status, const Headers& headers, Framing framing, size_t length, bool keep_alive,
                        WallTime now);

}  // namespace causeway::http
