// What the kernel of this node shall do with what is sent to Services, as values with names. render() prints them; the
// appliers turn them into maps, sets and rules, whatever their plane.
#pragma once

#include <variant>

#include "cluster/model/model.h"

namespace causeway::service {

using cluster::Protocol;

// Which object of the model a row comes from. Each row has exactly one owner.
struct SelfKey {
  auto operator<=>(const SelfKey&) const = default;
};
// An attachment's key in little room: every row of 30,000 Services has an owner, and the largest alternative counts.
struct AttachmentName {
  Name container, ifname;
  AttachmentName(const cluster::AttachmentKey& key) : container(key.container), ifname(key.ifname) {}
  cluster::AttachmentKey key() const { return {std::string(container), std::string(ifname)}; }
  auto operator<=>(const AttachmentName&) const = default;
};
using Key = std::variant<SelfKey, cluster::ServiceKey, AttachmentName>;
// "self", "service default/web", "attachment 4f2a/eth0": as cluster::object_of() says it.
std::string to_string(const Key& key);

// What is balanced: one port of a Service in one family. A host port is one of its Pod, named "hostPort 80/tcp".
struct PortId {
  Name ns, name;
  Name port;  // "" where the Service's only port has no name
  Family family = Family::V4;
  bool host_port = false;
  auto operator<=>(const PortId&) const = default;
};
std::string to_string(const PortId& id);  // default/web:http, default/web:http (IPv6)

enum class Kind : uint8_t { ClusterIp, NodePort, ExternalIp, LoadBalancer, HostPort };
std::string_view to_string(Kind kind);

enum class Verdict : uint8_t {
  Balance,
  Reject,  // refused at once: no endpoint anywhere
  Drop,    // silently: only endpoints of this node may answer, and there is none; or not for this side at all
};
std::string_view to_string(Verdict verdict);

// The endpoints that may get a new flow: those of the cluster that topology allows here, or those of this node.
enum class Pool : uint8_t { Cluster, Local };
std::string_view to_string(Pool pool);

struct Side {
  Verdict verdict = Verdict::Reject;
  Pool pool = Pool::Cluster;  // Balance
  bool masquerade = false;    // the endpoint sees an address of this node
  auto operator<=>(const Side&) const = default;
};

// What is asked for. The unspecified address of a family: every address of the node that `node_addresses` allows
// (NodePort: those with node_ports; HostPort: all). A row of one address wins over it, a NodePort over a HostPort.
struct FrontendKey {
  Ip ip;
  uint16_t port = 0;
  Protocol protocol = Protocol::Tcp;
  auto operator<=>(const FrontendKey&) const = default;
};
std::string to_string(const FrontendKey& key);  // 10.96.0.1:443/tcp

struct Frontend {
  PortId port;
  Kind kind = Kind::ClusterIp;
  Side inside;                  // for the Pods of this node and the node itself
  Side outside;                 // for everybody else
  CompactVector<Cidr> sources;  // loadBalancerSourceRanges of this family: who may; empty: all
  bool operator==(const Frontend&) const = default;
};

// How a flow finds its endpoint. Beyond Random only on plane bpf.
enum class Algorithm : uint8_t { Random, RoundRobin, LeastConnections, LeastLoad, SourceHash };
std::string_view to_string(Algorithm algorithm);

struct Backend {
  Endpoint at;
  Name node;                  // "" where unknown
  bool local = false;         // on this node
  bool cluster_pool = false;  // new flows of Pool::Cluster
  bool local_pool = false;    // new flows of Pool::Local
  uint16_t weight = 1;        // 1-65535
  uint16_t load = 0;          // of its node, 0-1000 (LeastLoad)
  bool operator==(const Backend&) const = default;
};

struct Port {
  Protocol protocol = Protocol::Tcp;
  Algorithm algorithm = Algorithm::Random;
  uint32_t affinity = 0;  // ClientIP: seconds, 1-86400; 0: none
  bool retry = false;     // a connect() that one endpoint refuses or ignores goes to another
  Name scheduler;         // of IPVS, by annotation; "": the agent's. Only backend ipvs reads it
  // Every endpoint that serves, by address, each once; one in no pool keeps its flows and gets no new ones.
  CompactVector<Backend> backends;
  bool operator==(const Port&) const = default;
};

struct NodeAddress {
  bool node_ports = false;
  bool operator==(const NodeAddress&) const = default;
};

// healthCheckNodePort: what it answers.
struct HealthCheck {
  cluster::ServiceKey service;
  uint32_t local_endpoints = 0;  // Ready ones on this node, by address; terminating never counts
  bool operator==(const HealthCheck&) const = default;
};

// An endpoint whose health this node looks after (annotation); results come back into the model.
struct ProbeKey {
  Endpoint at;
  PortId port;
  auto operator<=>(const ProbeKey&) const = default;
};
struct Probe {
  std::string http_path;        // "": TCP connect
  uint32_t interval_ms = 5000;  // 100-3600000
  uint32_t timeout_ms = 1000;
  uint32_t failures = 3;   // in a row make it unhealthy
  uint32_t successes = 1;  // in a row make it healthy again
  bool operator==(const Probe&) const = default;
};

// A Pod of this node as its sockets are known: by netns cookie.
struct Client {
  cluster::PodKey pod;
  std::optional<Ip> v4, v6;
  bool operator==(const Client&) const = default;
};

struct Present {  // the value of a set's element
  bool operator==(const Present&) const = default;
};

struct Tables {
  std::map<FrontendKey, Frontend> frontends;
  std::map<PortId, Port> ports;
  std::map<Ip, cluster::ServiceKey> addresses;  // ClusterIPs: a port without a row is refused
  std::map<Cidr, Present> ranges;               // where Service addresses come from: one that nobody has is dropped
  std::map<Ip, NodeAddress> node_addresses;     // every address of the node, loopback among them
  std::map<uint16_t, HealthCheck> health_checks;
  std::map<ProbeKey, Probe> probes;
  std::map<uint64_t, Client> clients;
  // Objects of which something is not served, and why: "service default/web".
  std::map<std::string, std::string> refused;
  bool operator==(const Tables&) const = default;
};

std::string render(const Tables& tables);

}  // namespace causeway::service
