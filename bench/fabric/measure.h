// Two ends of a conversation, each a thread in its own namespace, both on one CPU: what is measured is the work of the path,
// not the distance between cores.
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

struct Sample {
  double round_trip_us = 0;   // 1 byte there and back on an open connection; 5th percentile
  double connect_us = 0;      // connect, 1 byte, close; 5th percentile
  double us_per_megabyte = 0;   // CPU time of both ends for a bulk transfer
};

// About a tenth of a second each. Prints to stderr and exits when a path does not work: no figure is better than a wrong one.
Sample measure(const Path& path);

}  // namespace causeway::bench
