// Flows of plane netfilter: the kernel keeps the first packets of the last seconds in dynamic sets, those that passed
// and those that policies dropped; what is new in them since the last look is told. Who decided is judged once more by
// the tables, as rules of nftables name no policy.
#pragma once

#include "policy/apply_nft.h"
#include "policy/seen.h"

namespace causeway::policy {

class NftFlows final : public FlowSource {
 public:
  // The elements that the kernel has in such a set now.
  using List = std::function<Result<nftables::Elements>(const std::string& name, const nftables::Set& set)>;
  // Borrows loop and applier.
  NftFlows(Loop& loop, NftApplier& applier, List list);

  // Looks twice a second at most, so a flow's time is that of the look.
  Status read(const std::function<void(const Seen&)>& each) override;
  // Looks that found a set full: at least so many flows were not told.
  uint64_t lost() override { return lost_; }

 private:
  Loop& loop_;
  NftApplier& applier_;
  List list_;
  TimePoint next_{};
  uint64_t lost_ = 0;
  std::map<std::string, std::set<nftables::Tuple>> known_;  // by set
};

}  // namespace causeway::policy
