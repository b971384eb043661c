// Plane netfilter: the section "dns" of table inet causeway. What Pods and the node ask at an address that is answered
// here is not tracked, so no rule of Services meets it, whoever wrote them (nftables, iptables): a question changes
// over to another node's process, and back, with the next packet. Whatever comes in from outside is dropped.
#pragma once

#include "dns/apply_local.h"
#include "kernel/nftables/nftables.h"

namespace causeway::dns {

namespace nft {

inline constexpr const char* kSection = "dns";
nftables::Section section(const std::vector<Ip>& addresses, const std::set<Ip>& here);

}  // namespace nft

class NftLocal final : public LocalDoor {
 public:
  // `addresses`: all of cluster DNS. Borrows the door.
  NftLocal(nftables::Nftables& nft, std::vector<Ip> addresses) : nft_(nft), addresses_(std::move(addresses)) {}

  Status answer(const std::set<Ip>& here) override;
  Result<std::set<Ip>> answering() override;

 private:
  nftables::Nftables& nft_;
  const std::vector<Ip> addresses_;
};

}  // namespace causeway::dns
