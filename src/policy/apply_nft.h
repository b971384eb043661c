// Policies on the netfilter plane by nftables: observe -> diff -> apply once, then what changed, each time in one
// transaction; then the open flows end that it forbids. A restarted agent finds other numbers and writes anew, which no
// packet notices; what somebody else took away comes back the same way.
#pragma once

#include "async/loop.h"
#include "policy/apply.h"
#include "policy/cut.h"

namespace causeway::policy {

// Borrowed; of one node.
struct NftDoors {
  nftables::Nftables& nft;
  conntrack::Conntrack& conntrack;
};
struct NftOptions {
  std::string node;
  bool ipvs = false;    // Services are balanced by IPVS
  std::vector<Ip> dns;  // addresses of cluster DNS
};

class NftApplier final : public Applier {
 public:
  NftApplier(NftOptions options, NftDoors doors);

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override { look_ = true; }

  const Desired& desired() const override { return desired_; }
  uint64_t writes() const override { return writes_; }
  Result<std::vector<std::string>> differences() override;
  Result<std::optional<Held>> held(Direction direction, const Ip& own, const Packet& packet) override;

  // Endless: looks at flows with Pods that are gone, before others have their addresses.
  Task<Status> look_after_flows(Loop& loop);

  // What the section shall be, for people: as `nft list table inet causeway` prints it.
  const nftables::Section& section() const { return rows_.section(); }
  // Whether what judges first packets is in the kernel.
  bool enforced() const { return observed_; }
  // Open flows that were ended since the start.
  uint64_t ended_flows() const { return ended_flows_; }
  // Those since the last call, 1,000 at most.
  std::vector<conntrack::Flow> take_cut() { return cut_.take_ended(); }

 private:
  Status look();
  Status observe_and_apply();
  Status apply_dirty();
  Status send(const nftables::Transaction& transaction);

  NftDoors doors_;
  Desired desired_;
  nft::NftRows rows_;
  Cut cut_;
  bool observed_ = false;
  bool look_ = false;    // whether others changed anything is to be asked
  uint32_t others_ = 0;  // their transactions, when the kernel was observed
  uint64_t writes_ = 0;
  uint64_t ended_flows_ = 0;
};

}  // namespace causeway::policy
