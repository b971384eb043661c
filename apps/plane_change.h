// A node runs on one plane. When it changes, the plane before carries its packets, Pods and all, until everything of
// the new one is in place; then connections are handed over, and what the former left goes (plane_adopt.h,
// plane_hand_back.h). The Pods' links are the same on both planes, so they stay as they are.
#pragma once

#include "async/task.h"
#include "cluster/feed/feed.h"
#include "fabric/options.h"
#include "kernel/netlink/rtnetlink.h"
#include "service/apply.h"

namespace causeway::apps {

struct AgentOptions;

struct PlaneChange {
  fabric::Plane wanted = fabric::Plane::Bpf;
  std::string pins, record;  // folder of the bpf plane's pins; file with the plane's name
  bool pending = false;      // the other plane is still there, and serves
};

// What there is to change, as the other plane's traces in the kernel tell; where there are none the plane is recorded.
// Conflict: Pods are attached, and the tunnels of both planes do not understand each other
// (docs/decisions/a-plane-changes-under-its-pods.md).
Result<PlaneChange> settle_plane(const AgentOptions& options, netlink::Rtnetlink& net);

// Ok once all that the API server has for this node is in the kernel. `services`: nullptr where none are balanced.
Task<Status> all_in_place(Loop& loop, cluster::Feed& feed, const service::Applier* services);

// Ok once every consumer has looked at the kernel anew and brought it to its tables.
Task<Status> all_audited(Loop& loop, cluster::Feed& feed);

// Removes the other plane, and records the wanted one. Rules of Services by netfilter stay: they carry the node's own
// connections until plane bpf does (plane_adopt.h).
Status remove_other_plane(const PlaneChange& change, netlink::Rtnetlink& net);

}  // namespace causeway::apps
