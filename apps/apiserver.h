// `causeway apiserver`: the embedded API server, for one machine without a cluster.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"

namespace CLI {
class App;
}

namespace causeway::apps {

struct ApiserverOptions {
  std::string data = "/var/lib/causeway/apiserver";
  std::vector<std::string> listen;  // "ADDRESS:PORT", "fd:3" (inherited, listening); empty: 127.0.0.1:6443
  std::vector<std::string> sans;    // more names and addresses of the certificate
  // "[USER@]FILE=URL": files to write, for people and components; the user is "admin" where none is named. Empty:
  // admin.kubeconfig in the data directory, with the URL of the first listener.
  std::vector<std::string> kubeconfigs;
  std::vector<Cidr> service_ranges;                        // one for each family, the default family first
  std::pair<uint16_t, uint16_t> node_ports{30000, 32767};  // first, last
  bool verbose = false;
};

// Adds `apiserver` with its flags; parsing it fills `options`. Returns the subcommand.
CLI::App* add_apiserver_command(CLI::App& program, ApiserverOptions& options);
// Runs until SIGTERM or SIGINT; the exit status.
int run_apiserver(ApiserverOptions options);

}  // namespace causeway::apps
