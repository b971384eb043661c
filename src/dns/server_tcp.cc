// TCP (RFC 7766): many questions of a connection at once, idle ones closed, zone transfers for peers.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/log.h"
#include "base/socket_address.h"
#include "dns/server_internal.h"

namespace causeway::dns {

namespace {
constexpr size_t kMostQueued = 1 << 20;  // octets of replies that a client has not taken: then it is not read
}

Status Server::open_tcp(Endpoint at) {
  const SocketAddress address(at);
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (at.ip.is_v6()) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
  } else {
    ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  }
  if (::bind(fd.get(), address.get(), address.size) != 0 || ::listen(fd.get(), 512) != 0)
    return fail_errno(errno, fmt::format("TCP {}: bind (does another DNS server run here?)", at));
  tcp_.push_back({std::move(fd), at});
  return ok();
}

Task<void> Server::accept(size_t index) {
  const Socket& socket = tcp_[index];
  const auto watch = loop_.watch(socket.fd.get());
  for (;;) {
    SocketAddress from;
    Fd fd(::accept4(socket.fd.get(), from.get(), &from.size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      const int error = errno;
      // No file left: one that is idle makes room, else a moment does.
      if ((error == EMFILE || error == ENFILE) && !co_await loop_.sleep(100ms)) co_return;
      if (error == EAGAIN && !co_await watch->readable()) co_return;
      continue;
    }
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    SocketAddress local;
    ::getsockname(fd.get(), local.get(), &local.size);
    auto connection = std::make_shared<Connection>(
        loop_, std::move(fd), Client{.from = from.endpoint(), .to = local.endpoint(), .tcp = true});
    connections_.push_front(connection);
    connection->place = connections_.begin();
    if (connections_.size() > options_.tcp_connections)
      for (auto idle = connections_.rbegin(); idle != connections_.rend(); ++idle)
        if (!(*idle)->closed) {
          (*idle)->close();
          break;
        }
    scope_->spawn("DNS over TCP", talk(std::move(connection)));
  }
}

Task<void> Server::talk(std::shared_ptr<Connection> connection) {
  Connection& c = *connection;
  const auto touch = [&] {
    connections_.splice(connections_.begin(), connections_, c.place);
    c.timer = loop_.call_after(options_.tcp_idle, [&c] { c.close(); });
  };
  touch();
  Scope writing(loop_);
  writing.spawn("replies over TCP", [](Connection& c) -> Task<void> {
    while (!c.closed) {
      while (!c.out.empty()) {
        const ssize_t sent = ::send(c.fd.get(), c.out.data(), c.out.size(), MSG_NOSIGNAL);
        if (sent > 0) {
          c.out.erase(c.out.begin(), c.out.begin() + sent);
          c.room_again.push(true);
        } else if (errno != EAGAIN || !co_await c.watch->writable()) {
          c.close();
          co_return;
        }
      }
      if (!co_await c.more.next()) co_return;
    }
  }(c));
  Bytes in;
  std::array<uint8_t, 16384> buffer;
  while (!c.closed) {
    // What one client has under way, and what it does not read, is bounded: then it waits.
    while (!c.closed && (c.under_way >= options_.tcp_under_way || c.out.size() > kMostQueued))
      if (!co_await c.room_again.next()) break;
    while (c.room_again.try_next()) continue;
    const size_t framed = in.size() >= 2 ? 2u + read16(in, 0) : 0;
    if (framed > 0 && in.size() >= framed) {
      Bytes packet(in.begin() + 2, in.begin() + static_cast<long>(framed));
      in.erase(in.begin(), in.begin() + static_cast<long>(framed));
      touch();
      if (!co_await take(connection, std::move(packet))) break;
      continue;
    }
    const ssize_t size = ::recv(c.fd.get(), buffer.data(), buffer.size(), 0);
    if (size > 0) {
      in.insert(in.end(), buffer.begin(), buffer.begin() + size);
      continue;
    }
    if (size == 0) {
      // It will ask no more; what it asked is still answered.
      while (!c.closed && (c.under_way > 0 || !c.out.empty()))
        if (!co_await c.room_again.next()) break;
      break;
    }
    if (errno != EAGAIN || !co_await c.watch->readable()) break;
  }
  c.close();
  connections_.erase(c.place);
}

// Fails where the connection shall end.
Task<Status> Server::take(std::shared_ptr<Connection> connection, Bytes packet) {
  Query query;
  if (parse_query(packet, query) == Verdict::Answer && query.question.type == Type::AXFR)
    co_return co_await transfer(std::move(connection), std::move(packet));
  Bytes room(kMostMessage);
  std::shared_ptr<Job> job;
  Fast fast;
  fast = this->fast(plan_, packet, connection->client, udp_.size(), loop_.now(), 0, room, job);
  switch (fast.next) {
    case Fast::Next::Send: connection->send(std::span(room).first(fast.size)); break;
    case Fast::Next::Silence: co_return fail(Errc::Invalid, "no question");
    case Fast::Next::Wait:
      ++connection->under_way;
      job->connection = std::move(connection);
      submit(std::move(job));
      break;
  }
  co_return ok();
}

Task<Status> Server::transfer(std::shared_ptr<Connection> connection, Bytes packet) {
  Query query;
  parse_query(packet, query);
  const Client& client = connection->client;
  const auto plan = plan_;
  const Site* site = plan->find(options_.port ? plan->ports().front() : client.to.port, query.question.name);
  const bool allowed =
      std::ranges::any_of(options_.transfer_to, [&](const Cidr& cidr) { return cidr.contains(client.from.ip); });
  auto transfer =
      allowed && site != nullptr && site->view ? Transfer::begin(tables_, *site->view, query) : std::nullopt;
  Bytes room(kMostMessage);
  if (!transfer) {
    connection->send(std::span(room).first(empty_reply(query, allowed ? Rcode::NotAuth : Rcode::Refused, room)));
    co_return ok();
  }
  // All at once: the tables must not change between two messages of one transfer.
  size_t octets = 0;
  for (;;) {
    const auto message = transfer->next(room);
    if (message.empty()) break;
    octets += message.size();
    connection->send(message);
  }
  log::info("zone {} transferred to {}: {} octets", to_string(query.question.name), client.from, octets);
  co_return ok();
}

}  // namespace causeway::dns
