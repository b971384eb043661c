// What the kernel of a node shall hold of policies, as values with names. render() prints them; judge() reads them as
// the kernel will. Established flows are found in conntrack and never come here.
//
// How a first packet is judged, once for each direction that has a Pod of this node at its own end:
//
//   set    = subjects[own Pod].ingress | .egress       no row: the Pod is not known yet, so the packet is dropped
//            SetId::Open                               no policy concerns this direction: let through, nothing else is
//            read
//   class  = dns[other end]                            egress to port 53, TCP or UDP: cluster DNS (hash)
//            else addresses[other end]                      1st class look-up (hash); a Pod's class knows its blocks
//            too else blocks[other end], longest match     2nd class look-up (LPM); no match: ClassId::None
//   atom   = ports[set.ports], protocol and port       port look-up; none there, or a protocol without ports: 0
//   rows   = verdicts[set, class | None, atom | 0]     at most four; two where class is None or atom is 0
//
// Each row holds the first matching rule of every tier, of exactly that shape: one peer or everybody, one port or all.
// So of the four rows the least rank of a tier is the tier's first matching rule. Admin: Accept and Deny are final,
// Pass and no rule go on; NetworkPolicy: a set that isolates has a Deny of the last rank in its row (None, 0), so it is
// always final there; Baseline as Admin; what nobody decides is open. The rule that decided goes by its id into the
// conntrack entry, into events and counters; `rules` has its name. Rule None: isolated, and no rule admits it.
//
// Maps of plane bpf: addresses {net, ip} -> class (both families in one form, docs/decisions/one-address-form.md);
// blocks LPM {prefix length, net, ip} -> class, class None too, as an exception inside a wider block is such a row;
// ports LPM {ports id, protocol, port as 16 bits} -> atom (a range is at most 30 prefixes); sets {set} -> ports id and
// the row (None, 0) inline; verdicts {set, class, atom} -> three times {rank and action, rule}; subjects in the Pod's
// own row. Plane netfilter: addresses a map and blocks an interval map -> mark; ports an interval map `l4proto . th
// dport` of each ports id; verdicts one vmap `set . class . atom` asked in the order (class, atom), (class, 0), (None,
// atom), (None, 0). A set of NetworkPolicies alone only ever accepts before its last row, so the first hit decides; for
// one with other tiers flatten() gives rows of which the first hit decides as well.
//
// Numbers are the compiler's own: not reused while it lives, others after a restart. A change is applied in this order:
// new verdicts, ports and sets; then addresses, blocks and subjects; then what is gone.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "base/compact_vector.h"
#include "cluster/model/policies.h"

namespace causeway::policy {

using cluster::Action;
using cluster::Direction;
using cluster::NamedPort;
using cluster::PodKey;
using cluster::PolicyKey;
using cluster::Protocol;
using cluster::Tier;

enum class ClassId : uint32_t { None = 0 };  // None: in no selector and no block that matters here
enum class SetId : uint32_t { Open = 0 };    // Open: no policy concerns it
enum class PortsId : uint32_t { None = 0 };  // None: no rule of the set asks for ports
enum class RuleId : uint32_t { None = 0 };
using PortAtom = uint32_t;  // ports that all rules of a set treat alike; 0: those that no rule names

inline std::string to_string(ClassId id) { return std::to_string(static_cast<uint32_t>(id)); }
inline std::string to_string(SetId id) { return std::to_string(static_cast<uint32_t>(id)); }
inline std::string to_string(RuleId id) { return std::to_string(static_cast<uint32_t>(id)); }

// A Pod of this node: which rules judge what comes to it and what it sends.
struct Subject {
  SetId ingress = SetId::Open, egress = SetId::Open;
  bool operator==(const Subject&) const = default;
};

// An address of a Pod anywhere in the cluster. Pods of the host's network and those that have ended have none.
struct Address {
  PodKey pod;
  ClassId peer = ClassId::None;
  bool operator==(const Address&) const = default;
};

// An address at whose port 53 (TCP, UDP) is cluster DNS, local or another node's: to egress it is a Pod that the
// Service's selector selects, in its namespace, with the address of the node that answers; there need be none.
struct DnsPeer {
  ClassId peer = ClassId::None;
  Ip as;  // which blocks it is in
  bool operator==(const DnsPeer&) const = default;
};

// Equal memberships of a peer, in words, sorted.
struct PeerClass {
  std::vector<std::string> members;
  bool operator==(const PeerClass&) const = default;
};

struct PortRange {
  Protocol protocol = Protocol::Tcp;
  uint16_t first = 0, last = 0;
  PortAtom atom = 0;
  auto operator<=>(const PortRange&) const = default;
};
using PortRanges = std::vector<PortRange>;  // apart, in order

// Policies that judge a Pod together; all Pods that the same ones select share it.
struct Set {
  Direction direction = Direction::Ingress;
  PortsId ports = PortsId::None;
  CompactVector<PolicyKey> policies;  // that concern the direction, in the order in which they are judged
  CompactVector<NamedPort> named;     // ingress: what the Pods call the ports that rules name
  bool operator==(const Set&) const = default;
};

struct Rule {
  PolicyKey policy;
  Tier tier = Tier::Namespaced;
  Direction direction = Direction::Ingress;
  Action action = Action::Accept;
  uint32_t index = 0;  // in the policy's list of that direction
  Name name;           // of a ClusterNetworkPolicy's rule; else ""
  bool operator==(const Rule&) const = default;
};
std::string to_string(const Rule& rule);  // NetworkPolicy shop/web ingress[0]

struct VerdictKey {
  SetId set{};
  ClassId peer{};
  PortAtom port = 0;
  auto operator<=>(const VerdictKey&) const = default;
};

// The first rule of one tier that a row's shape matches.
struct Choice {
  static constexpr uint32_t kNone = UINT32_MAX;      // no rule
  static constexpr uint32_t kLast = UINT32_MAX - 1;  // isolation: after every rule
  uint32_t rank = kNone;                             // within the set and tier, the least is judged first
  Action action = Action::Deny;
  RuleId rule = RuleId::None;
  bool operator==(const Choice&) const = default;
  bool there() const { return rank != kNone; }
};
struct Verdict {
  std::array<Choice, 3> tiers;  // by Tier
  bool operator==(const Verdict&) const = default;
  void take(const Verdict& other);  // of each tier the lesser rank
};

struct Tables {
  std::map<PodKey, Subject> subjects;
  std::map<Ip, Address> addresses;
  std::map<Ip, DnsPeer> dns;
  cluster::Pod dns_pod;            // the Pod that those are taken for; without a name: there are none
  std::map<Cidr, ClassId> blocks;  // by longest match
  std::map<PortsId, PortRanges> ports;
  std::map<SetId, Set> sets;
  std::map<VerdictKey, Verdict> verdicts;
  std::map<RuleId, Rule> rules;
  std::map<ClassId, PeerClass> classes;
  std::map<PolicyKey, std::string> problems;  // policies of which something cannot be read, and what is done instead
};

// The same tables give the same text, whatever their numbers are.
std::string render(const Tables& tables);

// The other end of a flow and the port at its destination; other protocols have none.
struct Packet {
  Ip peer;
  std::optional<Protocol> protocol;  // absent: ICMP and whatever else has no ports
  uint16_t port = 0;
};
// What one direction says of a packet.
struct Decision {
  bool allowed = true;
  std::optional<Tier> tier;    // absent: no tier decided, so it is open
  RuleId rule = RuleId::None;  // None with a tier: isolated, and no rule admits it
  SetId set = SetId::Open;
  bool operator==(const Decision&) const = default;
};
ClassId class_of(const Tables& tables, const Ip& ip);
// The row of `dns` that counts for the packet; nullptr: none.
const DnsPeer* dns_peer(const Tables& tables, Direction direction, const Packet& packet);
// Whether a destination may be cluster DNS at all.
inline bool may_be_dns(Direction direction, std::optional<Protocol> protocol, uint16_t port) {
  return direction == Direction::Egress && port == 53 && (protocol == Protocol::Tcp || protocol == Protocol::Udp);
}
PortAtom atom_of(const Tables& tables, SetId set, std::optional<Protocol> protocol, uint16_t port);
// The Pod has to have a subject row; without one: not allowed.
Decision judge(const Tables& tables, const PodKey& pod, Direction direction, const Packet& packet);
Decision decide(const Verdict& verdict, SetId set);

// The rows of a set such that the first that is there, asked as (class, atom), (class, 0), (None, atom), (None, 0),
// decides alone.
std::map<VerdictKey, Decision> flatten(const Tables& tables, SetId set);

}  // namespace causeway::policy
