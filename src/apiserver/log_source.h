// Where the logs of containers come from: the kubelet of the Pod's node, asked at the address that its Node publishes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "apiserver/request.h"
#include "apiserver/store.h"
#include "base/ip.h"
#include "http/message.h"

namespace causeway::apiserver {

// One container's log: where, and the options of the query ("follow=true&tailLines=10").
struct LogRequest {
  std::string ns;
  std::string pod;
  std::string container;
  std::string options;
  Endpoint kubelet;
};

class LogSource {
 public:
  virtual ~LogSource() = default;
  // Answers on `writer`: the log as text/plain, or the error that it met.
  virtual Task<Status> send(LogRequest request, http::ResponseWriter& writer) = 0;
};

// GET http://NODE:PORT/containerLogs/NS/POD/CONTAINER?OPTIONS, passed on as it comes. `connect` makes a transport to
// such a URL's root.
std::unique_ptr<LogSource> make_kubelet_log_source(
    Loop& loop, std::function<std::unique_ptr<http::Transport>(std::string url)> connect);

// Which log a GET of pods/NAME/log means. Errors: 400 (no such container, not started, an option), 404, 503 (the node
// is away).
ApiResult<LogRequest> plan_log(Store& store, const Call& call);

}  // namespace causeway::apiserver
