// The built-in workload: what stands in for a container's image. No library of ours is linked, so that it starts in
// about a millisecond.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace causeway::workload {

// What the answers say about who answers.
struct Identity {
  std::string pod;
  std::string ns;
  std::string node;
  std::string container;
};

struct Port {
  int number = 0;  // 1..65535
  bool udp = false;
};

// Serves HTTP on each TCP port and echoes on each UDP port until SIGTERM. Returns the exit status.
int serve(const Identity& identity, const std::vector<Port>& ports);

// `connect`: sends requests to one address and prints what came back. Returns 0 when every request was answered.
int connect(std::span<char*> arguments);

// Holds the namespaces of a Pod; ends on SIGTERM and SIGINT.
int pause();

// Text as a JSON string with its quotes; bytes outside printable ASCII are escaped byte by byte.
std::string quoted(std::string_view text);
// Room for datagrams that come while the machine is busy: past the machine's limit (net.core.rmem_max, wmem_max) with
// CAP_NET_ADMIN, which a container has only when it asks for it; up to it without.
void enlarge_buffers(int fd, int bytes);
// "10.0.0.1:80", "[2001:db8::1]:80"; an IPv4-mapped address is shown as IPv4.
std::string printed(const void* sockaddr_storage_of_ip);

}  // namespace causeway::workload
