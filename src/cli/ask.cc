#include "cli/ask.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/socket_address.h"
#include "kernel/netns/netns.h"

namespace causeway::cli {
namespace {

using Clock = std::chrono::steady_clock;

// One question under way.
struct Asked {
  enum class Stage { Connecting, Waiting, Over } stage = Stage::Over;
  Endpoint target;
  Fd fd;
  std::string input;
  Error error{Errc::Timeout, ""};
  bool answered = false;
};

Asked begin(const Endpoint& target, int type) {
  Asked asked{.target = target};
  asked.fd = Fd(::socket(target.ip.is_v4() ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const SocketAddress address(target);
  if (!asked.fd || (::connect(asked.fd.get(), address.get(), address.size) != 0 && errno != EINPROGRESS)) {
    asked.error = Error(Errc::Unavailable, fmt::format("{}: {}", target, strerror(errno)));
    return asked;
  }
  asked.stage = Asked::Stage::Connecting;
  asked.error = Error(Errc::Timeout, fmt::format("{}: no answer", target));
  return asked;
}

void give_up(Asked& asked, int error) {
  asked.error = Error(Errc::Unavailable, fmt::format("{}: {}", asked.target, strerror(error)));
  asked.stage = Asked::Stage::Over;
}

enum class Question { Connect, Http, Udp };

void connected(Asked& asked, Question question) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(asked.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return give_up(asked, error);
  if (question == Question::Connect) {
    asked.answered = true;
    asked.stage = Asked::Stage::Over;
    return;
  }
  const std::string request =
      question == Question::Http ? "GET / HTTP/1.1\r\nHost: causeway-demo\r\nConnection: close\r\n\r\n" : "demo";
  if (::send(asked.fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return give_up(asked, errno);
  asked.stage = Asked::Stage::Waiting;
}

void receive(Asked& asked, Question question) {
  char buffer[16 << 10];
  const ssize_t size = ::recv(asked.fd.get(), buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) return give_up(asked, errno);
  asked.input.append(buffer, static_cast<size_t>(size));
  if (question == Question::Http && size > 0) return;
  asked.stage = Asked::Stage::Over;
  if (question == Question::Udp) {
    asked.answered = true;
    return;
  }
  const size_t head = asked.input.find("\r\n\r\n");
  asked.answered = asked.input.starts_with("HTTP/1.1 200") && head != std::string::npos;
  if (!asked.answered)
    asked.error = Error(Errc::Unavailable,
                        fmt::format("{}: answered {}", asked.target, asked.input.substr(0, asked.input.find("\r\n"))));
  if (head != std::string::npos) asked.input.erase(0, head + 4);
}

std::vector<Asked> ask(const std::vector<Endpoint>& targets, Question question, int limit_ms) {
  std::vector<Asked> all;
  for (const auto& target : targets) all.push_back(begin(target, question == Question::Udp ? SOCK_DGRAM : SOCK_STREAM));
  const auto deadline = Clock::now() + std::chrono::milliseconds(limit_ms);
  auto resend = Clock::now() + std::chrono::milliseconds(200);
  for (;;) {
    std::vector<pollfd> polled;
    std::vector<Asked*> open;
    for (auto& asked : all) {
      if (asked.stage == Asked::Stage::Over) continue;
      open.push_back(&asked);
      polled.push_back(
          {asked.fd.get(), static_cast<short>(asked.stage == Asked::Stage::Connecting ? POLLOUT : POLLIN), 0});
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (open.empty() || left <= 0) return all;
    ::poll(polled.data(), polled.size(), static_cast<int>(std::min<long>(left, 50)));
    for (size_t i = 0; i < open.size(); ++i) {
      if (polled[i].revents == 0) continue;
      if (open[i]->stage == Asked::Stage::Connecting) {
        connected(*open[i], question);
      } else {
        receive(*open[i], question);
      }
    }
    if (question == Question::Udp && Clock::now() >= resend) {
      resend += std::chrono::milliseconds(200);
      for (auto* asked : open)
        if (asked->stage == Asked::Stage::Waiting) (void)!::send(asked->fd.get(), "demo", 4, MSG_NOSIGNAL);
    }
  }
}

Result<std::vector<Asked>> ask_in(int netns_fd, const std::vector<Endpoint>& targets, Question question, int limit_ms) {
  std::vector<Asked> all;
  TRY(netns::run_in(netns_fd, [&]() -> Status {
    all = ask(targets, question, limit_ms);
    return ok();
  }));
  return all;
}

std::vector<Result<std::string>> bodies(int netns_fd, const std::vector<Endpoint>& targets, Question question,
                                        int limit_ms) {
  std::vector<Result<std::string>> out;
  auto all = ask_in(netns_fd, targets, question, limit_ms);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!all) {
      out.push_back(fail(all.error()));
    } else if ((*all)[i].answered) {
      out.push_back(std::move((*all)[i].input));
    } else {
      out.push_back(fail((*all)[i].error));
    }
  }
  return out;
}

}  // namespace

std::vector<Result<std::string>> ask_http(int netns_fd, const std::vector<Endpoint>& targets, int limit_ms) {
  return bodies(netns_fd, targets, Question::Http, limit_ms);
}

std::vector<Result<std::string>> ask_udp(int netns_fd, const std::vector<Endpoint>& targets, int limit_ms) {
  return bodies(netns_fd, targets, Question::Udp, limit_ms);
}

std::vector<Status> knock(int netns_fd, const std::vector<Endpoint>& targets, int limit_ms) {
  std::vector<Status> out;
  for (auto& answer : bodies(netns_fd, targets, Question::Connect, limit_ms))
    out.push_back(answer ? ok() : Status(fail(answer.error())));
  return out;
}

Result<Fd> listen_in(int netns_fd, const Endpoint& at) {
  return netns::call_in(netns_fd, [&]() -> Result<Fd> {
    Fd fd(::socket(at.ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const SocketAddress address(at);
    if (!fd || ::bind(fd.get(), address.get(), address.size) != 0 || ::listen(fd.get(), 1024) != 0)
      return fail_errno(errno, fmt::format("listen at {}", at));
    return fd;
  });
}

Result<Endpoint> local_endpoint(int fd) {
  SocketAddress address;
  if (::getsockname(fd, address.get(), &address.size) != 0) return fail_errno(errno, "getsockname");
  return address.endpoint();
}

std::vector<Ip> callers(int fd) {
  std::vector<Ip> out;
  for (;;) {
    SocketAddress peer;
    const Fd socket(::accept4(fd, peer.get(), &peer.size, SOCK_CLOEXEC));
    if (!socket) return out;
    out.push_back(peer.endpoint().ip);
  }
}

}  // namespace causeway::cli
