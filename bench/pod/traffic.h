// Traffic between two Pods, as their applications see it.
#pragma once

#include <string>

namespace causeway::bench {

// Payload bits per second that arrive at `address` (IPv4, of the namespace `server`) from `client` over one TCP
// connection, counted behind the first half second and for `seconds`.
double tcp_rate(int client, int server, const std::string& address, double seconds);

// Microseconds of a request and its answer of one byte each over TCP: the median of `rounds`.
double round_trip(int client, int server, const std::string& address, int rounds);

}  // namespace causeway::bench
