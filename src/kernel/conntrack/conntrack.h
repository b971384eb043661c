// The door to the connections that the kernel tracks in one network namespace: to find those that still go where they
// may not, to end them, and to make known those that somebody else translated until now.
//
//   for (const auto& flow : TRY(conntrack->flows({.family = Family::V4, .protocol = IPPROTO_UDP, .port = 53})))
//     TRY(conntrack->remove(flow));
//
// Calls block; listing costs about 1 us for each tracked connection, whatever the filter. One thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "base/ip.h"

namespace causeway::conntrack {

// One direction of a connection.
struct Tuple {
  Endpoint source, destination;
  auto operator<=>(const Tuple&) const = default;
};

struct Flow {
  // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP. Of IPPROTO_ICMP and IPPROTO_ICMPV6 the source's port is the id, the
  // destination's the type and code.
  uint8_t protocol = 0;
  Tuple original;         // as the first packet came in
  Tuple reply;            // as the answer comes; differs from the original turned round where NAT is at work
  bool replied = false;   // packets of both directions were seen
  uint8_t tcp_state = 0;  // TCP_CONNTRACK_* of linux/netfilter/nf_conntrack_tcp.h
  uint32_t timeout = 0;   // seconds until the kernel forgets it, if nothing comes
  auto operator<=>(const Flow&) const = default;
};
std::string to_string(const Flow& flow);  // "udp 10.0.0.9:4711 -> 10.0.0.1:53 answered by 10.1.0.5:53"

// Flows whose first packet went to this port, of one family.
struct Filter {
  Family family = Family::V4;
  uint8_t protocol = 0;  // 0: any that a Flow can be of
  uint16_t port = 0;     // 0: any
};

class Conntrack {
 public:
  virtual ~Conntrack() = default;
  virtual Result<std::vector<Flow>> flows(Filter filter) = 0;
  // The kernel forgets it: the next packet is a first one. One that ended meanwhile is no error.
  virtual Status remove(const Flow& flow) = 0;
  // The kernel knows and translates it from now on, as if it had seen its packets: reply differs from the original
  // turned round where NAT is wanted. TCP segments of it are never out of window. AlreadyExists: it, or another one
  // with one of its tuples, is tracked. Exhausted: the table is full.
  virtual Status create(const Flow& flow) = 0;
};

// A socket in the caller's namespace.
Result<std::unique_ptr<Conntrack>> open_conntrack();
// In the namespace behind `netns_fd` (borrowed, needed only during the call).
Result<std::unique_ptr<Conntrack>> open_conntrack_in(int netns_fd);

}  // namespace causeway::conntrack
