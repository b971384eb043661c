// What the files of the server share: a question that waits, a TCP connection, a worker.
#pragma once

#include <sys/socket.h>

#include "dns/server.h"

namespace causeway::dns {

// A question that the loop's thread answers. It owns the packet that `query` lies in.
struct Server::Job {
  std::shared_ptr<const Plan> plan;
  const Site* site = nullptr;
  Bytes packet;
  Query query;
  Client client;
  size_t limit = kUdpPlain;
  uint32_t rotation = 0;
  TimePoint since;
  Forwarder* forwarder = nullptr;  // that is to be asked: no other stage had an answer
  Stage stage = Stage::None;
  int udp = -1;  // the socket that it came by
  std::shared_ptr<Connection> connection;
  std::move_only_function<void(Bytes, Stage)> done;  // instead of both
};

struct Server::Connection {
  Connection(Loop& loop, Fd socket, Client client)
      : fd(std::move(socket)), client(client), watch(loop.watch(fd.get())), room_again(loop), more(loop) {}
  Fd fd;
  Client client;
  std::unique_ptr<FdWatch> watch;
  size_t under_way = 0;
  Channel<bool> room_again;  // a question of its was answered
  Bytes out;                 // framed replies
  Channel<bool> more;        // there is something in `out`
  bool closed = false;
  std::unique_ptr<Timer> timer;
  std::list<std::shared_ptr<Connection>>::iterator place;

  void close() {
    closed = true;
    timer.reset();
    room_again.push(true);
    ::shutdown(fd.get(), SHUT_RDWR);
  }
  void send(std::span<const uint8_t> reply) {
    if (closed) return;
    out.push_back(static_cast<uint8_t>(reply.size() >> 8));
    out.push_back(static_cast<uint8_t>(reply.size()));
    out.insert(out.end(), reply.begin(), reply.end());
    more.push(true);
  }
};

// One datagram's addresses in both directions: the reply leaves from the address that was asked.
struct Datagram {
  static constexpr size_t kControl = 64;
  // Fills `control` for a reply from `from`; returns its octets.
  static size_t source(const Ip& from, std::span<uint8_t> control);
  // The address that a received datagram went to; nullopt where the kernel did not say.
  static std::optional<Ip> destination(const struct msghdr& header);
};

class Server::Worker {
 public:
  Worker(Server& server, size_t number);
  ~Worker();

 private:
  void run();
  // A batch of one socket; returns how many datagrams there were.
  size_t batch(const Socket& socket);

  static constexpr size_t kBatch = 32, kRequest = 4096, kReply = kMostMessage + 1;
  struct Buffers;
  Server& server_;
  const size_t number_;
  Fd stop_;
  std::unique_ptr<Buffers> buffers_;
  std::shared_ptr<const Plan> plan_;
  uint64_t generation_ = 0;
  uint32_t rotation_ = 0;
  std::thread thread_;
};

}  // namespace causeway::dns
