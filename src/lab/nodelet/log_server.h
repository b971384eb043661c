// The nodelet's HTTP endpoint: GET /containerLogs/NAMESPACE/POD/CONTAINER?follow&previous&tailLines&limitBytes, as the
// API server asks a kubelet; GET /healthz.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "http/server.h"

namespace causeway::lab {

struct LogFile {
  std::string path;
  bool running = false;  // more may come
};

class LogHandler final : public http::Handler {
 public:
  // Errors of `find` are answered as 404 or 400 with their message.
  using Find = std::function<Result<LogFile>(const std::string& ns, const std::string& pod,
                                             const std::string& container, bool previous)>;
  LogHandler(Loop& loop, Find find) : loop_(loop), find_(std::move(find)) {}
  Task<Status> serve(http::Request request, http::ResponseWriter& writer) override;

 private:
  Task<Status> follow(std::string ns, std::string pod, std::string container, LogFile file, off_t at,
                      http::ResponseWriter& writer);

  Loop& loop_;
  Find find_;
};

// Where the last `lines` lines of the text begin.
size_t tail_offset(std::string_view text, long lines);

}  // namespace causeway::lab
