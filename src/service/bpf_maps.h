// The maps of Services of one node (bpf/abi/service.h) as the desired tables want them. Numbers of Services, pools and
// backends are given here and found again in the kernel after a restart, which therefore writes nothing.
//
// Order of every pass, so that each single write leaves every Service whole:
//   1. backends that come, 2. slots, 3. rows of `services` (the flip), 4. rows that go, 5. backends that go,
//   6. 100 ms later the slots that nobody names; the numbers of backends are free again then, too.
#pragma once

#include <functional>

#include "async/loop.h"
#include "cluster/feed/consumer.h"
#include "service/desired.h"
#include "service/kernel_rows.h"
#include "service/numbers.h"

namespace causeway::service {

using Connections = bpf::Table<uint32_t, uint32_t>;
using NodeAddresses = bpf::Table<abi::ip_addr, uint32_t>;
using Ranges = bpf::Table<abi::range_key, uint32_t>;
using Clients = bpf::Table<uint64_t, abi::client_value>;

// Rows that the maps must have room for; of `backends` the highest number + 1.
struct MapRoom {
  uint32_t services = 0, slots = 0, backends = 0, source_ranges = 0;
};

// Borrowed; all of one node.
struct BpfDoors {
  Loop& loop;
  Services& services;
  Slots& slots;
  Backends& backends;
  Connections& connections;
  NodeAddresses& node_addresses;
  Ranges& ranges;
  Sources& sources;
  Clients& clients;
  // Makes maps larger where they must be. What does not fit all the same fails when it is written.
  std::function<Status(const MapRoom&)> reserve;
  // After a reserve() that failed: whether programs still read maps that are no longer written. It is called again.
  std::function<bool()> programs_behind = nullptr;
  // Attaches the socket hooks that somebody detached; with every look at the maps.
  std::function<Status()> repair_hooks = nullptr;
};

class BpfMaps {
 public:
  // Readers of a slot are long done with it.
  static constexpr Duration kRest = 100ms;

  BpfMaps(BpfDoors doors, Desired& desired) : doors_(std::move(doors)), desired_(desired) {}

  // `complete`: all that the tables are made of is known, what is not in them is not there. Until then only what this
  // node knows by itself is written (host ports, clients, its addresses), and nothing is removed. `ranges`: the
  // ServiceCIDRs are known too; until then a range of a former life stays.
  Result<std::vector<cluster::Failure>> apply(bool complete, bool ranges = true);
  // The same; others get their turn in between where it takes long. `desired` must not change meanwhile.
  Task<Result<std::vector<cluster::Failure>>> apply_in_turns(bool complete, bool ranges = true);
  // The next apply() reads the maps again.
  void forget() { observed_ = false; }
  // Whether all that was wanted has been written, nothing has failed, and intact() may be asked.
  bool settled() const;
  // Whether these maps hold just what was written: what a look at all of them finds, at a tenth of its cost, and a part
  // at a time, so that others get their turn in between. Nothing is repaired.
  enum class Part : uint8_t { Small, Services, Slots, Backends, Sources };
  static constexpr Part kParts[] = {Part::Small, Part::Services, Part::Slots, Part::Backends, Part::Sources};
  Result<bool> intact(Part part) const;
  Status repair_hooks();
  // What the maps hold now and should not, or the other way round: a line for each.
  Result<std::vector<std::string>> differences();

  // Rows written since the start.
  uint64_t writes() const { return writes_; }
  // "default/web:http -> 10.244.1.5:80"; empty for a number that is nobody's.
  std::string name_of(uint32_t backend) const;
  uint32_t id_of(const PortId& port) const;  // 0: none
  // Whether anybody balances by open flows.
  bool counts_connections() const;
  // Corrects the counts of open flows: `open` by number, from conntrack.
  Status count_connections(const std::map<uint32_t, uint32_t>& open);

 private:
  struct Pass;
  struct PortState;

  struct Member {
    Endpoint at;
    uint32_t number = 0;
  };
  struct RowOf {
    FrontendKey key;
    PortState* port;
  };
  struct ByKey {
    static const FrontendKey& of(const RowOf& row) { return row.key; }
    static const FrontendKey& of(const FrontendKey& key) { return key; }
    bool operator()(const auto& a, const auto& b) const { return of(a) < of(b); }
  };
  // One port as the kernel has it.
  struct PortState {
    const PortId* id = nullptr;            // its key
    CompactVector<FrontendKey> frontends;  // sorted
    PortHeader header;
    bool flipped = false;                         // its rows carry `header`
    uint32_t cluster_epoch = 0, local_epoch = 0;  // the last one used
    CompactVector<uint32_t> cluster, local;       // rows of slots; none where the pool is a run
    CompactVector<uint32_t> members;              // numbers of backends, sorted by their addresses

    CompactVector<uint32_t>& slots(Pool pool) { return pool == Pool::Cluster ? cluster : local; }
    // The backend of each slot, whether or not there are rows of them.
    std::vector<uint32_t> slots_now(Pool pool) const;
    uint32_t& epoch(Pool pool) { return pool == Pool::Cluster ? cluster_epoch : local_epoch; }
  };

  static constexpr size_t kAtOnce = 2000;  // dirty rows that need no turns

  Status look();
  Status observe();
  Result<bool> services_intact() const;
  Result<bool> slots_intact() const;
  Result<bool> backends_intact() const;
  Result<bool> sources_intact() const;
  Result<bool> small_intact() const;
  Status observe_small();  // the tables whose rows need no numbers
  PortState& state_of(const PortId& id);
  Endpoint at(uint32_t number) const;  // of a backend that was written
  void adopt(PortState& port);
  void adopt_slots(PortState& port, Pool pool, const std::vector<const abi::service_value*>& rows);
  void retire(const abi::slot_key& key) { retired_[key] = doors_.loop.now() + kRest; }
  void rest_and_clean();
  void clean();

  BpfDoors doors_;
  Desired& desired_;
  bool observed_ = false;
  uint64_t writes_ = 0;

  StableMap<PortId, PortState> ports_;
  SortedChunks<RowOf, ByKey> port_of_;
  std::map<uint32_t, std::set<abi::source_key>> sources_;  // by id, as the kernel has them
  BackendNumbers numbers_;
  uint32_t last_id_ = 0;
  size_t slot_rows_ = 0, source_rows_ = 0;
  std::optional<KernelRows> kernel_;  // from observe() until a complete pass without failures

  std::map<abi::slot_key, TimePoint> retired_;
  std::vector<std::pair<TimePoint, std::vector<uint32_t>>> resting_;
  std::unique_ptr<Timer> cleaning_;
};

}  // namespace causeway::service
