// Printing of addresses and JSON strings.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdio>
#include <cstring>

#include "lab/workload/workload.h"

namespace causeway::workload {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const unsigned char byte : text) {
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += static_cast<char>(byte);
    } else if (byte < 0x20 || byte >= 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += static_cast<char>(byte);
    }
  }
  return out += '"';
}

std::string printed(const void* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (static_cast<const sockaddr*>(address)->sa_family == AF_INET) {
    const auto& v4 = *static_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return text + (":" + std::to_string(ntohs(v4.sin_port)));
  }
  const auto& v6 = *static_cast<const sockaddr_in6*>(address);
  const auto port = ":" + std::to_string(ntohs(v6.sin6_port));
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
    return text + port;
  }
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return "[" + std::string(text) + "]" + port;
}

}  // namespace causeway::workload
