// A connection between two parties, judged at both ends by the tables: what explain, matrix, diff and tests ask. Pure.
#pragma once

#include <functional>

#include "cluster/model/model.h"
#include "policy/tables.h"

namespace causeway::policy {

// A Pod, or an address that may be anybody's.
struct Party {
  std::string name;                   // as people say it: shop/web, 192.0.2.7
  const cluster::Pod* pod = nullptr;  // of the model; nullptr: an address only
  std::vector<Ip> addresses;          // at most one for each family
  // Whether policies judge it: a Pod of the Pod network.
  bool judged() const { return pod && !pod->host_network; }
  const Ip* address(Family family) const;
};
Party party_of(const cluster::Pod& pod);
// "NAMESPACE/POD", the POD of one in namespace default, or an address. Errors: Invalid; NotFound, and what is near;
// Invalid for a Pod that has ended or has no address yet, and for the address of a Service (policies judge endpoints)
// that is not among `dns`.
Result<Party> find_party(const cluster::Model& model, std::string_view text, const std::vector<Ip>& dns = {});
// The address of a Service that is cluster DNS by its name, kube-system/kube-dns; none: it is another's.
std::vector<Ip> dns_address(const cluster::Model& model, std::string_view text);

// A port at the destination; without protocol: what has no ports (ICMP).
struct Port {
  std::optional<Protocol> protocol = Protocol::Tcp;
  uint16_t port = 0;
};
std::string to_string(const Port& port);  // 80/tcp; "icmp"
// "80", "80/udp", or a name that the destination Pod has: "http". Errors: Invalid; NotFound for a name it has not.
Result<Port> parse_port(std::string_view text, const Party& to);

enum class Exempt : uint8_t {
  No,
  Itself,   // a Pod reaches itself
  OwnNode,  // a node reaches its own Pods
};

struct FlowVerdict {
  Exempt exempt = Exempt::No;
  std::optional<Decision> egress, ingress;  // absent: that end is judged by no policy
  bool allowed() const {
    return exempt != Exempt::No || ((!egress || egress->allowed) && (!ingress || ingress->allowed));
  }
};
// Both parties have an address of the family.
FlowVerdict judge_flow(const cluster::Model& model, const Tables& tables, const Party& from, const Party& to,
                       Family family, const Port& port);
std::vector<Family> shared_families(const Party& from, const Party& to);

// Every port that a connection may go to. `portless`: ICMP too.
struct Openings {
  PortRanges ranges;  // joined; atoms are 0
  bool portless = false;
  bool everything() const;
  bool nothing() const { return ranges.empty() && !portless; }
  bool operator==(const Openings&) const = default;
};
std::string to_string(const Openings& openings);  // all, -, "80/tcp 53/udp", "every tcp port"
Openings openings(const cluster::Model& model, const Tables& tables, const Party& from, const Party& to, Family family);
// What `a` has and `b` has not.
Openings without(const Openings& a, const Openings& b);

}  // namespace causeway::policy
