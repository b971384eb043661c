#include "answers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace causeway::test {

namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 500'000};

struct Address {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  Address() = default;
  Address(const Ip& ip, uint16_t port) {
    if (ip.is_v4()) {
      auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
      v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
      std::memcpy(&v4.sin_addr, ip.bytes().data(), 4);
      length = sizeof v4;
    } else {
      auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
      v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
      std::memcpy(&v6.sin6_addr, ip.bytes().data(), 16);
      length = sizeof v6;
    }
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  std::string text() const {
    char out[INET6_ADDRSTRLEN] = {};
    if (storage.ss_family == AF_INET)
      ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, out, sizeof out);
    else
      ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, out, sizeof out);
    return out;
  }
};

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
      Address address(any(family), port);
      if (::bind(fd.get(), address.get(), address.length) != 0 || (type == SOCK_STREAM && ::listen(fd.get(), 64) != 0))
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
      Address peer;
      if (sockets_[i].second == SOCK_STREAM) {
        Fd connection(::accept4(sockets_[i].first.get(), peer.get(), &peer.length, SOCK_CLOEXEC));
        if (connection) connections.emplace_back(std::move(connection), peer.text());
      } else if (::recvfrom(sockets_[i].first.get(), bytes, sizeof bytes, MSG_DONTWAIT, peer.get(), &peer.length) >=
                 0) {
        const std::string answer = name_ + " " + peer.text();
        ::sendto(sockets_[i].first.get(), answer.data(), answer.size(), 0, peer.get(), peer.length);
      }
    }
  }
}

Asker::Asker(const Ns& ns, Way way, const Ip& to, uint16_t port, std::optional<Ip> from, uint16_t from_port)
    : fd_(open_socket(ns, to.family(), way == Way::Tcp ? SOCK_STREAM : SOCK_DGRAM)) {
  if (from || from_port) {
    Address address(from.value_or(any(to.family())), from_port);
    if (::bind(fd_.get(), address.get(), address.length) != 0) error_ = word_for(errno);
  }
  Address address(to, port);
  if (error_.empty() && ::connect(fd_.get(), address.get(), address.length) != 0) error_ = word_for(errno);
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
