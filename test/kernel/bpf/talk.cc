#include "talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "address.h"

namespace causeway::test {

namespace {

Ip any(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

Fd make(const Ns& ns, Family family, int type, int protocol = 0) {
  In in(ns);
  Fd fd(::socket(family == Family::V4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, protocol));
  int on = 1;
  timeval patience{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  return fd;
}

// A client's port that no conversation of this process had: the kernel takes one at random, at times one of which the
// plane still knows a flow to another endpoint, as it should.
uint16_t fresh_port() {
  constexpr uint16_t kFirst = 33000, kLast = 60000;  // of the range from which the kernel takes them
  static uint16_t next = kFirst;
  return next = next == kLast ? kFirst : static_cast<uint16_t>(next + 1);
}

bool readable(int fd, std::chrono::milliseconds patience, short events = POLLIN) {
  pollfd poll{.fd = fd, .events = events, .revents = 0};
  return ::poll(&poll, 1, static_cast<int>(patience.count())) == 1;
}

// Pushes `bytes` from one end to the other, reading as they come.
std::string push(int from, int to, size_t bytes) {
  std::string chunk(64 * 1024, 'x');
  size_t sent = 0, received = 0;
  while (received < bytes) {
    if (sent < bytes) {
      ssize_t n = ::send(from, chunk.data(), std::min(chunk.size(), bytes - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0)
        sent += static_cast<size_t>(n);
      else if (errno != EAGAIN)
        return fmt::format("send: {}", std::strerror(errno));
    }
    bool wait = sent == bytes || errno == EAGAIN;
    if (!readable(to, wait ? std::chrono::seconds(2) : std::chrono::seconds(0))) {
      if (wait) return fmt::format("{} of {} bytes arrived", received, bytes);
      continue;
    }
    ssize_t n = ::recv(to, chunk.data(), chunk.size(), MSG_DONTWAIT);
    // poll(2) may call ready what is not (its page says so): then it is asked again.
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) return fmt::format("receive: {}", n ? std::strerror(errno) : "closed");
    received += static_cast<size_t>(n);
  }
  return "";
}

}  // namespace

Fd tcp_listener(const Ns& ns, Ip bind_to, uint16_t port) {
  Fd fd = make(ns, bind_to.family(), SOCK_STREAM);
  Address address(bind_to, port);
  if (::bind(fd.get(), address.get(), address.length) || ::listen(fd.get(), 64)) return Fd();
  return fd;
}

Fd tcp_connect(const Ns& ns, Ip address, uint16_t port, uint16_t from_port) {
  Fd fd = make(ns, address.family(), SOCK_STREAM);
  if (from_port) {
    Address from(any(address.family()), from_port);
    if (::bind(fd.get(), from.get(), from.length)) return Fd();
  }
  Address to(address, port);
  if (::connect(fd.get(), to.get(), to.length)) return Fd();
  return fd;
}

Seen talk_tcp(const Ns& client, const Ns& server, Ip address, uint16_t port, size_t bytes, uint16_t from_port,
              uint16_t at_port) {
  Fd listener = tcp_listener(server, any(address.family()), at_port ? at_port : port);
  if (!listener) return {.error = fmt::format("listen: {}", std::strerror(errno))};
  Fd ours = tcp_connect(client, address, port, from_port ? from_port : fresh_port());
  if (!ours) return {.error = fmt::format("connect: {}", std::strerror(errno))};
  Address peer;
  peer.length = sizeof(peer.storage);
  Fd theirs(::accept(listener.get(), peer.get(), &peer.length));
  if (!theirs) return {.error = fmt::format("accept: {}", std::strerror(errno))};
  Seen seen{.error = push(ours.get(), theirs.get(), bytes), .client = peer.endpoint()};
  if (seen.ok()) seen.error = push(theirs.get(), ours.get(), bytes);
  return seen;
}

Fd udp_socket(const Ns& ns, Ip bind_to, uint16_t port) {
  Fd fd = make(ns, bind_to.family(), SOCK_DGRAM);
  Address address(bind_to, port);
  if (::bind(fd.get(), address.get(), address.length)) return Fd();
  return fd;
}

bool send_udp(const Fd& socket, Ip to, uint16_t port, const std::string& payload) {
  Address address(to, port);
  return ::sendto(socket.get(), payload.data(), payload.size(), 0, address.get(), address.length) ==
         static_cast<ssize_t>(payload.size());
}

std::optional<Datagram> receive_udp(const Fd& socket, std::chrono::milliseconds patience) {
  if (!readable(socket.get(), patience)) return std::nullopt;
  std::string payload(70000, 0);
  Address from;
  from.length = sizeof(from.storage);
  ssize_t n = ::recvfrom(socket.get(), payload.data(), payload.size(), 0, from.get(), &from.length);
  if (n < 0) return std::nullopt;
  payload.resize(static_cast<size_t>(n));
  return Datagram{std::move(payload), from.endpoint()};
}

Seen talk_udp(const Ns& client, const Ns& server, Ip address, uint16_t port, size_t bytes, uint16_t from_port,
              uint16_t at_port) {
  Fd theirs = udp_socket(server, any(address.family()), at_port ? at_port : port);
  Fd ours = udp_socket(client, any(address.family()), from_port ? from_port : fresh_port());
  if (!theirs || !ours) return {.error = fmt::format("bind: {}", std::strerror(errno))};
  std::string payload(bytes, 'u');
  for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<char>(i);
  if (!send_udp(ours, address, port, payload)) return {.error = fmt::format("send: {}", std::strerror(errno))};
  auto request = receive_udp(theirs);
  if (!request) return {.error = "the request did not arrive"};
  if (request->payload != payload) return {.error = "the request arrived damaged"};
  if (!send_udp(theirs, request->from.ip, request->from.port, payload))
    return {.error = fmt::format("answer: {}", std::strerror(errno))};
  auto reply = receive_udp(ours);
  if (!reply) return {.error = "the reply did not arrive", .client = request->from};
  if (reply->payload != payload) return {.error = "the reply arrived damaged", .client = request->from};
  if (reply->from != Endpoint{address, port})
    return {.error = "the reply came from " + to_string(reply->from), .client = request->from};
  return {.error = "", .client = request->from};
}

bool ping(const Ns& client, Ip address, uint16_t id, size_t bytes) {
  bool v4 = address.is_v4();
  Fd fd = make(client, address.family(), SOCK_DGRAM,
               v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6));
  if (id) {
    Address from(any(address.family()), id);
    if (::bind(fd.get(), from.get(), from.length)) return false;
  }
  Address to(address, 0);
  if (::connect(fd.get(), to.get(), to.length)) return false;
  std::string message(8 + bytes, 'p');
  std::memset(message.data(), 0, 8);
  message[0] = static_cast<char>(v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
  message[7] = 1;
  if (::send(fd.get(), message.data(), message.size(), 0) < 0) return false;
  std::string answer(message.size() + 100, 0);
  ssize_t n = ::recv(fd.get(), answer.data(), answer.size(), 0);
  return n == static_cast<ssize_t>(message.size()) && answer.substr(8, bytes) == message.substr(8);
}

void want_errors(const Fd& socket, Family family) {
  int on = 1;
  if (family == Family::V4)
    ::setsockopt(socket.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
  else
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
}

std::optional<IcmpError> receive_error(const Fd& socket, std::chrono::milliseconds patience) {
  if (!readable(socket.get(), patience, 0)) return std::nullopt;  // POLLERR is always reported
  char payload[2048], control[512];
  iovec data{payload, sizeof(payload)};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (::recvmsg(socket.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return std::nullopt;
  for (auto* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    bool v4 = header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR;
    bool v6 = header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR;
    if (!v4 && !v6) continue;
    sock_extended_err error;
    std::memcpy(&error, CMSG_DATA(header), sizeof(error));
    Address from;
    std::memcpy(&from.storage, SO_EE_OFFENDER(reinterpret_cast<sock_extended_err*>(CMSG_DATA(header))),
                v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    return IcmpError{.error = static_cast<int>(error.ee_errno), .info = error.ee_info, .from = from.endpoint().ip};
  }
  return std::nullopt;
}

int pending_error(const Fd& socket, std::chrono::milliseconds patience) {
  auto error = receive_error(socket, patience);
  return error ? error->error : 0;
}

bool send_frame(const Ns& ns, const std::string& device, const std::string& frame) {
  In in(ns);
  Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(ifindex(ns, device));
  to.sll_halen = 6;
  return ::sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)) ==
         static_cast<ssize_t>(frame.size());
}

}  // namespace causeway::test
