#include "world_services.h"

#include <poll.h>
#include <sys/socket.h>

#include "kernel/netns/netns.h"

namespace causeway::test {

namespace {

// Same address family as bind_to: what accept() tells of the other side.
Ip peer_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length)) return {};
  if (storage.ss_family == AF_INET)
    return Ip::v4(std::span<const uint8_t, 4>(reinterpret_cast<const uint8_t*>(&storage) + 4, 4));
  return Ip::v6(std::span<const uint8_t, 16>(reinterpret_cast<const uint8_t*>(&storage) + 8, 16));
}

}  // namespace

ServiceWorld::ServiceWorld(service::XtBackend with) : backend(with) {
  {
    In in(node.ns);
    sets = value(ipset::open_ipsets());
    xtables = value(xtables::open_xtables());
    net = value(netlink::open_rtnetlink());
    rules = std::make_unique<service::XtKernel>(service::XtDoors{*sets, *xtables, workers});
    if (with == service::XtBackend::Ipvs) {
      ipvs = value(ipvs::open_ipvs());
      virtual_services = std::make_unique<service::IpvsKernel>(service::IpvsKernelDoors{*ipvs, *net});
      check(service::set_ipvs_sysctls(netns::write_sysctl));
    }
  }
  for (const auto& [near, far] : {std::pair(&world.a, &world.b), std::pair(&world.b, &world.a)})
    ip(near->ns,
       fmt::format("route replace {} via {}\nroute replace {} via {}\n", far->pods4, far->ip4, far->pods6, far->ip6));
  for (const auto& pod : node.pods) sysctl(node.ns, "ipv4/conf/" + pod->host_side + "/route_localnet", "1");
  sysctl(node.ns, "ipv4/conf/eth0/route_localnet", "1");
  // The outside sends to Services by this node, as a router would.
  for (const char* range : {"10.96.0.0/16", "203.0.113.0/24"})
    ip(outside, fmt::format("route replace {} via {}\n", range, node.ip4));
  for (const char* range : {"fd00:96::/112", "2001:db8:f::/64"})
    ip(outside, fmt::format("route replace {} via {}\n", range, node.ip6));
}

ServiceWorld& ServiceWorld::shared(service::XtBackend backend) {
  static std::map<service::XtBackend, std::unique_ptr<ServiceWorld>> worlds;
  auto& world = worlds[backend];
  if (!world) world = std::make_unique<ServiceWorld>(backend);
  return *world;
}

void ServiceWorld::reset() {
  tables = {};
  scheduler = "rr";
  for (const Ip& each : {node.ip4, node.ip6, address("127.0.0.1"), address("::1")})
    tables.node_addresses[each] = {true};
  tables.ranges[Cidr::parse("10.96.0.0/16").value()];
  tables.ranges[Cidr::parse("fd00:96::/112").value()];
}

service::Port& ServiceWorld::serve(const service::PortId& id, std::initializer_list<const Pod*> pods, uint16_t port,
                                   service::Protocol protocol) {
  auto& row = tables.ports[id];
  row.protocol = protocol;
  row.backends.clear();
  for (const Pod* pod : pods) {
    const bool here = pod != &remote();
    row.backends.push_back({.at = {pod->ip(id.family), port},
                            .node = here ? "a" : "b",
                            .local = here,
                            .cluster_pool = true,
                            .local_pool = here});
  }
  return row;
}

std::string ServiceWorld::bring() {
  In in(node.ns);
  uint64_t writes = 0;
  if (virtual_services) {
    auto done = virtual_services->bring(service::ipvs_rows(tables, scheduler));
    if (!done) return "error: " + done.error().message();
    if (!done->failures.empty()) return "error: " + done->failures.front().second.message();
    writes += done->writes;
  }
  auto done = run_until_done(loop, rules->bring(service::iptables_rules(tables, backend)));
  if (!done) return "error: " + done.error().message();
  return std::to_string(writes + *done);
}

std::string ServiceWorld::differences() {
  In in(node.ns);
  std::string out;
  auto lines = value(rules->differences(service::iptables_rules(tables, backend)));
  if (virtual_services)
    for (auto& line : value(virtual_services->differences(service::ipvs_rows(tables, scheduler))))
      lines.push_back(line);
  for (const auto& line : lines) out += line + "\n";
  return out;
}

Listeners::Listeners(std::vector<const Ns*> where, Family family, uint16_t port) {
  const Ip any = family == Family::V4 ? Ip() : Ip::parse("::").value();
  for (const Ns* ns : where) sockets_.push_back(tcp_listener(*ns, any, port));
}

Listeners::Reached Listeners::connect(const Ns& from, Ip to, uint16_t port) {
  Reached reached;
  reached.near = tcp_connect(from, to, port);
  if (!reached.near) {
    reached.error = errno;
    return reached;
  }
  std::vector<pollfd> polls;
  for (const Fd& socket : sockets_) polls.push_back({socket.get(), POLLIN, 0});
  if (::poll(polls.data(), polls.size(), 5000) < 1) return reached;
  for (size_t i = 0; i < polls.size(); ++i) {
    if (!polls[i].revents) continue;
    reached.far = Fd(::accept4(sockets_[i].get(), nullptr, nullptr, SOCK_CLOEXEC));
    reached.client = peer_of(reached.far.get());
    reached.who = int(i);
  }
  return reached;
}

bool carries(const Fd& near, const Fd& far) {
  char byte = 'x';
  return ::send(near.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(far.get(), &byte, 1, 0) == 1 &&
         ::send(far.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(near.get(), &byte, 1, 0) == 1;
}

void reset(Fd fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace causeway::test
