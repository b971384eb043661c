#include "service/ipvs_kernel.h"

#include <netinet/in.h>

namespace causeway::service {
namespace {

constexpr IfIndex kLoopback{1};

netlink::Route route_of(const Ip& ip, const std::optional<Ip>& source) {
  return {.destination = host_cidr(ip),
          .type = netlink::RouteType::Local,
          .link = kLoopback,
          .table = netlink::kLocalTable,
          .source = source};
}

bool same(const netlink::Route& a, const netlink::Route& b) {
  return a.destination == b.destination && a.type == b.type && a.source == b.source;
}

bool ours(const ipvs::Held& held) { return held.service.flags & ipvs::kOurs; }

// UDP has no end that could be waited for: what is not sent any more is not missed, and the next packet of a flow whose
// endpoint is gone goes to another (expire_nodest_conn).
bool drains(const ipvs::ServiceKey& key) { return key.protocol != IPPROTO_UDP; }

}  // namespace

Status set_ipvs_sysctls(const WriteSysctl& write) {
  constexpr std::pair<const char*, const char*> kValues[] = {
      {"ipv4/vs/conntrack", "1"},
      {"ipv4/vs/expire_nodest_conn", "1"},
      {"ipv4/vs/expire_quiescent_template", "1"},
      // A client's port used again meets a new choice, without the second's delay of kernels before 5.9.
      {"ipv4/vs/conn_reuse_mode", "1"},
      {"ipv4/conf/all/arp_ignore", "1"},
      {"ipv4/conf/all/arp_announce", "2"},
  };
  for (const auto& [name, value] : kValues) TRY(write(name, value), "IPVS needs net.{} = {}", name, value);
  return ok();
}

Result<IpvsKernel::Held> IpvsKernel::observe() {
  Held held{.services = TRY(doors_.ipvs.observe(), "read the virtual services"), .bound = {}};
  const netlink::RouteFilter ours{
      .family = std::nullopt, .table = netlink::kLocalTable, .protocol = netlink::kRouteProtocol};
  for (netlink::Route& route : TRY(doors_.net.routes(ours), "read the local routes"))
    if (route.type == netlink::RouteType::Local) held.bound.emplace(route.destination.address(), std::move(route));
  return held;
}

std::vector<ipvs::Change> IpvsKernel::changes(const IpvsRows& desired) const {
  std::vector<ipvs::Change> out;
  for (const auto& [key, row] : desired.services) {
    const auto held = held_->services.find(key);
    static const std::map<Endpoint, ipvs::Destination> kNone;
    const auto& destinations = held == held_->services.end() ? kNone : held->second.destinations;
    if (held == held_->services.end())
      out.push_back(ipvs::CreateService{key, row.service});
    else if (held->second.service != row.service)
      out.push_back(ipvs::UpdateService{key, row.service});
    for (const auto& [to, weight] : row.weights) {
      const auto there = destinations.find(to);
      if (there == destinations.end())
        out.push_back(ipvs::CreateDestination{key, to, weight});
      else if (there->second.weight != weight)
        out.push_back(ipvs::UpdateDestination{key, to, weight});
    }
    for (const auto& [to, destination] : destinations) {
      if (row.weights.contains(to)) continue;
      if (!drains(key))
        out.push_back(ipvs::DeleteDestination{key, to});
      else if (destination.weight != 0)
        out.push_back(ipvs::UpdateDestination{key, to, 0});
    }
  }
  for (const auto& [key, held] : held_->services)
    if (ours(held) && !desired.services.contains(key)) out.push_back(ipvs::DeleteService{key});
  return out;
}

// What the kernel took is what it holds.
void IpvsKernel::note(const ipvs::Change& change) {
  auto& services = held_->services;
  if (const auto* c = std::get_if<ipvs::CreateService>(&change)) services[c->key].service = c->service;
  if (const auto* c = std::get_if<ipvs::UpdateService>(&change)) services[c->key].service = c->service;
  if (const auto* c = std::get_if<ipvs::DeleteService>(&change)) services.erase(c->key);
  if (const auto* c = std::get_if<ipvs::CreateDestination>(&change))
    services[c->key].destinations[c->to].weight = c->weight;
  if (const auto* c = std::get_if<ipvs::UpdateDestination>(&change))
    services[c->key].destinations[c->to].weight = c->weight;
  if (const auto* c = std::get_if<ipvs::DeleteDestination>(&change)) services[c->key].destinations.erase(c->to);
}

Result<uint64_t> IpvsKernel::bind(const IpvsRows& desired) {
  std::vector<netlink::Change> changes;
  for (const auto& [ip, source] : desired.bound) {
    const auto route = route_of(ip, source);
    const auto held = held_->bound.find(ip);
    if (held != held_->bound.end() && same(held->second, route)) continue;
    // Another source is another route to IPv4: the old one would stay.
    if (held != held_->bound.end()) changes.push_back(netlink::DeleteRoute{held->second});
    changes.push_back(netlink::PutRoute{route});
    held_->bound[ip] = route;
  }
  TRY(doors_.net.apply_all(changes), "make Service addresses local");
  return changes.size();
}

Result<uint64_t> IpvsKernel::unbind(const IpvsRows& desired) {
  std::vector<netlink::Change> changes;
  for (const auto& [ip, route] : held_->bound)
    if (!desired.bound.contains(ip)) changes.push_back(netlink::DeleteRoute{route});
  TRY(doors_.net.apply_all(changes), "let go of Service addresses");
  std::erase_if(held_->bound, [&](const auto& each) { return !desired.bound.contains(each.first); });
  return changes.size();
}

Result<IpvsKernel::Outcome> IpvsKernel::bring(const IpvsRows& desired) {
  if (!held_) held_ = TRY(observe());
  Outcome outcome;
  const auto all = changes(desired);
  // Destinations need their service: it is made in the same round, and a failure of its own is the one that is told.
  const auto results = doors_.ipvs.apply(all);
  std::set<ipvs::ServiceKey> failed;
  for (size_t i = 0; i < all.size(); ++i) {
    if (results[i]) {
      note(all[i]);
      ++outcome.writes;
      continue;
    }
    const auto& key = std::visit([](const auto& c) -> const ipvs::ServiceKey& { return c.key; }, all[i]);
    if (failed.insert(key).second) outcome.failures.emplace_back(key, results[i].error());
  }
  draining_.clear();
  for (const auto& [key, held] : held_->services)
    if (ours(held))
      for (const auto& [to, destination] : held.destinations)
        if (destination.weight == 0) draining_.emplace(key, to);
  auto bound = bind(desired);
  if (bound) outcome.writes += *bound;
  auto unbound = bound ? unbind(desired) : std::move(bound);
  if (!unbound || !outcome.failures.empty()) held_.reset();  // look again: the kernel does not hold what we thought
  outcome.writes += TRY(std::move(unbound));
  return outcome;
}

Result<size_t> IpvsKernel::drain() {
  std::set<ipvs::ServiceKey> services;
  for (const auto& [key, to] : draining_) services.insert(key);
  for (const auto& key : services) {
    const auto destinations = TRY(doors_.ipvs.destinations(key), "look at {}", key);
    std::erase_if(draining_, [&](const auto& each) {
      if (each.first != key) return false;
      const auto there = destinations.find(each.second);
      if (there != destinations.end() && there->second.weight == 0 && there->second.active + there->second.inactive > 0)
        return false;
      if (there == destinations.end() || there->second.weight != 0) return true;  // gone, or wanted again
      const ipvs::DeleteDestination change{key, each.second};
      if (!doors_.ipvs.apply_one(change)) return false;
      if (held_) note(change);
      return true;
    });
  }
  return draining_.size();
}

Result<std::vector<std::string>> IpvsKernel::differences(const IpvsRows& desired) {
  std::vector<std::string> lines;
  IpvsKernel now(doors_);
  now.held_ = TRY(observe());
  for (const auto& change : now.changes(desired)) lines.push_back(fmt::format("IPVS: missing: {}", change));
  for (const auto& [ip, source] : desired.bound) {
    const auto held = now.held_->bound.find(ip);
    if (held == now.held_->bound.end() || !same(held->second, route_of(ip, source)))
      lines.push_back(fmt::format("{} is not local", ip));
  }
  for (const auto& [ip, route] : now.held_->bound)
    if (!desired.bound.contains(ip)) lines.push_back(fmt::format("{} is local, and no Service's", ip));
  return lines;
}

}  // namespace causeway::service
