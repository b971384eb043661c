// A further interface of a Pod, on a network that a NetworkAttachmentDefinition describes (the Kubernetes Network
// Plumbing Working Group's de-facto standard, version 1.3): a macvlan on a device of the node, or a device that moves
// into the Pod.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/netlink/messages.h"

namespace causeway::pod {

enum class ExtraKind : uint8_t { Macvlan, Device };
std::string_view to_string(ExtraKind kind);

struct ExtraAddress {
  Ip ip;
  int prefix = 0;
  auto operator<=>(const ExtraAddress&) const = default;
};
struct ExtraRoute {
  Cidr destination;
  std::optional<Ip> gateway;  // absent: the address's network has it on the link
  auto operator<=>(const ExtraRoute&) const = default;
};

struct ExtraInterface {
  std::string network;  // namespace/name of the definition
  std::string ifname;   // in the Pod
  ExtraKind kind = ExtraKind::Macvlan;
  std::string device;  // of the node: the macvlan's parent ("": where the default route leads to), or the one that
                       // moves (and gets this name back)
  netlink::MacvlanMode mode = netlink::MacvlanMode::Bridge;
  uint32_t mtu = 0;        // bytes; 0: the device's
  std::optional<Mac> mac;  // absent: of the first address; without one the device's own or the kernel's choice
  std::vector<ExtraAddress> addresses;
  std::vector<ExtraRoute> routes;
  bool operator==(const ExtraInterface&) const = default;
};

// One word without blanks and commas of a journal line: what DEL and a restarted agent need (not the routes).
std::string to_word(const ExtraInterface& extra);
Result<ExtraInterface> parse_extra(std::string_view word);

// "net1 on shop/storage macvlan eth1 bridge 192.0.2.7/24", for people.
std::string to_string(const ExtraInterface& extra);

// The alias of a device that moved: who took it, and its name on the node. Empty: not one of ours.
std::string moved_alias(std::string_view container, std::string_view device);
struct MovedAlias {
  std::string container;
  std::string device;
};
std::optional<MovedAlias> parse_moved_alias(std::string_view alias);

}  // namespace causeway::pod
