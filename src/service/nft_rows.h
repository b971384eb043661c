// What the rows of Services are in the section: elements of its maps, and the chains they lead to. Remembers what was
// written, so that a change costs what it changes. Pure.
#pragma once

#include "kernel/nftables/observed.h"
#include "service/desired.h"
#include "service/nft_picks.h"

namespace causeway::service::nft {

// The endpoints of a pool, each as often as its weight says: at most kMaxWeighted of them, or each once.
inline constexpr uint32_t kMaxWeighted = 4096;
std::vector<Endpoint> slots_of(const Port& port, Pool pool);

class NftRows {
 public:
  // Takes everything anew. Endpoints of ports with affinity keep the numbers by which `actual` knows them, so that
  // clients stay where they are and nothing is written again.
  void rebuild(const Desired& desired, const nftables::Observed& actual);
  // The whole section, as it was rebuilt and updated.
  nftables::Section section() const;
  // The dirty rows of `desired` (which stay dirty): from what was written to what shall be.
  nftables::Transaction update(const Desired& desired);

 private:
  struct PortState {
    uint32_t affinity = 0;
    std::vector<Endpoint> cluster, local;  // slots
    std::map<Endpoint, uint32_t> numbers;  // with affinity: of those in pools that are used
    std::set<Ip> here;                     // endpoints that are Pods of this node
    const std::vector<Endpoint>& slots(Pool pool) const { return pool == Pool::Cluster ? cluster : local; }
  };
  using All = std::map<std::string, nftables::Elements>;  // by set

  PortState state_of(const PortId& id, const Port& port, const PortState* old, const Desired& desired);
  std::set<Pool> pools_in_use(const PortId& id) const;
  void set_port(const PortId& id, const Desired& desired);
  void set_frontend(const FrontendKey& key, const Desired& desired);
  void adopt_numbers(const Desired& desired, const nftables::Observed& actual);
  uint32_t new_number();

  // Adds what one row is; `picks` gets the chains that it leads to.
  void put_frontend(const FrontendKey& key, All& into, std::map<Pick, int>& picks) const;
  void put_port(const PortId& id, All& into) const;
  void put_globals(All& into) const;
  nftables::Verdict verdict_of(const Side& side, const PortState& port, Family family,
                               std::map<Pick, int>& picks) const;

  std::map<PortId, PortState> ports_;
  std::map<FrontendKey, Frontend> frontends_;
  std::map<PortId, std::set<FrontendKey>> frontends_of_;
  std::map<Ip, int> here_;     // endpoints of this node -> ports that have them
  std::map<Pick, int> picks_;  // -> sides of frontends that lead there
  std::set<Ip> addresses_;
  std::set<Cidr> ranges_;
  std::set<Ip> nodes_;
  std::set<uint32_t> numbers_;
  uint32_t next_number_ = kNumberTag + 1;
  uint32_t given_ = 0;  // numbers below it may have been given: what kNumbers says; 0: none was
};

}  // namespace causeway::service::nft
