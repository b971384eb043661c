// Who answers what is asked at an address of cluster DNS: a process of the node itself, or one of another node.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "address.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

inline constexpr uint16_t kDns = 53;

// The cluster DNS Service of these tests, and what NodeLocal DNSCache has.
inline Ip dns_ip(Family family) { return Ip::parse(family == Family::V4 ? "10.96.0.10" : "fd00:96::a").value(); }
inline Ip link_local() { return Ip::parse("169.254.20.10").value(); }

// A process that listens at one address, whether the node has it or not.
struct Process {
  Fd udp, tcp;
  Process() = default;
  Process(const Ns& ns, const Ip& at) {
    In in(ns);
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
      Fd fd(::socket(at.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
      const int on = 1;
      ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      ::setsockopt(fd.get(), at.is_v4() ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, at.is_v4() ? IP_FREEBIND : IPV6_FREEBIND,
                   &on, sizeof on);
      Address address(at, kDns);
      if (::bind(fd.get(), address.get(), address.length) || (type == SOCK_STREAM && ::listen(fd.get(), 16))) return;
      (type == SOCK_DGRAM ? udp : tcp) = std::move(fd);
    }
  }
};

// Both may be asked at any time.
struct Processes {
  Process here, there;

  // Sends a datagram by a connected socket; who got it and whom it saw, once the answer is back: "here 10.244.1.1".
  // "nobody": it came to neither; "unanswered ...": its answer did not come back.
  std::string ask(const Fd& client, std::chrono::milliseconds patience = std::chrono::seconds(2)) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size);  // of the question before
    if (::send(client.get(), "?", 1, MSG_NOSIGNAL) != 1) return fmt::format("send: {}", std::strerror(errno));
    pollfd polled[2] = {{here.udp.get(), POLLIN, 0}, {there.udp.get(), POLLIN, 0}};
    if (::poll(polled, 2, static_cast<int>(patience.count())) <= 0) return "nobody";
    const bool own = polled[0].revents & POLLIN;
    const Fd& server = own ? here.udp : there.udp;
    char octet;
    Address from;
    from.length = sizeof(from.storage);
    if (::recvfrom(server.get(), &octet, 1, MSG_DONTWAIT, from.get(), &from.length) != 1) return "nobody";
    std::string who = fmt::format("{} {}", own ? "here" : "there", from.endpoint().ip);
    ::sendto(server.get(), "!", 1, 0, from.get(), from.length);
    pollfd back{client.get(), POLLIN, 0};
    if (::poll(&back, 1, 2000) <= 0 || ::recv(client.get(), &octet, 1, MSG_DONTWAIT) != 1) return "unanswered " + who;
    return who;
  }
  // Of a TCP connection that is open already: its other end, an octet there and back.
  struct Stream {
    Fd client, server;
    std::string who;
    bool echoes() const {
      char octet;
      pollfd at{server.get(), POLLIN, 0}, back{client.get(), POLLIN, 0};
      return ::send(client.get(), "?", 1, MSG_NOSIGNAL) == 1 && ::poll(&at, 1, 2000) == 1 &&
             ::recv(server.get(), &octet, 1, 0) == 1 && ::send(server.get(), "!", 1, MSG_NOSIGNAL) == 1 &&
             ::poll(&back, 1, 2000) == 1 && ::recv(client.get(), &octet, 1, 0) == 1;
    }
  };
  Stream connect(const Ns& client, const Ip& to) {
    Stream out{.client = tcp_connect(client, to, kDns), .server = {}, .who = "nobody"};
    if (!out.client) return out;
    pollfd polled[2] = {{here.tcp.get(), POLLIN, 0}, {there.tcp.get(), POLLIN, 0}};
    if (::poll(polled, 2, 2000) <= 0) return out;
    const bool own = polled[0].revents & POLLIN;
    out.server = Fd(::accept((own ? here : there).tcp.get(), nullptr, nullptr));
    out.who = own ? "here" : "there";
    return out;
  }
};

// A connected UDP socket, as resolvers have.
inline Fd asker(const Ns& ns, const Ip& to) {
  Fd fd = udp_socket(ns, to.is_v4() ? Ip() : Ip::parse("::").value(), 0);
  Address address(to, kDns);
  if (::connect(fd.get(), address.get(), address.length)) return Fd();
  return fd;
}

}  // namespace causeway::test
