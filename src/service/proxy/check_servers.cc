#include "service/proxy/check_servers.h"

#include <algorithm>

namespace causeway::service::proxy {

CheckServers::CheckServers(Loop& loop, const State& state, Options options, Failed failed)
    : loop_(loop), state_(state), options_(std::move(options)), failed_(std::move(failed)) {}

// Where node ports are served; loopback only where the operator named it, though the node itself may use node ports
// there: who balances load comes from outside.
std::set<Ip> CheckServers::addresses(const Desired& desired) const {
  if (!options_.node_ports_on_primary && options_.node_port_addresses.empty()) return {Ip()};
  std::set<Ip> out;
  for (const auto& [ip, row] : desired.node_addresses.rows()) {
    const bool named = std::ranges::any_of(options_.node_port_addresses, [&](const Cidr& c) { return c.contains(ip); });
    if (row.value.node_ports && (named || !ip.is_loopback())) out.insert(ip);
  }
  return out;
}

void CheckServers::sync(const Desired& desired) {
  std::erase_if(checks_, [&](const auto& check) { return !desired.health_checks.find(check.first); });
  if (desired.health_checks.rows().empty()) return;
  const std::set<Ip> where = addresses(desired);
  for (const auto& [port, row] : desired.health_checks.rows()) {
    Check& check = checks_[port];
    if (!check.handler) check.handler = std::make_unique<CheckHandler>(loop_, state_);
    check.handler->set(row.value);
    std::erase_if(check.at, [&](const auto& server) { return !where.contains(server.first); });
    for (const Ip& ip : where)
      if (!check.at.contains(ip))
        check.at[ip] =
            std::make_unique<Listening>(loop_, Endpoint{ip, port}, *check.handler,
                                        [this, port = port, handler = check.handler.get()](const Error& error) {
                                          failed_(handler->check().service, port, error);
                                        });
  }
}

std::string CheckServers::render() const {
  std::string out;
  for (const auto& [port, check] : checks_) {
    std::string where, wrong;
    for (const auto& [ip, server] : check.at) {
      where += fmt::format("{}{}", where.empty() ? "" : ",", ip.is_unspecified() ? "every address" : to_string(ip));
      if (!server->trouble().empty()) wrong += "  " + server->trouble() + "\n";
    }
    out += fmt::format("{} {} {} local endpoints on {}\n{}", port, to_string(check.handler->check().service),
                       check.handler->check().local_endpoints, where, wrong);
  }
  return out;
}

}  // namespace causeway::service::proxy
