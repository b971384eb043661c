// Flows that nf_conntrack carries through Services, out of the cluster and in from there, as rows of the bpf plane's
// own conntrack: packets of that plane do not meet netfilter, so a connection that was opened while netfilter
// translated goes on only if its pair of rows is there when our programs come (a segment of a flow that nobody knows is
// answered by a reset). The way back is hand_back.h.
//
//   before and once more right after the programs are attached, the tables of Services written:
//     const AdoptTables tables = TRY(read_tables(doors));
//     auto flows = TRY(adopt_flows(*conntrack, tables, doors, now, Whose::Others));
//   once the rules of netfilter are gone, what netfilter still remembers:
//     TRY(adopt_flows(*conntrack, tables, doors, now, Whose::Node));
//     TRY(forget_flows(*conntrack, TRY(adopt_flows(*conntrack, tables, doors, now, Whose::Others))));
#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "abi/ct.h"
#include "abi/fabric.h"
#include "abi/pod.h"
#include "abi/service.h"
#include "kernel/bpf/table.h"
#include "kernel/conntrack/conntrack.h"

namespace causeway::service {

struct KnownBackend {
  uint32_t number = 0, generation = 0;
  auto operator<=>(const KnownBackend&) const = default;
};
// Service (service_value.id), address, port (network byte order), protocol.
using BackendPlace = std::tuple<uint32_t, abi::ip_addr, uint16_t, uint8_t>;

// What a flow is judged by, as the maps hold it.
struct AdoptTables {
  std::map<abi::service_key, abi::service_value> services;
  std::map<BackendPlace, KnownBackend> backends;    // those that serve
  std::map<abi::ip_addr, uint32_t> pods;            // of this node: ifindex of the host side
  std::map<abi::ip_addr, uint32_t> node_addresses;  // enum node_address_flags
  std::vector<Cidr> cluster;                        // what is no outside: prefixes of map `routes`
};

struct AdoptedFlow {
  abi::ct_key forward, reply;
  abi::ct_value forward_row, reply_row;
  // Who takes part on this node, and so must be in map service_marks: ifindex of a Pod's veth, 0: the node itself.
  std::set<uint32_t> ends;
  bool operator==(const AdoptedFlow&) const = default;
};

// Pure. Of three kinds: to a Service's address, and translated; of a Pod of this node that left with the node's
// address; from the outside to a Pod's own address, whose replies must keep it. None: any other, or over (also TCP
// that only waits for its time); from a loopback address, whose packets none of our programs sees; from the address
// that is asked, as the node does where a kube-proxy in mode ipvs made a Service's address its own (IPVS goes on
// translating these); or (UDP, SCTP) to an endpoint that no longer serves, which the next packet would leave anyhow.
// TCP keeps an endpoint that is in no table: backend 0. `now`: seconds of CLOCK_MONOTONIC.
std::optional<AdoptedFlow> adopt(const conntrack::Flow& flow, const AdoptTables& tables, uint32_t now);

// Borrowed; all of one node.
struct AdoptDoors {
  bpf::Table<abi::service_key, abi::service_value>& services;
  bpf::Table<uint32_t, abi::backend_value>& backends;
  bpf::Table<abi::pod_key, abi::pod_value>& pods;
  bpf::Table<abi::ip_addr, uint32_t>& node_addresses;
  bpf::Table<abi::ct_key, abi::ct_value>& conntrack;
  bpf::Table<uint32_t, uint32_t>& marks;
  bpf::Table<abi::route_key, abi::route_value>& routes;
};
Result<AdoptTables> read_tables(const AdoptDoors& doors);

// Writes the rows of every flow that nf_conntrack knows and ours does not; all that both know now. A live row of ours
// stays: the programs know more of it. The marks come first (all bits: the programs set single ones meanwhile), then
// reply rows, then forward rows, so that no answer passes untranslated. About 2 us for each connection that is tracked.
// What the node itself opened is translated by netfilter on its way out for as long as that knows it, and its answers
// must not be translated by us before. So Node adopts one by one, and lets netfilter forget each at once.
// An answer between both steps would be translated by us, and be no part of a connection that netfilter knows: those
// of Answering must not be tracked meanwhile.
enum class Whose { Node, Others, All };
// Who answers what the node itself opened, as it sees them: protocol, address and port.
using Answering = std::set<std::pair<uint8_t, Endpoint>>;
Result<std::vector<conntrack::Flow>> adopt_flows(conntrack::Conntrack& from, const AdoptTables& tables,
                                                 const AdoptDoors& doors, uint32_t now, Whose whose);
// What there is to adopt. Writes nothing.
struct Carried {
  size_t flows = 0;
  Answering own;
};
Result<Carried> carried_flows(conntrack::Conntrack& from, const AdoptTables& tables, uint32_t now);
// Whether rows translate what the node itself opened: somebody's new rules would balance these flows anew, unless
// nf_conntrack follows them. Sockets that the hooks serve have no rows.
Result<bool> translates_own(const bpf::Table<abi::ct_key, abi::ct_value>& rows, uint32_t now);
// Without its rules nf_conntrack would go on translating what the node itself sends, as long as anybody has a chain of
// type nat, and would be asked again by the next adoption, when the flow is long over.
Status forget_flows(conntrack::Conntrack& from, const std::vector<conntrack::Flow>& flows);
// Only those that the node itself answers: netfilter meets their packets behind our translation, as another flow.
Status forget_answered_here(conntrack::Conntrack& from, const std::vector<conntrack::Flow>& flows,
                            const AdoptTables& tables);

}  // namespace causeway::service
