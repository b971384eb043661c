// An address and port as the calls of sockets take and give them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "base/ip.h"

namespace causeway::test {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  Address() = default;
  Address(Ip ip, uint16_t port) {
    if (ip.is_v4()) {
      auto& in = reinterpret_cast<sockaddr_in&>(storage);
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
      std::memcpy(&in.sin_addr, ip.bytes().data(), 4);
      length = sizeof(in);
    } else {
      auto& in = reinterpret_cast<sockaddr_in6&>(storage);
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(port);
      std::memcpy(&in.sin6_addr, ip.bytes().data(), 16);
      length = sizeof(in);
    }
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  Endpoint endpoint() const {
    if (storage.ss_family == AF_INET) {
      auto& in = reinterpret_cast<const sockaddr_in&>(storage);
      return {Ip::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
    }
    auto& in = reinterpret_cast<const sockaddr_in6&>(storage);
    return {Ip::v6(std::span<const uint8_t, 16>(in.sin6_addr.s6_addr, 16)), ntohs(in.sin6_port)};
  }
};

}  // namespace causeway::test
