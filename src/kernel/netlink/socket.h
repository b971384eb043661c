// A blocking NETLINK_ROUTE socket: requests out, acknowledgements and dumps in.
#pragma once

#include <linux/netlink.h>

#include <functional>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::netlink {

class Socket {
 public:
  static Result<Socket> open();

  uint32_t next_sequence() { return ++sequence_; }
  Status send(std::string_view bytes);
  // Reads until `wanted` messages with a sequence in [first, last] were answered, each by an NLMSG_ERROR (0 is an
  // acknowledgement) or the end of a dump. `on_message` sees data messages, `on_end` each answer: its sequence, errno
  // (0: done) and the kernel's own words. `interrupted` tells that a dump saw a table that changed meanwhile.
  struct Answers {
    std::function<void(const nlmsghdr*)> on_message;
    std::function<void(uint32_t sequence, int error, std::string words)> on_end;
    bool interrupted = false;
  };
  Status receive(uint32_t first, uint32_t last, Answers& answers);

 private:
  explicit Socket(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  uint32_t sequence_ = 0;
};

}  // namespace causeway::netlink
