// Services on the netfilter plane by nftables: observe -> diff -> apply once, then what changed, each time in one
// transaction; then the tracked connections end that it leaves with a wrong target. A restarted agent finds no
// difference and writes nothing; what somebody else took away comes back the same way.
#pragma once

#include "kernel/conntrack/conntrack.h"
#include "kernel/nftables/nftables.h"
#include "service/apply.h"
#include "service/nft_rows.h"
#include "service/stale.h"

namespace causeway::service {

// Borrowed; of one node.
struct NftDoors {
  nftables::Nftables& nft;
  conntrack::Conntrack& conntrack;
  // Writes one below /proc/sys/net.
  std::function<Status(const std::string&, const std::string&)> sysctl;
};

class NftApplier final : public Applier {
 public:
  NftApplier(Options options, NftDoors doors);

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override { look_ = true; }

  const Desired& desired() const override { return desired_; }
  uint64_t writes() const override { return writes_; }
  Result<std::vector<std::string>> differences() override;

  // What the section shall be, for people: as `nft list table inet causeway` prints it.
  nftables::Section section() const { return rows_.section(); }
  // Tracked connections that were ended since the start.
  uint64_t ended_flows() const { return ended_flows_; }

  // For tests, in place of changed().
  Desired& rows() { return desired_; }
  void set_complete() { complete_ = ranges_complete_ = true; }

 private:
  Status look();
  Status observe_and_apply();
  Status apply_dirty();
  Status send(const nftables::Transaction& transaction);
  // 127.0.0.1 is carried over links only where that is switched on.
  Status allow_localhost();
  void clean();

  Options options_;
  NftDoors doors_;
  Desired desired_;
  nft::NftRows rows_;
  StaleFlows stale_;
  bool complete_ = false;  // all Services and EndpointSlices are known: until then nothing is touched
  bool ranges_complete_ = false;
  bool observed_ = false;
  bool look_ = false;    // whether others changed anything is to be asked
  uint32_t others_ = 0;  // their transactions, when the kernel was observed
  bool localhost_ = false;
  uint64_t writes_ = 0;
  uint64_t ended_flows_ = 0;
};

}  // namespace causeway::service
