// Nodes on the netfilter plane with Services: rows written by the test, applied by the agent's own applier.
#pragma once

#include "answers.h"
#include "netfilter_world.h"
#include "service/apply_nft.h"

namespace causeway::test {

using service::Backend;
using service::Frontend;
using service::FrontendKey;
using service::Kind;
using service::Pool;
using service::PortId;
using service::Protocol;
using service::Side;

inline Ip any_of(Family family) { return family == Family::V4 ? Ip() : Ip::v6(std::array<uint8_t, 16>{}); }
// Service addresses: 10.96.0.N and fd00:96::N.
inline Ip virtual_ip(Family family, int n) {
  return Ip::parse(family == Family::V4 ? fmt::format("10.96.0.{}", n) : fmt::format("fd00:96::{:x}", n)).value();
}

inline Side balance(Pool pool = Pool::Cluster, bool masquerade = false) {
  return {service::Verdict::Balance, pool, masquerade};
}
inline Side reject() { return {service::Verdict::Reject, Pool::Cluster, false}; }
inline Side drop() { return {service::Verdict::Drop, Pool::Cluster, false}; }

// The tables of one node in the making.
struct Wanted {
  service::Tables tables;

  explicit Wanted(const Node& node) {
    for (const char* range : {"10.96.0.0/16", "fd00:96::/112"}) tables.ranges[cidr_of(range)] = {};
    for (const Ip& ip : {node.ip4, node.ip6}) tables.node_addresses[ip] = {.node_ports = true};
    for (const char* ip : {"127.0.0.1", "::1"}) tables.node_addresses[Ip::parse(ip).value()] = {.node_ports = true};
  }
  static PortId id(const std::string& name, Family family) { return {"shop", name, "", family}; }
  static Backend at(const Ip& ip, uint16_t port, bool local = false, uint16_t weight = 1) {
    return {.at = {ip, port}, .local = local, .cluster_pool = true, .local_pool = local, .weight = weight};
  }
  service::Port& port(const std::string& name, Family family, Protocol protocol, std::vector<Backend> backends) {
    auto& port = tables.ports[id(name, family)];
    port = {.protocol = protocol, .backends = std::move(backends)};
    return port;
  }
  Frontend& front(const std::string& name, const Ip& ip, uint16_t port, Protocol protocol, Kind kind, Side inside,
                  Side outside) {
    if (kind == Kind::ClusterIp) tables.addresses[ip] = {"shop", name};
    auto& row = tables.frontends[{ip, port, protocol}];
    row = {.port = id(name, ip.family()), .kind = kind, .inside = inside, .outside = outside};
    return row;
  }
  // "web" at virtual_ip(n):80 over TCP and "web-udp" over UDP.
  void cluster_ip(const std::string& name, Family family, int n, const std::vector<Backend>& backends,
                  bool masquerade = false) {
    for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp}) {
      const std::string named = protocol == Protocol::Tcp ? name : name + "-udp";
      port(named, family, protocol, backends);
      front(named, virtual_ip(family, n), 80, protocol, Kind::ClusterIp,
            backends.empty() ? reject() : balance(Pool::Cluster, masquerade), drop());
    }
  }
};

struct ServiceAgent {
  NftAgent& fabric;
  std::unique_ptr<nftables::Nftables> nft;
  std::unique_ptr<conntrack::Conntrack> conntrack;
  service::NftApplier applier;

  explicit ServiceAgent(NftAgent& agent, const service::Options& options = {})
      : fabric(agent),
        nft(nftables::open_nftables_in(agent.node.ns.fd()).value()),
        conntrack(conntrack::open_conntrack_in(agent.node.ns.fd()).value()),
        applier(options, {*nft, *conntrack, netns::write_sysctl}) {
    applier.set_complete();
  }
  // Failures, one a line.
  std::string apply(const service::Tables& tables) {
    applier.rows().replace(service::SelfKey{}, tables);
    return apply();
  }
  std::string apply() {
    In in(fabric.node.ns);
    auto failures = run_until_done(fabric.loop, applier.apply());
    if (!failures) return failures.error().message();
    std::string out;
    for (const auto& failure : *failures) out += failure.object + ": " + failure.error.message() + "\n";
    return out;
  }
};

// Three nodes with their fabric, and everybody answers on 8080.
struct ServiceWorld : NftCluster {
  std::vector<std::unique_ptr<Answers>> servers;
  ServiceAgent service;  // of node a
  explicit ServiceWorld(const service::Options& options = {}) : NftCluster({}), service(a, options) {
    auto serve = [&](const Ns& ns, const char* name) { servers.push_back(std::make_unique<Answers>(ns, name, 8080)); };
    serve(world.a1().ns, "a1");
    serve(world.a2().ns, "a2");
    serve(world.b1().ns, "b1");
    serve(world.c1().ns, "c1");
    serve(world.a.ns, "a");
    serve(world.b.ns, "b");
  }
};

inline std::string seen(const char* name, const Ip& client) { return std::string(name) + " " + to_string(client); }
inline constexpr Way kWays[] = {Way::Tcp, Way::Udp};

}  // namespace causeway::test
