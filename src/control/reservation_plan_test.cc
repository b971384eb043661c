#include "control/reservation_plan.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::control;

TEST_CASE("a kept address is free when nobody will make its Pod again, and not a moment before") {
  kube::AddressReservationSpec kept{.pod_name = "db-1", .owner = kube::ReservationOwner{"StatefulSet", "db", "u"}};
  const ReservationRules rules{.after_deletion = 30s, .after_scaling = 600s};
  for (const Maker maker : {Maker::Wants, Maker::Smaller, Maker::Gone, Maker::Nobody})
    CHECK(!free_after(kept, true, maker, rules));
  CHECK(!free_after(kept, false, Maker::Wants, rules));
  CHECK(free_after(kept, false, Maker::Gone, rules) == 30s);
  CHECK(free_after(kept, false, Maker::Renames, rules) == 30s);
  CHECK(!free_after(kept, true, Maker::Renames, rules));
  CHECK(free_after(kept, false, Maker::Smaller, rules) == 600s);
  CHECK(free_after(kept, false, Maker::Nobody, rules) == 600s);
  kept.owner.reset();  // made by hand
  CHECK(!free_after(kept, false, Maker::Gone, rules));
}

TEST_CASE("the ordinal of a StatefulSet's Pod") {
  CHECK(ordinal_of("db-0", "db") == 0);
  CHECK(ordinal_of("my-db-12", "my-db") == 12);
  CHECK(!ordinal_of("db-01", "db"));
  CHECK(!ordinal_of("db-x", "db"));
  CHECK(!ordinal_of("db-", "db"));
  CHECK(!ordinal_of("db", "db"));
  CHECK(!ordinal_of("dbx-1", "db"));
}

TEST_CASE("which controllers make no Pod of a name again") {
  for (const char* kind : {"ReplicaSet", "ReplicationController", "DaemonSet", "Job"}) CHECK(gives_new_names(kind));
  for (const char* kind : {"StatefulSet", "Pod", "Cluster", ""}) CHECK(!gives_new_names(kind));
}
