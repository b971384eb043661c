// Gives back the addresses that were kept for Pods that will not come again (AddressReservation objects). Looks at all
// of them now and then; a StatefulSet is asked for once a round, a Pod only where its StatefulSet no longer wants it.
#pragma once

#include <map>
#include <optional>

#include "async/scope.h"
#include "control/reservation_plan.h"
#include "kube/client/cache.h"

namespace causeway::control {

class Reservations {
 public:
  static constexpr Duration kRound = 10s;

  // Borrows both.
  Reservations(Loop& loop, kube::Client& api, ReservationRules rules);
  void start();
  size_t kept() const { return objects_.size(); }

 private:
  struct Set {                   // what counts of a StatefulSet
    int64_t first = 0, end = 0;  // its ordinals
  };
  using Sets = std::map<kube::Ref, std::optional<Set>>;  // of this round; nullopt: there is none

  Task<Status> run();
  Task<Status> round();
  Task<Status> look(kube::AddressReservation reservation, Sets& sets);
  Task<Result<Maker>> maker_of(kube::AddressReservationSpec spec, Sets& sets);
  Task<Result<bool>> exists(kube::Ref pod);

  Loop& loop_;
  kube::Client& api_;
  ReservationRules rules_;
  kube::Cache<kube::AddressReservation> objects_;
  std::map<std::string, TimePoint> unused_since_;  // by name
  Scope scope_;                                    // last
};

}  // namespace causeway::control
