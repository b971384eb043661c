#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/socket_address.h"
#include "service/prober.h"

namespace causeway::service {

namespace {

class SocketDoor final : public ProbeDoor {
 public:
  explicit SocketDoor(Loop& loop) : loop_(loop) {}

  Task<Status> ask(Endpoint at, Probe probe) override {
    Fd fd(::socket(at.ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) co_return fail_errno(errno, "socket");
    auto watch = loop_.watch(fd.get());
    bool late = false;
    // Whoever waits for the socket wakes up when it is shut down, while it connects too.
    auto timer = loop_.call_after(std::chrono::milliseconds(probe.timeout_ms), [&] {
      late = true;
      ::shutdown(fd.get(), SHUT_RDWR);
    });
    Status answer = co_await talk(fd.get(), *watch, at, probe);
    if (late) co_return fail(Errc::Timeout, "no answer in {} ms", probe.timeout_ms);
    co_return answer;
  }

 private:
  static Task<Status> talk(int fd, FdWatch& watch, Endpoint at, Probe probe) {
    const SocketAddress address(at);
    if (::connect(fd, address.get(), address.size) != 0) {
      if (errno != EINPROGRESS) co_return fail_errno(errno, "connect");
      CO_TRY(co_await watch.writable());
      int error = 0;
      socklen_t size = sizeof(error);
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error) co_return fail_errno(error, "connect");
    }
    if (probe.http_path.empty()) co_return ok();
    const std::string request = fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: causeway-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        probe.http_path, at);
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
      co_return fail_errno(errno, "send the request");
    // "HTTP/1.1 200": the rest does not matter.
    constexpr size_t kStatus = sizeof("HTTP/1.1 200") - 1;
    std::string line;
    while (line.size() < kStatus) {
      CO_TRY(co_await watch.readable());
      char bytes[512];
      const ssize_t got = ::recv(fd, bytes, sizeof(bytes), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got < 0) co_return fail_errno(errno, "read the answer");
      if (got == 0) co_return fail(Errc::Unavailable, "it closed the connection without an answer");
      line.append(bytes, static_cast<size_t>(got));
    }
    const char first = line[9];
    if (!line.starts_with("HTTP/1.") || line[8] != ' ') co_return fail(Errc::Invalid, "the answer is not HTTP");
    if (first != '2' && first != '3')
      co_return fail(Errc::Unavailable, "GET {}: status {}", probe.http_path, line.substr(9, 3));
    co_return ok();
  }

  Loop& loop_;
};

}  // namespace

std::unique_ptr<ProbeDoor> open_probe_door(Loop& loop) { return std::make_unique<SocketDoor>(loop); }

}  // namespace causeway::service
