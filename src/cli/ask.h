// Many small questions at once from inside one network namespace.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace causeway::cli {

// The body of GET / of each endpoint, or why there is none. All at once; blocks for at most `limit_ms`.
std::vector<Result<std::string>> ask_http(int netns_fd, const std::vector<Endpoint>& targets, int limit_ms);
// The answer to a datagram. Sent again every 200 ms until there is one.
std::vector<Result<std::string>> ask_udp(int netns_fd, const std::vector<Endpoint>& targets, int limit_ms);

// A listening socket inside a namespace. Port 0: any.
Result<Fd> listen_in(int netns_fd, const Endpoint& at);
Result<Endpoint> local_endpoint(int fd);
// Connects to each and closes; Ok when the connection was made.
std::vector<Status> knock(int netns_fd, const std::vector<Endpoint>& targets, int limit_ms);
// The sources of the connections that wait on a listening socket.
std::vector<Ip> callers(int listening_fd);

}  // namespace causeway::cli
