// Policies as a node needs to know them: every kind of policy in one shape, ordered rules of one direction over peers
// and ports. Read strictly where the API is strict and fail closed where a stored object cannot be read: such a rule
// admits nobody, and the policy says so in `problem`.
#pragma once

#include <map>
#include <memory>

#include "base/name.h"
#include "cluster/model/objects.h"
#include "kube/api/selector.h"

namespace causeway::cluster {

// Judged in this order (network-policy-api: Admin, NetworkPolicy, Baseline); what no tier decides is open.
enum class Tier : uint8_t { Admin, Namespaced, Baseline };
std::string_view to_string(Tier tier);  // "Admin", "NetworkPolicy", "Baseline"

enum class Direction : uint8_t { Ingress, Egress };
std::string_view to_string(Direction direction);  // "ingress"

enum class Action : uint8_t {
  Accept,
  Deny,
  Pass,  // skips the rest of its tier
};
std::string_view to_string(Action action);

// ns "": a ClusterNetworkPolicy; else a NetworkPolicy.
struct PolicyKey {
  Name ns;
  Name name;
  auto operator<=>(const PolicyKey&) const = default;
};
std::string to_string(const PolicyKey& key);     // ns/name; a ClusterNetworkPolicy: name
std::string_view kind_of(const PolicyKey& key);  // "NetworkPolicy", "ClusterNetworkPolicy"

// Pods by labels: those of one namespace (`ns`), or of every namespace that `namespaces` selects (ns is "").
// Pods of the host's network are never among them, nor those that have ended.
struct PodPeer {
  Name ns;
  kube::Selector namespaces;
  kube::Selector pods;
  auto operator<=>(const PodPeer&) const = default;
  // Whether it may select Pods of this namespace.
  bool covers(std::string_view of, const Labels& labels_of_namespace) const {
    return ns.empty() ? namespaces.matches(labels_of_namespace) : ns == of;
  }
};
std::string to_string(const PodPeer& peer);

// Addresses: a prefix without some of its parts. An exception subtracts from its own block only.
struct PolicyBlock {
  Cidr cidr;
  std::vector<Cidr> except;  // sorted, each once
  auto operator<=>(const PolicyBlock&) const = default;
  bool contains(const Ip& ip) const;
};
std::string to_string(const PolicyBlock& block);  // 10.0.0.0/8 except 10.1.0.0/16

// Ports of one protocol, or the port that the destination Pod calls so: a name is looked up on each Pod, in either
// direction, and never matches what is no Pod.
struct PolicyPort {
  std::optional<Protocol> protocol;  // absent: of whatever protocol the name is (only with a name)
  uint16_t first = 0, last = 65535;  // 0-65535: every port of the protocol
  Name name;                         // "": by number
  auto operator<=>(const PolicyPort&) const = default;
};
std::string to_string(const PolicyPort& port);  // 80/tcp, 80-90/tcp, every tcp port, port "http"/tcp

// Nodes by labels: their addresses, all of status.addresses, and so whatever is of the host's network there
// (network-policy-api v1alpha2). A Node's other addresses, of its bridges say, are not among them.
using NodePeer = kube::Selector;
inline std::string describe_nodes(const NodePeer& peer) {
  return peer.matches_everything() ? "all Nodes" : "Nodes " + to_string(peer);
}

struct PolicyRule {
  Action action = Action::Accept;
  Name name;              // of a ClusterNetworkPolicy's rule; else ""
  bool anybody = false;   // every peer, inside the cluster or not
  bool any_port = false;  // every port of every protocol, those without ports too
  std::vector<PodPeer> pods;
  std::vector<NodePeer> nodes;
  std::vector<PolicyBlock> blocks;
  std::vector<PolicyPort> ports;
  bool operator==(const PolicyRule&) const = default;
};

struct Policy {
  PolicyKey key;
  Tier tier = Tier::Namespaced;
  uint16_t priority = 0;  // 0-1000 within its tier, the lesser is judged first; equal ones by name
  PodPeer subject;
  // NetworkPolicy: whether the direction is isolated; ClusterNetworkPolicy: whether it has rules of that direction.
  bool concerns_ingress = false, concerns_egress = false;
  std::vector<PolicyRule> ingress, egress;  // in the order of the object, so that a rule is known by its index
  std::string problem;                      // what cannot be read, and what is done instead; "" if all is well
  bool operator==(const Policy&) const = default;

  bool concerns(Direction direction) const {
    return direction == Direction::Ingress ? concerns_ingress : concerns_egress;
  }
  const std::vector<PolicyRule>& rules(Direction direction) const {
    return direction == Direction::Ingress ? ingress : egress;
  }
};

// Whether `a` is judged before `b`.
bool precedes(const Policy& a, const Policy& b);

using Policies = std::map<PolicyKey, std::shared_ptr<const Policy>>;
// ClusterNetworkPolicies of one tier and one priority that have rules of one direction: the API leaves open which is
// judged first, here it is the lesser name. Of each a sentence that says so.
std::map<PolicyKey, std::string> priority_ties(const Policies& policies);

}  // namespace causeway::cluster
