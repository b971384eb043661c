// Open flows that policies forbid from now on. nf_conntrack lets them through for as long as somebody sends, so it
// forgets them: the next packet is a first one, which is judged and dropped. The other end of a TCP or SCTP flow would
// be taken for the one that opens it (conntrack takes flows up in the middle); so its packets are named in a set of the
// section, and dropped as long as they open nothing. UDP of the other end may open a flow of its own.
#pragma once

#include "kernel/conntrack/conntrack.h"
#include "kernel/nftables/nftables.h"
#include "policy/nft_rows.h"

namespace causeway::policy {

class Cut {
 public:
  void note(const nft::Suspects& suspects) { suspects_.merge(suspects); }
  // The kernel held something else for a while: any flow may be wrong.
  void note_all() { suspects_.all = true; }
  // This node's own, which reaches its Pods.
  void set_node(std::set<Ip> addresses) { node_ = std::move(addresses); }

  // Whether flows are to be judged now; or within seconds.
  bool urgent() const { return suspects_.urgent(); }
  bool pending() const { return !suspects_.empty(); }
  // What was ended since the last call, 1,000 at most.
  std::vector<conntrack::Flow> take_ended() { return std::exchange(ended_, {}); }
  // Lists what is tracked (about 1 us for each), ends what is forbidden; returns how many. After an error all is still
  // noted.
  Result<size_t> end(conntrack::Conntrack& conntrack, nftables::Nftables& nft, const nft::NftRows& rows);

  // Pure: what end() goes by.
  bool concerns(const conntrack::Flow& flow) const;
  bool forbidden(const conntrack::Flow& flow, const nft::NftRows& rows) const;

 private:
  nft::Suspects suspects_;
  std::vector<conntrack::Flow> ended_;
  std::set<Ip> node_;
};

}  // namespace causeway::policy
