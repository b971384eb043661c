// The server side: one epoll loop, HTTP/1.1 on TCP (RFC 9112, GET without a body is all that is asked of it; a body is
// read by Content-Length and dropped), echo on UDP.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <unordered_map>

#include "lab/workload/workload.h"

namespace causeway::workload {
namespace {

constexpr size_t kHeadLimit = 16 << 10;
constexpr size_t kConnections = 4096;
constexpr time_t kIdleSeconds = 120;

struct Connection {
  std::string peer;
  std::string local;
  std::string input;
  std::string output;
  size_t body_left = 0;
  bool close_after = false;
  time_t last_used = 0;
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// Name and value of a header line; both empty when it is none.
std::pair<std::string_view, std::string_view> header_of(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return {};
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return {line.substr(0, colon), value};
}

long monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

class Server {
 public:
  explicit Server(const Identity& identity) : identity_(identity) {
    if (const char* text = getenv("LINGER_MS")) linger_ms_ = std::clamp(std::atol(text), 0l, 600'000l);
  }

  int run(const std::vector<Port>& ports) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signals_ = signalfd(-1, &signals, SFD_CLOEXEC);
    add(signals_, EPOLLIN);
    for (const Port& port : ports)
      if (!listen_on(port)) return 1;
    std::printf("serving as %s/%s on %s", identity_.ns.c_str(), identity_.pod.c_str(), identity_.node.c_str());
    for (const Port& port : ports) std::printf(" %d/%s", port.number, port.udp ? "udp" : "tcp");
    std::printf("%s\n", ports.empty() ? " no port: none is declared" : "");
    std::fflush(stdout);
    return loop();
  }

 private:
  void add(int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  // One socket for both families; where the kernel has no IPv6, an IPv4 one.
  bool listen_on(const Port& port) {
    const int type = (port.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(AF_INET6, type, 0);
    sockaddr_storage address{};
    socklen_t size = sizeof(sockaddr_in6);
    const int on = 1;
    const int off = 0;
    if (fd >= 0) {
      auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(static_cast<uint16_t>(port.number));
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
      // The answer to a datagram leaves from the address that it was sent to.
      setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    } else {
      fd = socket(AF_INET, type, 0);
      auto& v4 = reinterpret_cast<sockaddr_in&>(address);
      v4.sin_family = AF_INET;
      v4.sin_port = htons(static_cast<uint16_t>(port.number));
      setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
      size = sizeof(sockaddr_in);
    }
    if (!port.udp) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (port.udp) enlarge_buffers(fd, 4 << 20);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || (!port.udp && listen(fd, 1024) != 0)) {
      std::fprintf(stderr, "cannot serve port %d/%s: %s%s\n", port.number, port.udp ? "udp" : "tcp", strerror(errno),
                   errno == EADDRINUSE ? " (another container of this Pod has it)" : "");
      return false;
    }
    (port.udp ? datagrams_ : listeners_)[fd] = port.number;
    add(fd, EPOLLIN);
    return true;
  }

  int loop() {
    epoll_event events[64];
    for (;;) {
      int wait_ms = connections_.empty() ? -1 : 10'000;
      if (end_at_ != 0) {
        const long left = end_at_ - monotonic_ms();
        if (left <= 0) return 0;
        wait_ms = static_cast<int>(left);
      }
      const int count = epoll_wait(epoll_, events, 64, wait_ms);
      now_ = time(nullptr);
      if (count == 0) close_idle();
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == signals_) {
          signalfd_siginfo ignored;
          (void)!read(signals_, &ignored, sizeof ignored);
          // Goes on serving until every node knows that it goes: what well-behaved servers do on SIGTERM.
          if (linger_ms_ == 0) return 0;
          if (end_at_ == 0) end_at_ = monotonic_ms() + linger_ms_;
          continue;
        }
        if (listeners_.contains(fd)) {
          accept_all(fd);
        } else if (auto udp = datagrams_.find(fd); udp != datagrams_.end()) {
          echo(fd, udp->second);
        } else if (!serve_connection(fd)) {
          connections_.erase(fd);
          close(fd);
        }
      }
    }
  }

  void close_idle() {
    std::erase_if(connections_, [&](const auto& entry) {
      if (now_ - entry.second->last_used < kIdleSeconds) return false;
      close(entry.first);
      return true;
    });
  }

  void accept_all(int listener) {
    for (;;) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const int fd = accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      if (connections_.size() >= kConnections) {
        close(fd);
        continue;
      }
      auto connection = std::make_unique<Connection>();
      connection->peer = printed(&peer);
      sockaddr_storage local{};
      size = sizeof local;
      getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
      connection->local = printed(&local);
      connection->last_used = now_;
      connections_[fd] = std::move(connection);
      add(fd, EPOLLIN | EPOLLOUT | EPOLLET);
    }
  }

  // False: the connection has ended.
  bool serve_connection(int fd) {
    Connection& connection = *connections_.at(fd);
    connection.last_used = now_;
    char buffer[16 << 10];
    bool ended = false;
    for (;;) {
      const ssize_t size = read(fd, buffer, sizeof buffer);
      if (size > 0) {
        connection.input.append(buffer, static_cast<size_t>(size));
        while (next_request(connection)) {
        }
        if (connection.input.size() > kHeadLimit) return false;
        continue;
      }
      if (size < 0 && errno == EINTR) continue;
      ended = size == 0 || errno != EAGAIN;
      break;
    }
    while (!connection.output.empty()) {
      const ssize_t size = write(fd, connection.output.data(), connection.output.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return errno == EAGAIN && !ended;
      connection.output.erase(0, static_cast<size_t>(size));
    }
    return !ended && !connection.close_after;
  }

  // Takes one request off the input and appends its answer.
  bool next_request(Connection& connection) {
    if (connection.body_left > 0) {
      const size_t part = std::min(connection.body_left, connection.input.size());
      connection.input.erase(0, part);
      connection.body_left -= part;
      if (connection.body_left > 0) return false;
    }
    const size_t end = connection.input.find("\r\n\r\n");
    if (end == std::string::npos || connection.close_after) return false;
    const std::string head = connection.input.substr(0, end + 2);
    connection.input.erase(0, end + 4);
    answer(connection, head);
    return true;
  }

  void answer(Connection& connection, std::string_view head) {
    const size_t line_end = head.find("\r\n");
    const std::string_view line = head.substr(0, line_end);
    const size_t method_end = line.find(' ');
    const size_t path_end = line.find(' ', method_end + 1);
    const bool valid = method_end != std::string_view::npos && path_end != std::string_view::npos;
    const std::string_view method = valid ? line.substr(0, method_end) : "";
    const std::string_view path = valid ? line.substr(method_end + 1, path_end - method_end - 1) : "";
    int status = valid ? 200 : 400;
    if (path.starts_with("/status/")) {
      const int wanted = std::atoi(std::string(path.substr(8)).c_str());
      if (wanted >= 200 && wanted <= 599) status = wanted;
    }
    connection.close_after = !valid || line.ends_with("HTTP/1.0");
    std::string headers;
    std::string_view rest = head.substr(line_end + 2);
    while (!rest.empty()) {
      const size_t next = rest.find("\r\n");
      const auto [name, value] = header_of(rest.substr(0, next));
      rest.remove_prefix(next + 2);
      if (name.empty()) continue;
      if (!headers.empty()) headers += ',';
      headers += quoted(name) + ":" + quoted(value);
      const std::string key = lower(name);
      if (key == "content-length") connection.body_left = std::strtoul(std::string(value).c_str(), nullptr, 10);
      if (key == "connection" && lower(value) == "close") connection.close_after = true;
      if (key == "transfer-encoding") connection.close_after = true;  // its end is not looked for
    }
    std::string body = identity_json(connection.local, connection.peer);
    body += ",\"protocol\":\"HTTP\",\"method\":" + quoted(method) + ",\"path\":" + quoted(path) + ",\"headers\":{" +
            headers + "}}\n";
    connection.output += "HTTP/1.1 " + std::to_string(status) + (status < 400 ? " OK" : " Error") +
                         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                         (connection.close_after ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n");
    if (method != "HEAD") connection.output += body;
  }

  std::string identity_json(const std::string& local, const std::string& peer) const {
    return "{\"pod\":" + quoted(identity_.pod) + ",\"namespace\":" + quoted(identity_.ns) +
           ",\"container\":" + quoted(identity_.container) + ",\"node\":" + quoted(identity_.node) +
           ",\"local\":" + quoted(local) + ",\"peer\":" + quoted(peer);
  }

  void echo(int fd, int port) {
    char data[64 << 10];
    for (int burst = 0; burst < 256; ++burst) {
      sockaddr_storage peer{};
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo))];
      iovec part{data, sizeof data};
      msghdr message{};
      message.msg_name = &peer;
      message.msg_namelen = sizeof peer;
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const ssize_t size = recvmsg(fd, &message, 0);
      if (size < 0) return;
      std::string answer = identity_json(":" + std::to_string(port), printed(&peer)) +
                           ",\"protocol\":\"UDP\",\"data\":" + quoted({data, static_cast<size_t>(size)}) + "}";
      part = {answer.data(), answer.size()};
      for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        // Only the address: the route decides over the device.
        if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO)
          reinterpret_cast<in6_pktinfo*>(CMSG_DATA(header))->ipi6_ifindex = 0;
        if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO)
          reinterpret_cast<in_pktinfo*>(CMSG_DATA(header))->ipi_ifindex = 0;
      }
      sendmsg(fd, &message, 0);
    }
  }

  const Identity& identity_;
  int epoll_ = -1;
  int signals_ = -1;
  long linger_ms_ = 0, end_at_ = 0;  // after SIGTERM; end_at_: 0 until then
  time_t now_ = time(nullptr);
  std::unordered_map<int, int> listeners_;  // descriptor to port
  std::unordered_map<int, int> datagrams_;
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
};

}  // namespace

int serve(const Identity& identity, const std::vector<Port>& ports) { return Server(identity).run(ports); }

}  // namespace causeway::workload
