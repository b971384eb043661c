#include "answers.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "base/socket_address.h"

namespace causeway::test {

namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 500'000};

Ip any(Family family) { return family == Family::V4 ? Ip() : Ip::v6(std::array<uint8_t, 16>{}); }

Fd open_socket(const Ns& ns, Family family, int type) {
  In in(ns);
  Fd fd(::socket(family == Family::V4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == Family::V6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    ::setsockopt(fd.get(), SOL_SOCKET, option, &kPatience, sizeof kPatience);
  return fd;
}

std::string word_for(int error) {
  if (error == ECONNREFUSED) return "refused";
  if (error == EAGAIN || error == EINPROGRESS || error == ETIMEDOUT) return "silence";
  return std::strerror(error);
}

}  // namespace

Answers::Answers(const Ns& ns, std::string name, uint16_t port) : name_(std::move(name)) {
  for (const Family family : kFamilies)
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
      Fd fd = open_socket(ns, family, type);
      SocketAddress address({any(family), port});
      if (::bind(fd.get(), address.get(), address.size) != 0 || (type == SOCK_STREAM && ::listen(fd.get(), 64) != 0))
        throw std::runtime_error(fmt::format("{} cannot serve port {}: {}", name_, port, std::strerror(errno)));
      sockets_.emplace_back(std::move(fd), type);
    }
  if (::pipe2(stop_, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  thread_ = std::thread([this] { serve(); });
}

Answers::~Answers() {
  ::close(stop_[1]);
  thread_.join();
  ::close(stop_[0]);
}

void Answers::serve() {
  std::vector<std::pair<Fd, std::string>> connections;
  for (;;) {
    std::vector<pollfd> polled{{stop_[0], POLLIN, 0}};
    for (const auto& [fd, type] : sockets_) polled.push_back({fd.get(), POLLIN, 0});
    for (const auto& [fd, peer] : connections) polled.push_back({fd.get(), POLLIN, 0});
    ::poll(polled.data(), nfds_t(polled.size()), -1);
    if (polled[0].revents) return;
    char bytes[64];
    for (size_t i = connections.size(); i-- > 0;) {
      if (!polled[1 + sockets_.size() + i].revents) continue;
      if (::recv(connections[i].first.get(), bytes, sizeof bytes, 0) <= 0) {
        connections.erase(connections.begin() + ptrdiff_t(i));
        continue;
      }
      const std::string answer = name_ + " " + connections[i].second;
      (void)!::send(connections[i].first.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    for (size_t i = 0; i < sockets_.size(); ++i) {
      if (!(polled[i + 1].revents & POLLIN)) continue;
      SocketAddress peer;
      if (sockets_[i].second == SOCK_STREAM) {
        Fd connection(::accept4(sockets_[i].first.get(), peer.get(), &peer.size, SOCK_CLOEXEC));
        if (connection) connections.emplace_back(std::move(connection), to_string(peer.endpoint().ip));
      } else if (::recvfrom(sockets_[i].first.get(), bytes, sizeof bytes, MSG_DONTWAIT, peer.get(), &peer.size) >= 0) {
        const std::string answer = name_ + " " + to_string(peer.endpoint().ip);
        ::sendto(sockets_[i].first.get(), answer.data(), answer.size(), 0, peer.get(), peer.size);
      }
    }
  }
}

Asker::Asker(const Ns& ns, Way way, const Ip& to, uint16_t port, std::optional<Ip> from, uint16_t from_port)
    : fd_(open_socket(ns, to.family(), way == Way::Tcp ? SOCK_STREAM : SOCK_DGRAM)) {
  if (from || from_port) {
    SocketAddress address({from.value_or(any(to.family())), from_port});
    if (::bind(fd_.get(), address.get(), address.size) != 0) error_ = word_for(errno);
  }
  SocketAddress address({to, port});
  if (error_.empty() && ::connect(fd_.get(), address.get(), address.size) != 0) error_ = word_for(errno);
}

std::string Asker::ask() {
  if (!error_.empty()) return error_;
  // Refused in the output hook: send() says EPERM, and the refusal waits at the socket.
  if (::send(fd_.get(), "x", 1, MSG_NOSIGNAL) < 0 && errno != EPERM) return word_for(errno);
  char answer[128];
  const ssize_t count = ::recv(fd_.get(), answer, sizeof answer, 0);
  if (count == 0) return "closed";
  return count < 0 ? word_for(errno) : std::string(answer, size_t(count));
}

std::string ask(const Ns& ns, Way way, const Ip& to, uint16_t port, std::optional<Ip> from) {
  return Asker(ns, way, to, port, from).ask();
}

}  // namespace causeway::test
