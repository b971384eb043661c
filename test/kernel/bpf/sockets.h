// Sockets as applications use them: what they are told, and what the kernel really does with them.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "talk.h"

namespace causeway::test {

// `mapped`: an IPv6 socket for IPv4-mapped addresses.
Fd open_socket(const Ns& ns, int type, Family family, bool mapped);

struct Dialled {
  Fd fd;
  int error = 0;  // of connect(); EINPROGRESS: nobody answered within 200 ms
  Endpoint peer;  // as getpeername() tells, IPv4-mapped as IPv4
};
Dialled dial(const Ns& ns, int type, Endpoint to, bool mapped = false);
int connect_again(const Fd& fd, Endpoint to);
Endpoint peer_of(const Fd& fd);
Endpoint unmapped(const Endpoint& endpoint);
// The next client of a listener, as it is seen; port 0: none.
Endpoint accepted(const Fd& listener, std::chrono::milliseconds patience = std::chrono::seconds(2));
bool send_to(const Fd& fd, Endpoint to, const std::string& payload, bool mapped);

// Whether the socket hooks of this node translated the connect() of the socket; to where is in `backend`.
bool translated(const Node& node, const Fd& fd, uint32_t* backend = nullptr);

// UDP servers in one namespace, one for each port.
class Servers {
 public:
  Servers(const Ns& ns, Family family, const std::vector<Endpoint>& endpoints);
  struct Request {
    uint16_t port = 0;  // 0: none came
    Endpoint from;
  };
  Request received(std::chrono::milliseconds patience = std::chrono::seconds(2));
  bool answer(const Request& request, const std::string& payload);

 private:
  std::vector<std::pair<uint16_t, Fd>> servers_;
};

}  // namespace causeway::test
