#include "traffic.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

namespace causeway::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr uint16_t kPort = 7200;

[[noreturn]] void die(const char* what) { throw std::runtime_error(std::string(what) + ": " + std::strerror(errno)); }

// A socket belongs to the namespace of the thread that opened it.
int socket_in(int netns) {
  int fd = -1, error = 0;
  std::thread([&] {
    if (::setns(netns, CLONE_NEWNET) != 0 || (fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) error = errno;
  }).join();
  errno = error;
  if (fd < 0) die("open a socket in a Pod");
  return fd;
}

struct Connection {
  int client, server;

  Connection(int client_ns, int server_ns, const std::string& address) {
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(kPort)};
    const int listener = socket_in(server_ns);
    const int one = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 || ::listen(listener, 1) != 0) die("listen");
    client = socket_in(client_ns);
    if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1) throw std::runtime_error("address " + address);
    if (::connect(client, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) die("connect");
    server = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (server < 0) die("accept");
    ::close(listener);
    ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ::setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  ~Connection() {
    ::close(client);
    ::close(server);
  }
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

double tcp_rate(int client, int server, const std::string& address, double seconds) {
  Connection connection(client, server, address);
  std::thread sender([&] {
    const std::vector<char> bytes(128 * 1024);
    while (::send(connection.client, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  std::vector<char> buffer(256 * 1024);
  // What waits in buffers when the count begins was sent at the same rate: the count is of what arrives.
  const auto begun = Clock::now();
  auto counted = begun;
  double bytes = 0;
  bool counting = false;
  for (;;) {
    const ssize_t count = ::recv(connection.server, buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    if (!counting && seconds_since(begun) >= 0.5) {
      counting = true;
      counted = Clock::now();
      continue;
    }
    if (counting) bytes += double(count);
    if (counting && seconds_since(counted) >= seconds) break;
  }
  const double took = seconds_since(counted);
  ::shutdown(connection.server, SHUT_RDWR);
  ::shutdown(connection.client, SHUT_RDWR);
  sender.join();
  return bytes * 8 / took;
}

double round_trip(int client, int server, const std::string& address, int rounds) {
  Connection connection(client, server, address);
  std::thread echo([&] {
    char byte;
    while (::recv(connection.server, &byte, 1, 0) == 1 && ::send(connection.server, &byte, 1, MSG_NOSIGNAL) == 1) {
    }
  });
  std::vector<double> times;
  char byte = 1;
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    if (::send(connection.client, &byte, 1, MSG_NOSIGNAL) != 1 || ::recv(connection.client, &byte, 1, 0) != 1) break;
    times.push_back(seconds_since(start) * 1e6);
  }
  ::shutdown(connection.client, SHUT_RDWR);
  echo.join();
  if (times.empty()) die("round trip");
  std::ranges::sort(times);
  return times[times.size() / 2];
}

}  // namespace causeway::bench
