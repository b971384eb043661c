// The clients of the API bench: writers, watchers and a lister, on one loop, over HTTPS and loopback.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "async/loop.h"
#include "http/client.h"

namespace causeway::bench {

// What writes at once: kept over all rounds, so that no round pays for TLS handshakes.
using Clients = std::vector<std::unique_ptr<http::Client>>;
Clients make_clients(Loop& loop, const http::ClientOptions& options, int writers);

// Creates `count` Pods named web-FIRST and up, `writers` at once, each on a connection of its own; the writes per
// second.
Task<Result<double>> create_pods(Loop& loop, Clients& clients, int first, int count, int writers);

// The time of one list of all Pods, in milliseconds; fails when it does not hold `expected` of them.
Task<Result<double>> list_pods(Loop& loop, http::Client& api, int expected);

// `watchers` watches of ConfigMaps, each with a connection of its own; then `writes` updates, one each `pace`. For each
// watcher and write, milliseconds from before the write was sent to the arrival of its event: the way to the server,
// the sync of the disk and the way to every watcher.
Task<Result<std::vector<double>>> watch_delays(Loop& loop, const http::ClientOptions& options, int watchers, int writes,
                                               Duration pace);

}  // namespace causeway::bench
