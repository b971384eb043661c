// The servers of healthCheckNodePorts: one port for each Service, on the addresses that serve node ports.
#pragma once

#include "service/options.h"
#include "service/proxy/handlers.h"
#include "service/proxy/listening.h"

namespace causeway::service::proxy {

class CheckServers {
 public:
  // Borrows loop and state. `failed`: a Service's port cannot be listened on, and why; said once for each reason.
  using Failed = std::function<void(const cluster::ServiceKey&, uint16_t port, const Error&)>;
  CheckServers(Loop& loop, const State& state, Options options, Failed failed);

  // Brings the servers to the rows; those that stay are left alone.
  void sync(const Desired& desired);
  // "30123 default/web 2 local endpoints on 10.0.0.1,fd00::1", a line each, and what is wrong.
  std::string render() const;

 private:
  struct Check {
    std::unique_ptr<CheckHandler> handler;  // outlives its servers
    std::map<Ip, std::unique_ptr<Listening>> at;
  };
  std::set<Ip> addresses(const Desired& desired) const;

  Loop& loop_;
  const State& state_;
  Options options_;
  Failed failed_;
  std::map<uint16_t, Check> checks_;
};

}  // namespace causeway::service::proxy
