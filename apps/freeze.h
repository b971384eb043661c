// A moment in which a node changes hands without a connection that is half known: while it lasts, TCP segments that
// could end up with whoever does not know their connection are dropped, and TCP sends them again. What nf_conntrack
// translates it goes on translating, whoever's rules are removed meanwhile: that needs a chain of type nat.
#pragma once

#include <set>

#include "base/ip.h"
#include "kernel/nftables/nftables.h"

namespace causeway::apps {

class Freeze {
 public:
  enum class What {
    Nothing,     // nf_conntrack follows what meets netfilter, and translates what it knows
    Continuing,  // what belongs to no tracked connection and opens none: its translation is being told just now
    New,         // what belongs to no tracked connection: those that are known stay all there are
  };
  using Answering = std::set<std::pair<uint8_t, Endpoint>>;  // protocol, source
  // Drops of what meets netfilter. Drops end by themselves after some seconds, also if this process is killed before.
  // What `untracked` send to this node passes netfilter by: it is somebody's translation already.
  static Result<Freeze> begin(nftables::Nftables& nft, What what, const Answering& untracked = {});
  Status become(What what, const Answering& untracked = {});
  Status end();  // else the destructor does, and logs what fails
  Freeze(Freeze&& other) noexcept : nft_(std::exchange(other.nft_, nullptr)) {}
  ~Freeze();

 private:
  explicit Freeze(nftables::Nftables& nft) : nft_(&nft) {}
  nftables::Nftables* nft_;  // nullptr: moved away
};

// What one that was killed left.
Status remove_freeze(nftables::Nftables& nft);

}  // namespace causeway::apps
