// Two ends of a conversation, each a thread in its own namespace, both on one CPU: what is measured is the work of the
// path, not the distance between cores.
#pragma once

#include "base/ip.h"
#include "world.h"

namespace causeway::bench {

// One way through the network: who asks, who answers, at which address.
struct Path {
  const test::Ns* client = nullptr;
  const test::Ns* server = nullptr;
  Ip address;
};

// Some hundredths of a second each, smaller is better. Says on stderr what does not work and ends the process: no
// figure is better than a wrong one. Microseconds for 1 byte there and back on an open connection; 5th percentile.
double round_trip(const Path& path);
// Microseconds to connect, exchange 1 byte and close; 5th percentile.
double connect_and_close(const Path& path);
// Microseconds of CPU that both ends and all between them spend on a megabyte of a bulk transfer.
double bulk(const Path& path);

}  // namespace causeway::bench
