// `causeway dns`: cluster DNS of one node.
#pragma once

#include <functional>
#include <string>

#include "dns/nameserver.h"

namespace CLI {
class App;
}

namespace causeway::apps {

struct DnsOptions {
  std::string corefile;                          // "": the built-in one
  std::string cluster_domain = "cluster.local";  // of the built-in one
  std::string upstream = "/etc/resolv.conf";     // the same
  std::vector<std::string> listen = {"0.0.0.0"};
  uint32_t port = 0;                                            // 0: the Corefile's
  uint32_t workers = 0;                                         // 0: one for each CPU
  std::vector<std::string> transfer_to;                         // CIDRs
  std::string feed = "/run/causeway/dns.sock";                  // of the agent; "": none
  std::string snapshot = "/var/lib/causeway/dns.snapshot";      // "": none
  std::string observe = "unix:/run/causeway/dns-observe.sock";  // "": none
  bool verbose = false;
};

// Adds `dns`, with its flags, and `dns lookup`. Parsing `dns` alone chooses the server.
void add_dns_command(CLI::App& program, std::function<int()>& chosen);
// Runs until SIGTERM or SIGINT; the exit status.
int run_dns(DnsOptions options);

}  // namespace causeway::apps
