// Brings our nftables table to the desired host ports: observe -> diff -> apply, one transaction; then ends the tracked
// connections that it leaves with a wrong target. A restarted agent finds no difference and writes nothing.
#pragma once

#include "cluster/feed/consumer.h"
#include "kernel/nftables/nftables.h"
#include "pod/hostport/flows.h"

namespace causeway::pod::hostport {

class Applier final : public cluster::Consumer {
 public:
  // Borrows both; of one node.
  Applier(nftables::Nftables& nft, conntrack::Conntrack& conntrack) : nft_(nft), conntrack_(conntrack) {}

  std::string_view name() const override { return "hostport"; }
  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override { observed_.reset(); }

  Tables tables() const;
  // Transactions sent since the start.
  uint64_t writes() const { return writes_; }

 private:
  Status write(const Tables& tables);
  Status end_stale_flows(const Tables& tables);

  nftables::Nftables& nft_;
  conntrack::Conntrack& conntrack_;
  std::map<Key, Tables> parts_;
  std::set<Ip> local_;   // the node's addresses
  bool synced_ = false;  // all attachments of the journal are known
  std::optional<nftables::Observed> observed_;
  std::vector<ChangedRow> changed_;  // whose flows were not looked at yet
  uint64_t writes_ = 0;
};

}  // namespace causeway::pod::hostport
