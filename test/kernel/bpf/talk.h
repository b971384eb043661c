// Conversations between two namespaces: what got through, and whom the other side saw.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/ip.h"
#include "world.h"

namespace causeway::test {

struct Seen {
  std::string error;  // empty: both directions worked
  Endpoint client;    // as the server saw it
  bool ok() const { return error.empty(); }
};

// Connects, exchanges `bytes` in both directions, closes. `from_port` 0: one that no conversation of this process had;
// `at_port`: where the server listens, 0: `port`.
Seen talk_tcp(const Ns& client, const Ns& server, Ip address, uint16_t port, size_t bytes = 1, uint16_t from_port = 0,
              uint16_t at_port = 0);
// One datagram and its echo.
Seen talk_udp(const Ns& client, const Ns& server, Ip address, uint16_t port, size_t bytes = 16, uint16_t from_port = 0,
              uint16_t at_port = 0);
// An echo request and its reply; `id` 0: the kernel chooses.
bool ping(const Ns& client, Ip address, uint16_t id = 0, size_t bytes = 56);

Fd udp_socket(const Ns& ns, Ip bind_to, uint16_t port);
Fd tcp_listener(const Ns& ns, Ip bind_to, uint16_t port);
// Connected, or no descriptor.
Fd tcp_connect(const Ns& ns, Ip address, uint16_t port, uint16_t from_port = 0);
bool send_udp(const Fd& socket, Ip to, uint16_t port, const std::string& payload);
// The next datagram and its sender; none within `patience`.
struct Datagram {
  std::string payload;
  Endpoint from;
};
std::optional<Datagram> receive_udp(const Fd& socket, std::chrono::milliseconds patience = std::chrono::seconds(2));
// ICMP errors are to be kept for a UDP socket.
void want_errors(const Fd& socket, Family family);
struct IcmpError {
  int error = 0;      // ECONNREFUSED, EHOSTUNREACH, EMSGSIZE ...
  uint32_t info = 0;  // the MTU of EMSGSIZE
  Ip from;
};
std::optional<IcmpError> receive_error(const Fd& socket, std::chrono::milliseconds patience = std::chrono::seconds(2));
// Only its errno; 0: none arrived.
int pending_error(const Fd& socket, std::chrono::milliseconds patience = std::chrono::seconds(2));
// Sends a whole frame from a device, as an unruly Pod can.
bool send_frame(const Ns& ns, const std::string& device, const std::string& frame);

}  // namespace causeway::test
