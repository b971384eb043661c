// The bpf plane of one node: its programs on their hooks, its maps under their pins. Knows no domain: rows are the
// structs of bpf/abi, whoever owns a table computes them.
//
// What is pinned (default /sys/fs/bpf/causeway/v1) outlives the process: links keep programs attached, maps keep their
// rows, and opening again finds both and loads nothing when object and features are the same.
//
// Works in the network namespace of the calling thread; blocking system calls of some 10 ms at load, else of
// microseconds. Not thread-safe: one owner.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "abi/ct.h"
#include "abi/fabric.h"
#include "abi/observe.h"
#include "abi/pod.h"
#include "abi/policy.h"
#include "abi/service.h"
#include "base/ip.h"
#include "base/result.h"
#include "datapath/features.h"
#include "datapath/sockets.h"
#include "kernel/bpf/table.h"

namespace causeway::datapath {

inline constexpr const char* kDefaultPins = "/sys/fs/bpf/causeway/v1";

using Pods = bpf::Table<abi::pod_key, abi::pod_value>;
using Routes = bpf::Table<abi::route_key, abi::route_value>;
using Peers = bpf::Table<abi::peer_key, abi::peer_value>;
using Uplinks = bpf::Table<uint32_t, abi::uplink_value>;  // by ifindex
using Conntrack = bpf::Table<abi::ct_key, abi::ct_value>;
using Services = bpf::Table<abi::service_key, abi::service_value>;
using Slots = bpf::Table<abi::slot_key, uint32_t>;
// Arrays: a row of zeroes is none (array.h).
using Backends = bpf::Table<uint32_t, abi::backend_value>;
using BackendConnections = bpf::Table<uint32_t, uint32_t>;
using Affinity = bpf::Table<abi::affinity_key, abi::affinity_value>;
using SocketFlows = bpf::Table<abi::socket_key, abi::socket_value>;
using NodeAddresses = bpf::Table<abi::ip_addr, uint32_t>;
using ServiceRanges = bpf::Table<abi::range_key, uint32_t>;
using SourceRanges = bpf::Table<abi::source_key, uint32_t>;
using Clients = bpf::Table<uint64_t, abi::client_value>;  // by netns cookie
using ServiceMarks = bpf::Table<uint32_t, uint32_t>;      // by ifindex modulo SERVICE_MARKS
using DnsHere = bpf::Table<uint32_t, uint32_t>;           // by the place in Features::dns: 1 or none
using PolicyAddresses = bpf::Table<abi::policy_address_key, uint32_t>;
using PolicyBlocks = bpf::Table<abi::policy_block_key, uint32_t>;
using PolicyPorts = bpf::Table<abi::policy_port_key, uint32_t>;
using PolicySets = bpf::Table<abi::policy_set_key, abi::policy_set_value>;
using PolicyVerdicts = bpf::Table<abi::policy_verdict_key, abi::policy_verdict_value>;
using PolicyEpoch = bpf::Table<uint32_t, uint32_t>;  // row 0
using PolicyFlows = bpf::Table<abi::ct_key, abi::policy_flow>;

// By whom the Pod at a device is judged, in the rows of one bank; a set of 0: by nobody.
struct PodSubject {
  uint32_t ifindex = 0;  // counts only while the address is this device's
  uint32_t bank = 0;     // not 0
  uint32_t ingress_set = 0;
  uint32_t egress_set = 0;
  auto operator<=>(const PodSubject&) const = default;
};
// The policies' part of pods(); a key without one: nothing passes.
using PodSubjects = bpf::Table<abi::pod_key, PodSubject>;

struct PolicyTables {
  PodSubjects& subjects;
  PolicyAddresses& addresses;
  PolicyBlocks& blocks;
  PolicyPorts& ports;
  PolicySets& sets;
  PolicyVerdicts& verdicts;
  PolicyEpoch& epoch;
};

enum class Hook : uint8_t { FromPod, ToPod, UplinkIngress, UplinkEgress };
std::string_view to_string(Hook hook);  // from_pod, to_pod, uplink_ingress, uplink_egress

struct Attachment {
  IfIndex ifindex{};
  Hook hook = Hook::FromPod;
  Attach by = Attach::Tcx;  // never Auto
  bool current = false;     // runs the program of the present features, attached as they say
  auto operator<=>(const Attachment&) const = default;
};
std::string to_string(const Attachment& attachment);

struct Counter {
  uint64_t packets = 0;
  uint64_t bytes = 0;
  auto operator<=>(const Counter&) const = default;
};

// Rows that there shall be room for.
struct ServiceRows {
  uint32_t services = 0;
  uint32_t slots = 0;
  uint32_t backends = 0;  // highest number + 1
  uint32_t source_ranges = 0;
};

struct PolicyRows {
  uint32_t addresses = 0;
  uint32_t sets = 0;
  uint32_t verdicts = 0;
};

struct Options {
  // In a bpffs; created. The mount is the caller's (see mount_bpffs in kernel/bpf/pins.h).
  std::string pins = kDefaultPins;
  Features features;
  // Rows, two for each flow. Another number than the pinned map has: live flows are copied into a new one.
  uint32_t conntrack_entries = 32768;
  // The cgroup (v2) whose processes' sockets the hooks serve; "": the root of all.
  std::string cgroup;
  // For the maps of Services, at first; 0: as abi/service.h has it.
  ServiceRows service_rows;
};

class Datapath {
 public:
  // Unsupported names the kernel feature that is missing; Denied what privilege. After an error nothing new stays
  // attached and pinned programs still run.
  static Result<std::unique_ptr<Datapath>> open(Options options);
  ~Datapath();

  const Features& features() const;
  // How this hook is attached: Tcx or Clsact.
  Attach attach_mode(Hook hook) const;
  // Loads programs for these features and swaps them in everywhere that something is attached.
  Status set_features(Features features);

  // All three are idempotent and replace an older program atomically. `host_side` is the Pod's veth in the node's
  // namespace; its row in pods() should be there first, or its packets are dropped as spoofed.
  Status attach_pod(IfIndex host_side);
  Status attach_uplink(IfIndex uplink);
  // Nothing attached there, or no such device: no error.
  Status detach(IfIndex ifindex);
  // What is attached now, sorted; pins of devices that are gone are removed on the way.
  Result<std::vector<Attachment>> attached();

  // The socket hooks that are attached now, in the order of SocketHook.
  Result<std::vector<SocketAttachment>> attached_sockets();
  // Attaches those that somebody detached; nothing where all are in place, or without socket_hooks.
  Status repair_sockets();

  // Makes room for so many rows at least: a full map is replaced by one of twice the size or more, with its rows, and
  // the programs by ones that use it; no packet notices. Nothing where there is room. Exhausted names what the kernel
  // refused. After an error either nothing has changed, or swap_pending(): rows go to the larger maps already, while
  // some program reads the former ones; call again, which first tries to replace it.
  Status reserve_services(const ServiceRows& rows);
  Status reserve_policy(const PolicyRows& rows);
  // Policies count from here on, where Features::policy asked for it. They did not before if open() found Pods of an
  // agent that knew no policies: those would have been cut off until somebody said what judges them.
  Status enforce_policy();
  // Whether something that is attached may be an older program, because replacing it failed.
  bool swap_pending() const;

  // All tables stay valid for the life of this object, also when their maps grow.
  Pods& pods();
  Routes& routes();
  Peers& peers();
  Uplinks& uplinks();
  Conntrack& conntrack();
  Services& services();
  Slots& slots();
  Backends& backends();
  BackendConnections& backend_connections();
  Affinity& affinity();
  SocketFlows& socket_flows();
  NodeAddresses& node_addresses();
  ServiceRanges& service_ranges();
  SourceRanges& source_ranges();
  Clients& clients();
  ServiceMarks& service_marks();
  DnsHere& dns_here();
  PolicyTables policy();
  PolicyFlows& policy_flows();
  // All reasons, summed over CPUs; those never counted are 0.
  Result<std::map<abi::counter_reason, Counter>> counters() const;
  // Gives each event about a flow that waits to `event`, in the order in which they happened on each CPU. What programs
  // could not tell is counted as COUNT_EVENT_LOST. Never blocks.
  Status read_events(const std::function<void(const abi::flow_event&)>& event);
  // Removes expired pairs of conntrack and flows of policies; the number of rows removed. Correctness does not need it
  // (expiry is lazy), room does. May run on another thread than the rest: it takes 0.1 s for 512k rows.
  Result<size_t> sweep_conntrack();
  // Open flows by the number of their backend (conntrack.h); on another thread, as the sweep.
  Result<std::map<uint32_t, uint32_t>> open_connections() const;

  // Removes every link, program and map of the pin folder: the node is left as if we had never been there.
  static Status remove_all(const std::string& pins);

 private:
  struct Impl;
  explicit Datapath(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace causeway::datapath
