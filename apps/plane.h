// The plane of a node as the agent composes it: what carries the packets, and all that only this plane has. The rest of
// the agent is the same on both.
#pragma once

#include "apps/agent.h"
#include "apps/plane_change.h"
#include "async/scope.h"
#include "cluster/feed/feed.h"
#include "dns/apply_local.h"
#include "fabric/apply.h"
#include "kernel/netlink/rtnetlink.h"
#include "observe/endpoint.h"
#include "policy/apply.h"
#include "policy/seen.h"
#include "service/apply.h"

namespace causeway::apps {

class NodePlane {
 public:
  virtual ~NodePlane() = default;

  virtual fabric::Applier& fabric() = 0;
  // nullptr: this agent balances no Services.
  virtual service::Applier* service() { return nullptr; }
  // nullptr: this agent enforces no policies.
  virtual policy::Applier* policy() { return nullptr; }
  // What the kernel tells of flows that policies judge; nullptr: nothing.
  virtual policy::FlowSource* flows() { return nullptr; }
  // How this plane leads to the node's own DNS; nullptr: options name no address of it.
  virtual dns::LocalDoor* dns() = 0;
  // Everything that is fed from the model; the fabric first.
  virtual std::vector<cluster::Consumer*> consumers() = 0;
  // Why Pods cannot have ports of this node (hostPort); "" when they can.
  virtual std::string why_no_host_ports() const = 0;
  // The same for a Pod whose interface another plugin made.
  virtual std::string why_no_foreign_host_ports() const = 0;
  // Why Pods cannot come now; "" when they can. The feed is touched when it changes.
  virtual std::string why_no_pods() const { return ""; }
  // Its own endless works.
  virtual void start(Scope& scope, cluster::Feed& feed) = 0;
  // Whether devices of its own are as it left them; asked when links changed. If not, the feed should audit.
  virtual bool devices_intact() { return true; }
  // Its metrics and pages.
  virtual void describe(observe::Endpoint& endpoint) = 0;
};

struct PlaneSetup {
  Loop& loop;
  const AgentOptions& options;
  netlink::Rtnetlink& net;
  PlaneChange change = {};  // settled by open_plane()
};
// What the kernel lacks, and what stands in the way, is refused in one sentence.
Result<std::unique_ptr<NodePlane>> open_plane(PlaneSetup setup);  // by options.plane
Result<std::unique_ptr<NodePlane>> open_bpf_plane(const PlaneSetup& setup);
Result<std::unique_ptr<NodePlane>> open_netfilter_plane(const PlaneSetup& setup);

// All addresses of cluster DNS; none where it is off.
std::vector<Ip> dns_addresses(const AgentOptions& options);
cluster::FixedRanges fixed_ranges(const AgentOptions& options);
fabric::Options fabric_options(const AgentOptions& options);
// With what follows from the plane.
service::Options service_options(const AgentOptions& options);

}  // namespace causeway::apps
