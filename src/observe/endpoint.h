// What a process shows of itself over HTTP: /metrics, /healthz, /readyz and pages of plain text.
#pragma once

#include "http/message.h"
#include "observe/metrics.h"

namespace causeway::observe {

// Answers "" while all is well, else the reason, in one sentence.
struct Check {
  std::string name;
  std::function<std::string()> trouble;
};

// GET only. /healthz: the loop turns. /readyz: 200 when every check is well, else 503; both list the checks, one a
// line, as Kubernetes' components do ("[+]feed ok", "[-]feed failed: reason").
class Endpoint final : public http::Handler {
 public:
  // Which pages: Public has no names of Pods or addresses of theirs in it and may stand on a TCP port; All is for the
  // Unix socket that only root opens.
  enum class Audience { Public, All };
  explicit Endpoint(Audience audience) : audience_(audience) {}

  void add(Collector collector) { collectors_.push_back(std::move(collector)); }
  void add(Check check) { checks_.push_back(std::move(check)); }
  // Text at `path` ("/tables"); shown to Audience::All.
  void add_page(std::string path, std::function<std::string()> text) { pages_[std::move(path)] = std::move(text); }

  // The same of a page that is asked something: "/services/trace?from=10.0.0.1".
  // An error is answered by 400 (Invalid), 404 (NotFound) or 503, and named in the header Causeway-Error.
  using Query = std::function<std::string_view(std::string_view name)>;  // "" where it is not said
  void add_page(std::string path, std::function<Result<std::string>(const Query&)> text) {
    asked_[std::move(path)] = std::move(text);
  }

  // The same of a page that asks the kernel first, off the loop.
  void add_page(std::string path, std::function<Task<Result<std::string>>(http::Target)> text) {
    awaited_[std::move(path)] = std::move(text);
  }

  // All but the awaited pages.
  http::Response answer(const http::Request& request) const;
  Task<Status> serve(http::Request request, http::ResponseWriter& writer) override;

 private:
  Audience audience_;
  std::vector<Collector> collectors_;
  std::vector<Check> checks_;
  std::map<std::string, std::function<std::string()>> pages_;
  std::map<std::string, std::function<Result<std::string>(const Query&)>> asked_;
  std::map<std::string, std::function<Task<Result<std::string>>(http::Target)>> awaited_;
};

}  // namespace causeway::observe
