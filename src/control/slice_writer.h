// Writes EndpointSlices, and knows which of the writes the cache does not show yet: a decision on a stale copy would
// undo the last one.
#pragma once

#include <map>
#include <set>

#include "control/slice_pack.h"
#include "kube/client/cache.h"

namespace causeway::control {

class SliceWriter {
 public:
  // `managed_by`: the label's value of the slices that are ours. Borrows both.
  SliceWriter(kube::Client& api, kube::Cache<kube::EndpointSlice>& slices, std::string managed_by);

  // Feed it every change of the cache first. Returns the owner ("namespace", value of the service-name label) that must
  // be looked at because of it, and whether at once (it waited for this) or a while later (somebody else wrote there).
  struct Concerned {
    kube::Ref owner;
    bool at_once = false;
  };
  std::optional<Concerned> changed(const kube::EndpointSlice* old, const kube::EndpointSlice* now);

  // The slices of an owner; empty optional: the cache is behind, wait for changed().
  std::optional<std::vector<kube::EndpointSlice>> slices_of(const kube::Ref& owner);

  struct Counts {
    uint64_t created = 0, updated = 0, removed = 0;
  };
  // In this order: new ones, changes, removals. Ends at the first error; the next look at the owner does the rest.
  Task<Status> write(kube::Ref owner, SliceSet slices);
  const Counts& counts() const { return counts_; }

 private:
  struct Owner {
    std::set<std::string> slices;                // names
    std::map<std::string, std::string> written;  // name -> resourceVersion that is to come; "": it is to go
    TimePoint since{};
    bool waits = false;
    bool idle() const { return slices.empty() && written.empty() && !waits; }
  };
  static constexpr Duration kPatience = 30s;  // an event that never came
  bool is_ours(const kube::EndpointSlice& slice) const;
  void expect(const kube::Ref& owner, const std::string& name, std::string revision);

  kube::Client& api_;
  kube::Cache<kube::EndpointSlice>& slices_;
  std::string managed_by_;
  std::map<kube::Ref, Owner> owners_;
  Counts counts_;
};

}  // namespace causeway::control
