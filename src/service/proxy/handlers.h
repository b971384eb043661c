// What kube-proxy's servers answer (pkg/proxy/healthcheck and cmd/kube-proxy of 1.36), byte for byte where others parse
// it. Pure but for the clock of the loop.
#pragma once

#include <functional>

#include "http/message.h"
#include "service/proxy/state.h"

namespace causeway::service::proxy {

// /healthz and /livez of port 10256. Load balancers ask /healthz: it also fails when the node leaves (KEP-3836).
class HealthHandler final : public http::Handler {
 public:
  // Borrows both. `eligible`: this Node exists and does not leave.
  HealthHandler(Loop& loop, State& state, std::function<bool()> eligible)
      : loop_(loop), state_(state), eligible_(std::move(eligible)) {}
  http::Response answer(const http::Request& request);
  Task<Status> serve(http::Request request, http::ResponseWriter& writer) override;

 private:
  Loop& loop_;
  State& state_;
  std::function<bool()> eligible_;
};

// A healthCheckNodePort: any path. It ignores whether the node leaves.
class CheckHandler final : public http::Handler {
 public:
  CheckHandler(Loop& loop, const State& state) : loop_(loop), state_(state) {}
  void set(HealthCheck check) { check_ = std::move(check); }
  const HealthCheck& check() const { return check_; }
  http::Response answer() const;
  Task<Status> serve(http::Request request, http::ResponseWriter& writer) override;

 private:
  Loop& loop_;
  const State& state_;
  HealthCheck check_;
};

// Port 10249: pages by path, of which all but ours are kube-proxy's (docs/kube-proxy.md).
class StatusHandler final : public http::Handler {
 public:
  struct Page {
    std::string type;
    std::function<std::string()> text;
  };
  void add(std::string path, Page page) { pages_[std::move(path)] = std::move(page); }
  http::Response answer(const http::Request& request) const;
  Task<Status> serve(http::Request request, http::ResponseWriter& writer) override;

 private:
  std::map<std::string, Page> pages_;
};

}  // namespace causeway::service::proxy
