// A blocking netlink socket, of rtnetlink or of netfilter: requests out, acknowledgements and dumps in.
#pragma once

#include <linux/netlink.h>

#include <functional>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::netlink {

class Socket {
 public:
  // NETLINK_ROUTE or NETLINK_NETFILTER, in the caller's namespace.
  static Result<Socket> open(int protocol = NETLINK_ROUTE);

  uint32_t next_sequence() { return ++sequence_; }
  // Who we are to the kernel; notifications carry it of the one who caused them.
  uint32_t port() const { return port_; }
  int fd() const { return fd_.get(); }
  // All of it or an error. Grows the send buffer to what it takes.
  Status send(std::string_view bytes);
  // Reads until `wanted` messages with a sequence in [first, last] were answered, each by an NLMSG_ERROR (0 is an
  // acknowledgement) or the end of a dump. `on_message` sees data messages, `on_end` each answer: its sequence, errno
  // (0: done) and the kernel's own words. `interrupted` tells that a dump saw a table that changed meanwhile.
  struct Answers {
    std::function<void(const nlmsghdr*)> on_message;
    std::function<void(uint32_t sequence, int error, std::string words)> on_end;
    bool interrupted = false;
    uint32_t offset = 0;  // while on_end runs: of the attribute that was refused, in the request; 0: not told
  };
  Status receive(uint32_t first, uint32_t last, Answers& answers);
  // Reads the answers that are there, without waiting: netfilter has answered a batch when send() returns. ENOBUFS
  // (some were dropped) is an error of code Exhausted.
  Status receive_ready(uint32_t first, uint32_t last, Answers& answers);

 private:
  Socket(Fd fd, uint32_t port) : fd_(std::move(fd)), port_(port) {}
  Fd fd_;
  uint32_t port_;
  uint32_t sequence_ = 0;
  size_t send_buffer_ = 0;
};

}  // namespace causeway::netlink
