// Brings maps, hooks and routes of the bpf plane to the desired tables: observe -> diff -> apply. What is in the kernel
// is the checkpoint: a restarted agent compiles the same tables, finds no difference and writes nothing.
#pragma once

#include "datapath/datapath.h"
#include "fabric/apply.h"
#include "fabric/desired.h"
#include "fabric/hooks.h"
#include "kernel/netlink/rtnetlink.h"

namespace causeway::fabric {

// Borrowed; all of one node.
struct BpfDoors {
  datapath::Pods& pods;
  datapath::Routes& routes;
  datapath::Peers& peers;
  datapath::Uplinks& uplinks;
  HookPort& hooks;
  netlink::Rtnetlink& net;
};

class BpfApplier final : public Applier {
 public:
  BpfApplier(Options options, BpfDoors doors);

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override { observed_ = false; }

  Tables tables() const override { return desired_.tables(); }
  uint64_t writes() const override { return writes_; }

  // While it is held only maps are written: no program is attached and no route leads to one, so that another plane
  // goes on carrying the packets. apply() after release() does the rest; it never waits in between.
  void hold() { held_ = true; }
  void release() { held_ = observed_ = false; }

 private:
  struct Pass;
  Status observe();

  Options options_;
  BpfDoors doors_;
  Desired desired_;
  bool observed_ = false;
  bool held_ = false;
  bool nodes_synced_ = false;
  bool attachments_synced_ = false;
  uint64_t writes_ = 0;
  // Routes of ours as the kernel has them: deleting one needs all of its identity.
  std::map<Cidr, netlink::Route> kernel_routes_;
};

}  // namespace causeway::fabric
