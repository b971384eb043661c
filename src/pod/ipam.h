// The addresses of this node's Pods: one block for each family, and the journal that survives a kill at any
// instruction. Everything here is quick (memory and one write to tmpfs) and runs on the loop's thread.
//
//   auto lease = TRY(ipam.reserve(record, now));   // journaled; undone by its destructor
//   ... make the Pod's link ...
//   TRY(std::move(lease).commit(cookie));          // kept until release()
#pragma once

#include <functional>

#include "pod/address_block.h"
#include "pod/journal.h"

namespace causeway::pod {

class Ipam;

// The addresses of an ADD that has not ended yet. Destroying it gives them back.
class Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  const Record& record() const;
  // From here on the attachment is the Pod's. After an error the lease still holds.
  Status commit(uint64_t netns_cookie);
  // A packet may have carried the addresses: on destruction they cool.
  void mark_used(TimePoint now) { used_ = now; }

 private:
  friend class Ipam;
  Lease(Ipam& ipam, Key key) : ipam_(&ipam), key_(std::move(key)) {}
  Ipam* ipam_;
  Key key_;
  std::optional<TimePoint> used_;
};

struct IpamOptions {
  std::string boot_id;      // /proc/sys/kernel/random/boot_id
  Duration cooldown = 30s;  // an address rests this long after its release
  uint64_t seed = 0;        // where the search for a fresh address begins
  // Why an address outside of the blocks is the cluster's own, and hence no Pod's by name, whoever promised it; "": it
  // is not. Absent: all are free.
  std::function<std::string(const Ip&)> why_not;
};

class Ipam {
 public:
  // Reads the journal. What it cannot understand is set aside and, like a missing one, replaced by what `observe` tells
  // of the kernel (the aliases of our links). Borrows the storage. Must outlive its leases.
  static Result<std::unique_ptr<Ipam>> open(Storage& storage, IpamOptions options,
                                            const std::function<Result<std::vector<Record>>()>& observe);

  // The node's Pod CIDRs, at most one for each family; none: nothing can be reserved. Addresses of Pods that live stay
  // theirs when the CIDRs change.
  void set_blocks(const std::vector<Cidr>& cidrs, TimePoint now);
  std::vector<Cidr> blocks() const;

  // Whose each reserved address is (cluster/model: AddressReservation), wherever it lies. Nobody else gets it.
  void set_reservations(std::map<Ip, cluster::PodKey> reservations, TimePoint now);
  const std::map<Ip, cluster::PodKey>& reservations() const { return reservations_; }

  // One address of every block, or none. Takes key, namespace and Pod from `wish`; `wanted` are addresses by name, at
  // most one for each family, of a block or reserved for this Pod. AlreadyExists: the key has some. Denied: one that is
  // wanted is taken, another's, the cluster's own, outside or of a family without a block; Unavailable: an earlier life
  // of this Pod still has it. Exhausted: the message says by whom.
  Result<Lease> reserve(Record wish, TimePoint now, const std::vector<Ip>& wanted = {});
  // Keeps an attachment whose addresses another plugin gave (Role::Chained): they are of no block here, neither held
  // nor cooled. AlreadyExists: the key is taken.
  Result<Lease> adopt(Record wish, TimePoint now);
  // Committed or left over -> gone, its addresses cool. An unknown key is fine. On error (the journal cannot be
  // written) they are free in memory all the same, and a restart finds them held until its garbage collection.
  Status release(const Key& key, TimePoint now);
  // Learns the cookie of a record that was rebuilt without one.
  Status set_cookie(const Key& key, uint64_t netns_cookie);

  const Record* find(const Key& key) const;
  // Whose address this is.
  const Record* holder(const Ip& ip) const;
  // Every address of the blocks, block by block.
  struct Explained {
    Cidr block;
    uint64_t capacity = 0, held = 0, cooling = 0, reserved = 0;
    std::vector<AddressBlock::Span> spans;
  };
  std::vector<Explained> explain(TimePoint now) const;
  const std::map<Key, Record>& records() const { return state_.records; }
  // Ok, or why an ADD now would find no address.
  Status available(TimePoint now) const;
  // For people: blocks, then records.
  std::string render(TimePoint now) const;

 private:
  friend class Lease;
  Ipam(Storage& storage, IpamOptions options, JournalState state, uint64_t size);
  Result<Lease> keep(Record wish);
  void abandon(const Key& key, std::optional<TimePoint> used);
  void forget(const Key& key, std::optional<TimePoint> released);
  // Takes it out of its block, if it is of one. Denied, with the reason.
  Status take_by_name(const Ip& ip, const cluster::PodKey& pod);
  void give_back(const Ip& ip);
  std::string holders() const;
  void maybe_compact(TimePoint now);
  JournalState snapshot(TimePoint now) const;
  AddressBlock* block_of(const Ip& ip);

  IpamOptions options_;
  JournalState state_;  // .cooling only what is in no block now
  Journal journal_;
  std::vector<AddressBlock> blocks_;
  std::map<Ip, Key> by_address_;
  std::map<Ip, cluster::PodKey> reservations_;
};

}  // namespace causeway::pod
