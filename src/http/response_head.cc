#include "http/response_head.h"

#include <fmt/chrono.h>

#include <algorithm>

namespace causeway::http {
namespace {

// RFC 9110 section 5.6.7; made once a second.
const std::string& date_of(WallTime now) {
  thread_local time_t made_for = 0;
  thread_local std::string text;
  const auto seconds =
      static_cast<time_t>(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  if (seconds != made_for || text.empty()) {
    text = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(seconds));
    made_for = seconds;
  }
  return text;
}

bool is_framing(std::string_view name) {
  const NameLess less;
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{"content-length", "transfer-encoding", "connection", "date"},
      [&](std::string_view own) { return !less(name, own) && !less(own, name); });
}

}  // namespace

std::string_view reason_of(int status) {
  switch (status) {
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Unknown";
  }
}

std::string format_head(int status, const Headers& headers, Framing framing, size_t length, bool keep_alive,
                        WallTime now) {
  std::string head;
  head.reserve(256);
  fmt::format_to(std::back_inserter(head), "HTTP/1.1 {} {}\r\nDate: {}\r\n", status, reason_of(status), date_of(now));
  for (const auto& [name, value] : headers) {
    if (is_framing(name)) continue;
    head += name;
    head += ": ";
    const auto start = head.size();
    head += value;
    std::replace_if(
        head.begin() + static_cast<ptrdiff_t>(start), head.end(),
        [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
    head += "\r\n";
  }
  if (!keep_alive) head += "Connection: close\r\n";
  // RFC 9112 section 6.3: a 1xx, 204 or 304 has no body and says nothing about one.
  const bool bodiless = status / 100 == 1 || status == 204 || status == 304;
  if (framing == Framing::Length && !bodiless)
    fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", length);
  if (framing == Framing::Chunked) head += "Transfer-Encoding: chunked\r\n";
  head += "\r\n";
  return head;
}

}  // namespace causeway::http
