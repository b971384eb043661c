// UDP: a socket and a thread for each CPU, datagrams in batches.
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/socket_address.h"
#include "dns/server_internal.h"

namespace causeway::dns {

size_t Datagram::source(const Ip& from, std::span<uint8_t> control) {
  msghdr header{};
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  if (from.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, from.bytes().data(), 4);
    part->cmsg_level = IPPROTO_IP;
    part->cmsg_type = IP_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(part), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, from.bytes().data(), 16);
  part->cmsg_level = IPPROTO_IPV6;
  part->cmsg_type = IPV6_PKTINFO;
  part->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(part), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

std::optional<Ip> Datagram::destination(const msghdr& header) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&header), part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      return Ip::v4(ntohl(info.ipi_addr.s_addr));
    }
    if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      return Ip::v6(std::span<const uint8_t, 16>(reinterpret_cast<const uint8_t*>(&info.ipi6_addr), 16));
    }
  }
  return std::nullopt;
}

Status Server::open_udp(Endpoint at) {
  for (auto& sockets : udp_) {
    const SocketAddress address(at);
    Fd fd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(errno, "socket");
    const int on = 1, room = 4 << 20;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (at.ip.is_v4()) {
      ::setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
      ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
      // Large replies are cut by us, never by the path: no fragments of ours can be forged.
      const int never = IP_PMTUDISC_OMIT;
      ::setsockopt(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, &never, sizeof never);
    } else {
      ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
      ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
      ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    }
    if (::bind(fd.get(), address.get(), address.size) != 0)
      return fail_errno(errno, fmt::format("UDP {}: bind (does another DNS server run here?)", at));
    if (at.port == 0) {  // the others of this address share the port that the kernel chose
      SocketAddress bound;
      ::getsockname(fd.get(), bound.get(), &bound.size);
      at.port = bound.endpoint().port;
    }
    bound_port_ = at.port;
    sockets.push_back({std::move(fd), at});
  }
  return ok();
}

struct Server::Worker::Buffers {
  std::array<std::array<uint8_t, kRequest>, kBatch> requests;
  std::array<std::array<uint8_t, Datagram::kControl>, kBatch> in_control, out_control;
  std::array<SocketAddress, kBatch> from;
  std::array<iovec, kBatch> in_vector, out_vector;
  std::array<mmsghdr, kBatch> in, out;
  std::array<std::array<uint8_t, 4096 + 64>, kBatch> replies;  // what UDP takes at most: bufsize
  std::array<uint8_t, kMostMessage> room;                      // for one reply before it is cut
};

Server::Worker::Worker(Server& server, size_t number)
    : server_(server), number_(number), stop_(::eventfd(0, EFD_CLOEXEC)), buffers_(std::make_unique<Buffers>()) {
  thread_ = std::thread([this] { run(); });
}

Server::Worker::~Worker() {
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void Server::Worker::run() {
  const auto& sockets = server_.udp_[number_];
  Tables::Reader reader(const_cast<Tables&>(server_.tables_).epochs());
  std::vector<pollfd> polled;
  for (const Socket& socket : sockets) polled.push_back({socket.fd.get(), POLLIN, 0});
  polled.push_back({stop_.get(), POLLIN, 0});
  for (;;) {
    reader.idle();
    plan_ = generation_ == server_.generation_.load(std::memory_order_acquire) ? plan_ : nullptr;
    if (!plan_) {
      const std::lock_guard lock(server_.plan_mutex_);
      generation_ = server_.generation_.load(std::memory_order_acquire);
      plan_ = server_.plan_;
    }
    ::poll(polled.data(), polled.size(), 1000);  // the timeout lets an old plan go
    if (polled.back().revents != 0) return;
    reader.quiet();
    // A socket that always has more must not keep the others waiting for ever, nor a new plan.
    for (int round = 0; round < 16; ++round) {
      size_t most = 0;
      for (size_t i = 0; i < sockets.size(); ++i)
        if (polled[i].revents != 0) most = std::max(most, batch(sockets[i]));
      reader.quiet();
      if (most < kBatch) break;
    }
  }
}

size_t Server::Worker::batch(const Socket& socket) {
  Buffers& b = *buffers_;
  for (size_t i = 0; i < kBatch; ++i) {
    b.in_vector[i] = {b.requests[i].data(), kRequest};
    b.in[i].msg_hdr = {.msg_name = b.from[i].get(),
                       .msg_namelen = sizeof(sockaddr_storage),
                       .msg_iov = &b.in_vector[i],
                       .msg_iovlen = 1,
                       .msg_control = b.in_control[i].data(),
                       .msg_controllen = Datagram::kControl,
                       .msg_flags = 0};
  }
  const int count = ::recvmmsg(socket.fd.get(), b.in.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (count <= 0) return 0;
  const TimePoint now = server_.loop_.now();
  unsigned replies = 0;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const msghdr& header = b.in[i].msg_hdr;
    if ((header.msg_flags & MSG_TRUNC) != 0) continue;  // no question is so large
    const Client client{.from = b.from[i].endpoint(),
                        .to = {Datagram::destination(header).value_or(socket.at.ip), socket.at.port}};
    std::shared_ptr<Job> job;
    const Fast fast = server_.fast(plan_, std::span(b.requests[i]).first(b.in[i].msg_len), client, number_, now,
                                   rotation_++, b.room, job);
    if (fast.next == Fast::Next::Wait) {
      job->udp = socket.fd.get();
      server_.submit(std::move(job));
    }
    if (fast.next != Fast::Next::Send || fast.size > b.replies[replies].size()) continue;
    std::memcpy(b.replies[replies].data(), b.room.data(), fast.size);
    b.out_vector[replies] = {b.replies[replies].data(), fast.size};
    b.out[replies].msg_hdr = {.msg_name = b.from[i].get(),
                              .msg_namelen = header.msg_namelen,
                              .msg_iov = &b.out_vector[replies],
                              .msg_iovlen = 1,
                              .msg_control = b.out_control[replies].data(),
                              .msg_controllen = Datagram::source(client.to.ip, b.out_control[replies]),
                              .msg_flags = 0};
    ++replies;
  }
  for (unsigned sent = 0; sent < replies;) {
    const int done = ::sendmmsg(socket.fd.get(), b.out.data() + sent, replies - sent, 0);
    // A client that cannot be reached costs its own reply only; a full buffer is a lost packet, as on the network.
    sent += done > 0 ? static_cast<unsigned>(done) : 1;
  }
  return static_cast<size_t>(count);
}

}  // namespace causeway::dns
