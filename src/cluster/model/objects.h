// What a node needs to know of the cluster, as plain values. They are projections: a field that nobody compiles from
// is not kept, so a heartbeat changes nothing here and a thousand Pods cost little memory.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/ip.h"

namespace causeway::cluster {

using Labels = std::map<std::string, std::string, std::less<>>;

// Annotation of a Node by its agent: how busy the node is, 0-1000.
inline constexpr std::string_view kNodeLoad = "causeway.io/load";

struct Node {
  std::string name;
  int64_t created = 0;          // seconds since 1970; 0 is unknown
  std::vector<Ip> addresses;    // InternalIP, in the order of status.addresses
  std::vector<Ip> others;       // those of status.addresses that are of another type: ExternalIP
  std::vector<Cidr> pod_cidrs;  // none until node IPAM gave them; at most one for each family
  std::string problem;          // a field that cannot be read, and why; "" if all is well
  std::string zone;             // label topology.kubernetes.io/zone; "" if it has none
  uint16_t load = 0;            // annotation kNodeLoad: 0 (idle, or not said) - 1000
  bool leaving = false;         // deleted, or about to be by the cluster autoscaler: load balancers shall turn away
  Labels labels;
  bool operator==(const Node&) const = default;

  // The first address of the family.
  std::optional<Ip> address(Family family) const;
};

// Whether status.addresses has it, of whatever type.
bool has_address(const Node& node, const Ip& ip);

// Who wins where two Nodes claim the same: the older, then the lesser name. Never the order of arrival, so that all
// nodes of the cluster decide alike.
bool older(const Node& a, const Node& b);

struct PodKey {
  std::string ns;
  std::string name;
  auto operator<=>(const PodKey&) const = default;
};
std::string to_string(const PodKey& key);  // ns/name

// By its IANA number, as packets carry it.
enum class Protocol : uint8_t { Tcp = 6, Udp = 17, Sctp = 132 };
std::string_view to_string(Protocol protocol);  // "tcp"

// A port that a Pod's container has a name for.
struct NamedPort {
  std::string name;
  Protocol protocol = Protocol::Tcp;
  uint16_t port = 0;
  auto operator<=>(const NamedPort&) const = default;
};

struct Pod {
  PodKey key;
  std::string uid;
  std::string node;
  bool host_network = false;
  bool finished = false;         // Succeeded or Failed: its address may be another's by now
  std::vector<Ip> addresses;     // status.podIPs
  std::vector<NamedPort> ports;  // each name and protocol once: the first container's that has it
  Labels labels;
  bool operator==(const Pod&) const = default;
};

// An address that is promised to one Pod by its name, wherever it runs (API: AddressReservation).
struct Reservation {
  Ip address;
  PodKey pod;
  std::string node;      // where the Pod had it last; "": nowhere yet
  std::string pod_uid;   // which Pod that was
  uint64_t version = 0;  // of the object; the greater is the later (KEP-5504); 0: not known
  bool operator==(const Reservation&) const = default;
};

struct Namespace {
  std::string name;
  Labels labels;
  bool operator==(const Namespace&) const = default;
};

// A port of the node that leads to a port of the Pod (hostPort).
struct HostPort {
  Protocol protocol = Protocol::Tcp;
  uint16_t port = 0;            // of the node
  uint16_t container_port = 0;  // of the Pod
  // Only on this address of the node; absent: on every one, 0.0.0.0 or ::: on every one of that family.
  std::optional<Ip> host_ip;
  auto operator<=>(const HostPort&) const = default;
};
std::string to_string(const HostPort& port);  // 80:8080/tcp, 80:8080/tcp@10.0.0.1

// What a host port takes from the node: one protocol and port of one address, or of all of a family (unspecified).
struct HostPortClaim {
  Protocol protocol = Protocol::Tcp;
  Ip ip;
  uint16_t port = 0;
  auto operator<=>(const HostPortClaim&) const = default;
};
std::string to_string(const HostPortClaim& claim);  // tcp 10.0.0.1:80, tcp 0.0.0.0:80

struct AttachmentKey {
  std::string container;  // the runtime's sandbox id
  std::string ifname;     // inside the Pod: eth0
  auto operator<=>(const AttachmentKey&) const = default;
};
std::string to_string(const AttachmentKey& key);  // container/ifname

// What one CNI ADD made: the node knows it before the API server does.
struct Attachment {
  AttachmentKey key;
  PodKey pod;
  std::string pod_uid;        // "" where the runtime does not pass it
  std::vector<Ip> addresses;  // at most one for each family
  std::string host_ifname;
  IfIndex host_ifindex{};
  Mac host_mac;               // of the node's end of the veth
  Mac pod_mac;                // of the Pod's end
  uint64_t netns_cookie = 0;  // SO_NETNS_COOKIE of the Pod; 0 is unknown
  uint64_t generation = 0;    // counts the ADDs of this node: of two that claim the same, the older has it
  std::vector<HostPort> host_ports;
  // Another plugin made the link: its addresses, routes and whatever is attached to it are not ours.
  bool foreign = false;
  // What comes in is shaped at the node's end of the veth, so every packet to the Pod has to pass there.
  bool by_host_side = false;
  bool operator==(const Attachment&) const = default;
};

// In the families that the Pod has addresses of.
std::vector<HostPortClaim> claims(const Attachment& attachment);

// An address of this node's uplink with its on-link prefix.
struct LinkAddress {
  Ip ip;
  int prefix = 0;
  auto operator<=>(const LinkAddress&) const = default;
  Cidr subnet() const { return Cidr(ip, prefix); }
};

struct Uplink {
  std::string name;
  IfIndex ifindex{};
  Mac mac;
  uint32_t mtu = 0;
  bool up = true;
  std::vector<LinkAddress> addresses;  // sorted; global scope only
  bool operator==(const Uplink&) const = default;
};

// What the kernel of this node says about itself; changes like an object does.
struct NodeFacts {
  std::string name;  // of our Node object
  Uplink uplink;
  std::vector<Ip> addresses;  // sorted: every global address of the node's devices
  bool operator==(const NodeFacts&) const = default;

  // Whether `ip` is on a subnet of the uplink: reached without a router.
  bool shares_link(const Ip& ip) const;
};

}  // namespace causeway::cluster
