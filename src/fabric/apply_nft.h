// Brings the netfilter plane to the desired tables: VXLAN devices, routes, neighbours, rules, and our section of the
// nftables table. observe -> diff -> apply: a restarted agent finds no difference and writes nothing.
#pragma once

#include "fabric/apply.h"
#include "fabric/desired.h"
#include "fabric/ruleset.h"
#include "fabric/tunnels.h"

namespace causeway::fabric {

// Borrowed; all of one node.
struct NftDoors {
  netlink::Rtnetlink& net;
  nftables::Nftables& nft;
  WriteSysctl sysctl;
};

class NftApplier final : public Applier {
 public:
  NftApplier(Options options, NftDoors doors);

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override { observed_ = false; }

  Tables tables() const override { return desired_.tables(); }
  uint64_t writes() const override { return writes_; }
  // What our section of table inet causeway shall be.
  nftables::Section section() const { return section_of(desired_.tables(), options_); }
  // Whether the tunnels are as they were left. Cheap: to be asked whenever links change.
  bool tunnels_intact();

 private:
  struct Pass;
  Status observe();
  // Neighbours and forwarding of the tunnels, and the routes: what a tunnel that is made anew takes along.
  Status observe_paths();
  Result<netlink::Route> route_of(const Cidr& to, const KernelRoute& row, uint32_t table) const;

  Options options_;
  NftDoors doors_;
  Desired desired_;
  Tunnels tunnels_;
  Ruleset ruleset_;
  bool observed_ = false;
  bool nodes_synced_ = false;
  bool attachments_synced_ = false;
  uint64_t writes_ = 0;
  // As the kernel has them: deleting one needs all of its identity.
  std::map<Cidr, netlink::Route> kernel_routes_, pod_routes_;
  std::map<Cidr, netlink::Rule> rules_;
  std::map<ForwardingKey, Ip> forwarding_;
};

}  // namespace causeway::fabric
