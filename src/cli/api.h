// A lab's API, for commands: connects, runs one coroutine, returns.
#pragma once

#include <memory>
#include <string>

#include "async/scope.h"
#include "http/client.h"
#include "kube/client/client.h"
#include "lab/lifecycle.h"

namespace causeway::cli {

struct Api {
  std::unique_ptr<Loop> loop;
  std::unique_ptr<http::Client> transport;
  std::unique_ptr<kube::Client> client;
};
// Errors: NotFound when there is no such lab or its API server never came up.
Result<Api> connect_api(const std::string& lab);
// The cluster of a kubeconfig; "": as kubectl finds one, or the service account of the Pod that this is.
Result<Api> connect_kubeconfig(const std::string& path);

// "[NAMESPACE/]NAME".
kube::Ref parse_ref(const std::string& text);

}  // namespace causeway::cli
