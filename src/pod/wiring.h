// The kernel's side of one Pod: a veth from the node into its namespace, with addresses, routes and neighbours. The
// seam between the CNI server and Linux. Every call blocks for about a millisecond and belongs on a worker thread; all
// may be made from several threads at once.
#pragma once

#include <memory>

#include "base/fd.h"
#include "kernel/netlink/rtnetlink.h"
#include "pod/cni_request.h"
#include "pod/record.h"

namespace causeway::pod {

using netlink::kPodGroup;
// Links that wait for their deletion: many go in one message, at the price of one.
inline constexpr uint32_t kReapGroup = 0xca41;

struct WireRequest {
  Record record;              // key, addresses and generation
  std::shared_ptr<Fd> netns;  // of the Pod
  uint32_t mtu = 0;           // bytes
};

struct Wired {
  IfIndex host{};  // the node's end
  uint64_t netns_cookie = 0;
  std::vector<ExtraInterface> extras;  // with the MACs that the kernel chose
};

// A Pod's link as the kernel has it.
struct HostLink {
  IfIndex index{};
  std::string name;
  std::optional<Record> record;  // of its alias; empty: it was never finished
};

// An interface in a Pod that another plugin made.
struct ForeignLink {
  IfIndex pod{};
  Mac mac;
  uint32_t mtu = 0;       // bytes
  IfIndex host{};         // the node's end; 0: it has none here (macvlan, a moved device)
  std::string host_name;  // "" likewise
};

// The namespace of a Pod, open.
struct PodNamespace {
  std::shared_ptr<Fd> fd;
  netns::Id id;
};

class Wiring {
 public:
  virtual ~Wiring() = default;

  // The descriptor that came along with the call, else the path. Quick. Refuses what is no network namespace, and the
  // node's own.
  virtual Result<PodNamespace> open_namespace(std::shared_ptr<Fd> given, std::string path) = 0;

  // Makes the Pod's link. On error nothing of it is left. AlreadyExists: the Pod has an interface of that name.
  virtual Result<Wired> wire(WireRequest request) = 0;
  // Macvlans go, moved devices come back under their old names, whether the Pod's namespace lives or not.
  virtual Status release_extras(Record record) = 0;
  // Moved devices of none of these containers that are back on the node get their names.
  virtual Status settle_returned(std::set<std::string> containers) = 0;
  // Hands the link over to reap(): quick. No such link is fine.
  virtual Status discard(std::string host_ifname) = 0;
  // Deletes what was discarded (20 ms for one, 60 ms for a hundred).
  virtual Status reap() = 0;
  // All links of kPodGroup.
  virtual Result<std::vector<HostLink>> observe() = 0;
  // The link of this attachment, if it is whole and of this life (generation).
  virtual Result<std::optional<IfIndex>> find(Record record) = 0;
  // Whether the Pod is as its record and the answer to its ADD say, where the answer is what runtime and later plugins
  // left of it: what it does not tell any more may have changed.
  virtual Status check(Record record, std::shared_ptr<Fd> netns, PrevResult previous) = 0;

  // Role::Chained: the interface by its namespace's path and name.
  virtual Result<ForeignLink> find_foreign(Record record) = 0;
  // Bandwidth and sysctls at an interface that is not ours, and their undoing; what is gone is undone.
  virtual Status tune_foreign(Record record) = 0;
  virtual Status untune_foreign(Record record) = 0;

  // Whether the namespace of this attachment is still there, under its path.
  virtual bool namespace_lives(Record record) = 0;
};

// Opens doors to rtnetlink; a test's may fail on purpose.
class Doors {
 public:
  virtual ~Doors() = default;
  virtual Result<std::unique_ptr<netlink::Rtnetlink>> node() = 0;
  // Called on a thread that is inside the Pod's namespace.
  virtual Result<std::unique_ptr<netlink::Rtnetlink>> pod() = 0;
};
std::unique_ptr<Doors> kernel_doors();

// Works in the network namespace of the threads that call.
std::unique_ptr<Wiring> kernel_wiring(std::unique_ptr<Doors> doors = kernel_doors());

// The MAC of the node's end of every Pod's link: that of the gateway, which all Pods share.
Mac gateway_mac();

}  // namespace causeway::pod
