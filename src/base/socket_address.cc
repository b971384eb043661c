#include "base/socket_address.h"

#include <netinet/in.h>

#include <cstring>

namespace causeway {

SocketAddress::SocketAddress(const Endpoint& endpoint) {
  if (endpoint.ip.is_v4()) {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, endpoint.ip.bytes().data(), 4);
    size = sizeof in;
  } else {
    auto& in = reinterpret_cast<sockaddr_in6&>(storage);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.ip.bytes().data(), 16);
    size = sizeof in;
  }
}

Endpoint SocketAddress::endpoint() const {
  if (storage.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
    return {Ip::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  const auto& in = reinterpret_cast<const sockaddr_in6&>(storage);
  return {Ip::v6(std::span<const uint8_t, 16>(in.sin6_addr.s6_addr, 16)), ntohs(in.sin6_port)};
}

}  // namespace causeway
