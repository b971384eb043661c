#include "control/reservations.h"

#include "base/log.h"
#include "kube/api/types.h"

namespace causeway::control {

Reservations::Reservations(Loop& loop, kube::Client& api, ReservationRules rules)
    : loop_(loop), api_(api), rules_(rules), objects_(api), scope_(loop) {}

void Reservations::start() {
  objects_.start();
  scope_.spawn("kept addresses", run());
}

Task<Status> Reservations::run() {
  for (;;) {
    CO_TRY(co_await loop_.sleep(kRound));
    if (!objects_.synced()) continue;
    if (auto done = co_await round(); !done) {
      if (done.error().code() == Errc::Cancelled) co_return done;
      log::warning("kept addresses: {}; looking again in {} s", done.error().message(), kRound / 1s);
    }
  }
}

Task<Status> Reservations::round() {
  std::vector<kube::AddressReservation> all;
  objects_.for_each([&](const kube::AddressReservation& one) { all.push_back(one); });
  std::erase_if(unused_since_, [&](const auto& entry) { return objects_.find({.name = entry.first}) == nullptr; });
  Sets sets;
  for (auto& one : all) CO_TRY(co_await look(std::move(one), sets));
  co_return ok();
}

Task<Status> Reservations::look(kube::AddressReservation reservation, Sets& sets) {
  const std::string name = reservation.metadata.name;
  const kube::AddressReservationSpec& spec = reservation.spec;
  const Maker maker = CO_TRY(co_await maker_of(spec, sets));
  const bool pod_exists = maker == Maker::Wants || CO_TRY(co_await exists({spec.pod_namespace, spec.pod_name}));
  const auto patience = free_after(spec, pod_exists, maker, rules_);
  if (!patience) {
    unused_since_.erase(name);
    co_return ok();
  }
  const auto since = unused_since_.try_emplace(name, loop_.now()).first->second;
  if (loop_.now() - since < *patience) co_return ok();
  // With its version: a Pod that claims it in this moment keeps it.
  auto gone = co_await api_.remove<kube::AddressReservation>(
      {.name = name}, {.uid = reservation.metadata.uid, .resource_version = reservation.metadata.resource_version});
  if (!gone && gone.error().code() != Errc::NotFound && gone.error().code() != Errc::Conflict) co_return gone;
  if (gone)
    log::info("{} is no longer kept for Pod {}/{}: {}", spec.address, spec.pod_namespace, spec.pod_name,
              maker == Maker::Gone      ? "its StatefulSet was deleted"
              : maker == Maker::Renames ? "its name never comes again"
                                        : "nothing has made it again");
  unused_since_.erase(name);
  co_return ok();
}

Task<Result<Maker>> Reservations::maker_of(kube::AddressReservationSpec spec, Sets& sets) {
  if (spec.owner && gives_new_names(spec.owner->kind)) co_return Maker::Renames;
  if (!spec.owner || spec.owner->kind != kube::StatefulSet::kKind.kind) co_return Maker::Nobody;
  const kube::Ref ref{spec.pod_namespace, spec.owner->name};
  auto known = sets.find(ref);
  if (known == sets.end()) {
    const auto found = co_await api_.get<kube::StatefulSet>(ref);
    if (!found && found.error().code() != Errc::NotFound) co_return fail(found.error());
    std::optional<Set> set;
    if (found) {
      const int64_t first = found->spec.ordinals ? found->spec.ordinals->start : 0;
      set = Set{first, first + found->spec.replicas.value_or(1)};
    }
    known = sets.emplace(ref, set).first;
  }
  if (!known->second) co_return Maker::Gone;
  const auto ordinal = ordinal_of(spec.pod_name, ref.name);
  if (!ordinal) co_return Maker::Nobody;
  co_return *ordinal >= known->second->first && *ordinal < known->second->end ? Maker::Wants : Maker::Smaller;
}

Task<Result<bool>> Reservations::exists(kube::Ref pod) {
  auto answer = co_await api_.request("GET", kube::object_path(kube::Pod::kKind, pod.ns, pod.name));
  if (answer) co_return true;
  if (answer.error().code() == Errc::NotFound) co_return false;
  co_return fail(std::move(answer.error()));
}

}  // namespace causeway::control
