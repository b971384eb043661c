// What rtnetlink is asked for, as values: links, addresses, routes, neighbours, rules, shaping. A Change is one
// message; changes are comparable, printable (to_string) and carry no state of a socket.
//
// Put* makes or overwrites; Delete* of what is not there is no error. So every change may be repeated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/ip.h"

namespace causeway::netlink {

// ---- links

// Every Pod's link on the node is of this group from its first moment on (`ip link show group 51776`).
inline constexpr uint32_t kPodGroup = 0xca40;

// A link of the socket's namespace, by index or by name.
using LinkRef = std::variant<IfIndex, std::string>;
std::string to_string(const LinkRef& ref);

// What distinguishes a VXLAN device (RFC 7348). Its outer family is that of `local`: one device speaks one family.
struct Vxlan {
  uint32_t vni = 0;       // 24 bits
  uint16_t port = 0;      // UDP, host order
  Ip local;               // outer source
  bool learning = false;  // whether it learns who is where from what comes in
  bool operator==(const Vxlan&) const = default;
};

// A link as the kernel has it.
struct Link {
  IfIndex index{};
  std::string name;
  std::string kind;   // "veth", "bridge", ...; "" for hardware and lo
  std::string alias;  // free text, at most 255 bytes
  Mac mac;
  uint32_t mtu = 0;
  uint32_t group = 0;                 // 0 is the default group
  IfIndex master{};                   // 0: none
  IfIndex peer{};                     // a veth's other end; its index counts in peer_netns when that is set
  std::optional<int32_t> peer_netns;  // nsid of the peer's namespace; absent: this one, or not a veth
  bool up = false;                    // IFF_UP
  bool running = false;               // IFF_LOWER_UP: has carrier
  bool loopback = false;
  std::optional<Vxlan> vxlan;  // of kind "vxlan", with a local address
  bool operator==(const Link&) const = default;
};

struct LinkEnd {
  std::string name;        // 1..15 bytes
  std::optional<Mac> mac;  // set both ends' at creation: udev rewrites a random one later
  uint32_t mtu = 0;        // bytes; 0: the kernel's default
  uint32_t group = 0;
  int netns_fd = -1;  // borrowed; -1: the socket's namespace
  bool operator==(const LinkEnd&) const = default;
};

// Both ends in one message, each made at once in its final namespace: moving one later costs an RCU grace period
// (20 ms instead of 0.7). Both start down: the kernel refuses IFF_UP here.
struct CreateVeth {
  LinkEnd link;
  LinkEnd peer;
  bool operator==(const CreateVeth&) const = default;
};
struct CreateBridge {
  std::string name;
  std::optional<Mac> mac;
  uint32_t mtu = 0;
  bool operator==(const CreateBridge&) const = default;
};
// With no checksum of the outer UDP, which tunnels may leave out over both families (RFC 7348 section 5, RFC 6935), and
// taking what comes without one. Starts down.
struct CreateVxlan {
  std::string name;
  Vxlan vxlan;
  std::optional<Mac> mac;
  uint32_t mtu = 0;  // bytes, of the inner packet; 0: the kernel's default
  bool operator==(const CreateVxlan&) const = default;
};
enum class MacvlanMode : uint8_t { Private, Vepa, Bridge, Passthru };
std::string_view to_string(MacvlanMode mode);
// A second MAC on `parent`, made at once in its final namespace; starts down.
struct CreateMacvlan {
  LinkEnd link;
  IfIndex parent{};
  MacvlanMode mode = MacvlanMode::Bridge;
  bool operator==(const CreateMacvlan&) const = default;
};
// Changes what is set and leaves the rest.
struct SetLink {
  LinkRef link;
  std::optional<bool> up;
  std::optional<uint32_t> mtu;
  std::optional<Mac> mac;
  std::optional<IfIndex> master;  // IfIndex{0} releases it
  std::optional<uint32_t> group;
  std::optional<std::string> alias;  // at most 255 bytes; "" removes it
  std::optional<std::string> rename;
  std::optional<int> netns_fd;        // moves it (slow), before it is renamed; borrowed
  std::optional<bool> ipv6_autoconf;  // false: no link-local address is made (IFLA_INET6_ADDR_GEN_MODE none)
  bool operator==(const SetLink&) const = default;
};
struct DeleteLink {
  LinkRef link;
  bool operator==(const DeleteLink&) const = default;
};
// Every link of the group under one grace period: 100 links in 60 ms instead of 2 s. Group 0 is refused.
struct DeleteGroup {
  uint32_t group = 0;
  bool operator==(const DeleteGroup&) const = default;
};

// ---- addresses

struct Address {
  IfIndex link{};
  Ip ip;
  int prefix = 0;
  // IPv6: duplicate address detection (a second) is skipped, so it may be sent from at once. It receives once the
  // kernel has made its route in the table local, which a work queue does a moment later. No meaning for IPv4.
  bool nodad = true;
  auto operator<=>(const Address&) const = default;
};
struct PutAddress {
  Address address;
  bool operator==(const PutAddress&) const = default;
};
struct DeleteAddress {
  Address address;
  bool operator==(const DeleteAddress&) const = default;
};

// ---- routes

enum class RouteType : uint8_t { Unicast, Local, Blackhole, Unreachable, Prohibit };
std::string_view to_string(RouteType type);

inline constexpr uint32_t kMainTable = 254;
inline constexpr uint32_t kLocalTable = 255;
// The tag of every route of ours (`ip route show proto 202`): what carries it may be removed, nothing else is touched.
inline constexpr uint8_t kRouteProtocol = 202;

struct Route {
  Cidr destination;
  RouteType type = RouteType::Unicast;
  std::optional<Ip> gateway;  // absent: on the link itself
  IfIndex link{};             // 0: none (blackhole, ...)
  bool onlink = false;        // the gateway is on the link although no route says so
  uint32_t mtu = 0;           // metric of the route, bytes; 0: the link's
  bool mtu_locked = false;    // path MTU discovery does not change it; and IPv6 honours it for what it forwards
  uint32_t table = kMainTable;
  uint8_t protocol = kRouteProtocol;
  uint32_t priority = 0;     // 0: the kernel's default (IPv6's 1024 is shown as 0)
  std::optional<Ip> source;  // preferred source address
  auto operator<=>(const Route&) const = default;
};
// Identity for the kernel: destination, table, priority; PutRoute overwrites what has the same.
struct PutRoute {
  Route route;
  bool operator==(const PutRoute&) const = default;
};
struct DeleteRoute {
  Route route;
  bool operator==(const DeleteRoute&) const = default;
};
struct RouteFilter {
  std::optional<Family> family;  // absent: both
  uint32_t table = kMainTable;   // 0: all
  uint8_t protocol = 0;          // 0: all
};

// ---- neighbours

// A permanent entry: never probed, never expires, not counted by gc_thresh.
struct Neighbour {
  IfIndex link{};
  Ip ip;
  Mac mac;
  auto operator<=>(const Neighbour&) const = default;
};
struct PutNeighbour {
  Neighbour neighbour;
  bool operator==(const PutNeighbour&) const = default;
};
struct DeleteNeighbour {
  IfIndex link{};
  Ip ip;
  bool operator==(const DeleteNeighbour&) const = default;
};

// ---- forwarding table of a VXLAN device: behind which node is a MAC? Permanent; one node for each MAC.

struct Forwarding {
  IfIndex link{};
  Mac mac;
  Ip vtep;  // outer destination, of the device's family
  auto operator<=>(const Forwarding&) const = default;
};
struct PutForwarding {
  Forwarding forwarding;
  bool operator==(const PutForwarding&) const = default;
};
struct DeleteForwarding {
  Forwarding forwarding;
  bool operator==(const DeleteForwarding&) const = default;
};

// ---- rules: which table answers for whom

// "from PREFIX lookup TABLE". Identity: all of it.
struct Rule {
  Cidr from;
  uint32_t table = 0;
  uint32_t priority = 0;  // the lesser goes first; main has 32766
  uint8_t protocol = kRouteProtocol;
  auto operator<=>(const Rule&) const = default;
};
struct PutRule {
  Rule rule;
  bool operator==(const PutRule&) const = default;
};
struct DeleteRule {
  Rule rule;
  bool operator==(const DeleteRule&) const = default;
};

// ---- shaping: a token bucket filter (tc-tbf(8)) as the root of a link's queueing, for what leaves by it

struct TokenBucket {
  uint64_t rate = 0;   // bytes per second, of whole Ethernet frames
  uint32_t burst = 0;  // bytes; larger than a frame, or nothing passes
  uint32_t limit = 0;  // bytes that wait at most
  auto operator<=>(const TokenBucket&) const = default;
};
struct PutTokenBucket {
  IfIndex link{};
  TokenBucket bucket;
  bool operator==(const PutTokenBucket&) const = default;
};
// Back to the link's default queueing.
struct DeleteTokenBucket {
  IfIndex link{};
  bool operator==(const DeleteTokenBucket&) const = default;
};

using Change = std::variant<CreateVeth, CreateBridge, CreateVxlan, CreateMacvlan, SetLink, DeleteLink, DeleteGroup,
                            PutAddress, DeleteAddress, PutRoute, DeleteRoute, PutNeighbour, DeleteNeighbour,
                            PutForwarding, DeleteForwarding, PutRule, DeleteRule, PutTokenBucket, DeleteTokenBucket>;

// One line each, in the words of `ip`: "route 10.1.1.0/24 via 172.18.0.3 dev 2 onlink mtu 1450 proto 202".
std::string to_string(const Link& link);
std::string to_string(const Address& address);
std::string to_string(const Route& route);
std::string to_string(const Neighbour& neighbour);
std::string to_string(const Forwarding& forwarding);
std::string to_string(const Rule& rule);
std::string to_string(const TokenBucket& bucket);
std::string to_string(const Change& change);

}  // namespace causeway::netlink
