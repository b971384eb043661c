// An address and a port as the socket calls take and give them.
#pragma once

#include <sys/socket.h>

#include "base/ip.h"

namespace causeway {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);  // room, for calls that fill it

  SocketAddress() = default;
  explicit SocketAddress(const Endpoint& endpoint);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  // Only for AF_INET and AF_INET6.
  Endpoint endpoint() const;
};

}  // namespace causeway
