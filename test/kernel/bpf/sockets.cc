#include "sockets.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "kernel/bpf/pins.h"

namespace causeway::test {

namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);
  Address() = default;
  Address(Endpoint at, bool mapped) {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    auto& in6 = reinterpret_cast<sockaddr_in6&>(storage);
    if (at.ip.is_v4() && !mapped) {
      in.sin_family = AF_INET;
      in.sin_port = htons(at.port);
      std::memcpy(&in.sin_addr, at.ip.bytes().data(), 4);
      length = sizeof(in);
      return;
    }
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(at.port);
    length = sizeof(in6);
    if (at.ip.is_v4()) {
      in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
      std::memcpy(in6.sin6_addr.s6_addr + 12, at.ip.bytes().data(), 4);
    } else {
      std::memcpy(&in6.sin6_addr, at.ip.bytes().data(), 16);
    }
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  Endpoint endpoint() const {
    if (storage.ss_family == AF_INET) {
      auto& in = reinterpret_cast<const sockaddr_in&>(storage);
      return {Ip::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
    }
    auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
    return unmapped({Ip::v6(std::span<const uint8_t, 16>(in6.sin6_addr.s6_addr, 16)), ntohs(in6.sin6_port)});
  }
};

bool is_readable(int fd, std::chrono::milliseconds patience, short events = POLLIN) {
  pollfd poll{.fd = fd, .events = events, .revents = 0};
  return ::poll(&poll, 1, static_cast<int>(patience.count())) == 1;
}

}  // namespace

Endpoint unmapped(const Endpoint& endpoint) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const auto bytes = endpoint.ip.bytes();
  if (endpoint.ip.is_v4() || std::memcmp(bytes.data(), kMapped, sizeof(kMapped)) != 0) return endpoint;
  return {Ip::v4(std::span<const uint8_t, 4>(bytes.data() + 12, 4)), endpoint.port};
}

Fd open_socket(const Ns& ns, int type, Family family, bool mapped) {
  In in(ns);
  return Fd(::socket(family == Family::V4 && !mapped ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
}

Dialled dial(const Ns& ns, int type, Endpoint to, bool mapped) {
  Dialled result{.fd = open_socket(ns, type | SOCK_NONBLOCK, to.ip.family(), mapped)};
  Address address(to, mapped);
  if (::connect(result.fd.get(), address.get(), address.length)) result.error = errno;
  if (result.error == EINPROGRESS && is_readable(result.fd.get(), std::chrono::milliseconds(200), POLLOUT)) {
    socklen_t size = sizeof(result.error);
    ::getsockopt(result.fd.get(), SOL_SOCKET, SO_ERROR, &result.error, &size);
  }
  if (!result.error) result.peer = peer_of(result.fd);
  return result;
}

int connect_again(const Fd& fd, Endpoint to) {
  Address address(to, false);
  return ::connect(fd.get(), address.get(), address.length) ? errno : 0;
}

Endpoint peer_of(const Fd& fd) {
  Address address;
  if (::getpeername(fd.get(), address.get(), &address.length)) return {};
  return address.endpoint();
}

Endpoint accepted(const Fd& listener, std::chrono::milliseconds patience) {
  if (!is_readable(listener.get(), patience)) return {};
  Address address;
  Fd fd(::accept(listener.get(), address.get(), &address.length));
  return fd ? address.endpoint() : Endpoint{};
}

bool send_to(const Fd& fd, Endpoint to, const std::string& payload, bool mapped) {
  Address address(to, mapped);
  return ::sendto(fd.get(), payload.data(), payload.size(), 0, address.get(), address.length) ==
         static_cast<ssize_t>(payload.size());
}

bool translated(const Node& node, const Fd& fd, uint32_t* backend) {
  auto map = bpf::open_pin(node.pins + "/maps/socket_peers");
  if (!map) return false;
  int socket = fd.get();
  abi::socket_peer peer{};
  if (bpf_map_lookup_elem(map->get(), &socket, &peer) || !peer.port) return false;
  if (backend) *backend = peer.backend;
  return true;
}

Servers::Servers(const Ns& ns, Family family, const std::vector<Endpoint>& endpoints) {
  for (const auto& at : endpoints)
    servers_.emplace_back(at.port, udp_socket(ns, Ip::parse(family == Family::V4 ? "0.0.0.0" : "::").value(), at.port));
}

Servers::Request Servers::received(std::chrono::milliseconds patience) {
  std::vector<pollfd> polls;
  for (const auto& [port, fd] : servers_) polls.push_back({.fd = fd.get(), .events = POLLIN, .revents = 0});
  if (::poll(polls.data(), polls.size(), static_cast<int>(patience.count())) < 1) return {};
  for (size_t i = 0; i < polls.size(); ++i) {
    if (!(polls[i].revents & POLLIN)) continue;
    auto datagram = receive_udp(servers_[i].second, std::chrono::milliseconds(0));
    if (datagram) return {servers_[i].first, datagram->from};
  }
  return {};
}

bool Servers::answer(const Request& request, const std::string& payload) {
  for (const auto& [port, fd] : servers_)
    if (port == request.port) return send_udp(fd, request.from.ip, request.from.port, payload);
  return false;
}

}  // namespace causeway::test
