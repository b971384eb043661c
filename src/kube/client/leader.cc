#include "kube/client/leader.h"

#include "base/log.h"

namespace causeway::kube {
namespace {

enum class Turn { Renewed, Ended, Late };

struct Election {
  Client& api;
  LeaderOptions options;
  LeaseSpec seen;  // as last read, and when it last changed by our own clock
  TimePoint seen_at{};
  bool ever_seen = false;

  Loop& loop() { return api.loop(); }
  Time now() { return std::chrono::floor<std::chrono::microseconds>(loop().wall_now()); }
  bool held_by_other() const {
    return seen.holder_identity && !seen.holder_identity->empty() && *seen.holder_identity != options.identity;
  }
};

LeaseSpec our_spec(Election& election) {
  LeaseSpec spec;
  spec.holder_identity = election.options.identity;
  spec.lease_duration_seconds =
      static_cast<int32_t>(std::chrono::duration_cast<std::chrono::seconds>(election.options.duration).count());
  spec.renew_time = election.now();
  const bool renewal = election.ever_seen && election.seen.holder_identity == election.options.identity;
  spec.acquire_time = renewal ? election.seen.acquire_time : spec.renew_time;
  spec.lease_transitions = election.seen.lease_transitions.value_or(0) + (election.ever_seen && !renewal ? 1 : 0);
  return spec;
}

// True: we hold the Lease now. Another's Lease is only taken after it stood still for its duration by our own clock, so
// no two clocks are compared.
Task<Result<bool>> acquire_or_renew(Election& election) {
  auto lease = co_await election.api.get<Lease>(election.options.lease);
  if (!lease && lease.error().code() != Errc::NotFound) co_return fail(std::move(lease.error()));
  if (!lease) {
    Lease fresh;
    fresh.metadata.ns = election.options.lease.ns;
    fresh.metadata.name = election.options.lease.name;
    fresh.spec = our_spec(election);
    auto created = CO_TRY(co_await election.api.create<Lease>(std::move(fresh)));
    election.seen = created.spec;
    election.ever_seen = true;
    co_return true;
  }
  if (!election.ever_seen || lease->spec != election.seen) {
    election.seen = lease->spec;
    election.seen_at = election.loop().now();
    election.ever_seen = true;
  }
  const auto duration = std::chrono::seconds(election.seen.lease_duration_seconds.value_or(0));
  if (election.held_by_other() && election.loop().now() - election.seen_at < duration) co_return false;
  lease->spec = our_spec(election);
  auto updated =
      CO_TRY(co_await election.api.update<Lease>(std::move(*lease)));  // the version says that nobody was faster
  election.seen = updated.spec;
  co_return true;
}

Task<void> keep_renewing(Election& election, Channel<Turn> turns) {
  for (;;) {
    if (!co_await election.loop().sleep(election.options.retry)) co_return;
    auto renewed = co_await acquire_or_renew(election);
    if (renewed && *renewed)
      turns.push(Turn::Renewed);
    else if (renewed)
      turns.push(Turn::Late);  // somebody else holds it
    else if (renewed.error().code() == Errc::Cancelled)
      co_return;
    else
      log::warning("renew the Lease {}: {}", election.options.lease, renewed.error().message());
  }
}

Task<void> do_work(Task<Status> work, Status& result, Channel<Turn> turns) {
  result = co_await std::move(work);
  turns.push(Turn::Ended);
}

}  // namespace

Task<Status> lead(Client& api, LeaderOptions options, std::move_only_function<Task<Status>()> work) {
  Election election{api, std::move(options)};
  auto& loop = api.loop();
  for (;;) {
    auto held = co_await acquire_or_renew(election);
    if (held && *held) break;
    if (!held && held.error().code() == Errc::Cancelled) co_return fail(std::move(held.error()));
    if (!held && held.error().code() != Errc::Conflict && held.error().code() != Errc::AlreadyExists)
      log::warning("acquire the Lease {}: {}", election.options.lease, held.error().message());
    CO_TRY(co_await loop.sleep(election.options.retry));
  }
  log::info("{} leads ({})", election.options.identity, election.options.lease);
  Channel<Turn> turns(loop);
  Status result;
  Scope scope(loop);
  scope.spawn("lead", do_work(work(), result, turns));
  scope.spawn("renew the Lease", keep_renewing(election, turns));
  for (;;) {
    auto deadline = loop.call_after(election.options.renew, [turns]() mutable { turns.push(Turn::Late); });
    const auto turn = CO_TRY(co_await turns.next());
    if (turn == Turn::Ended) co_return result;
    if (turn == Turn::Late)
      co_return fail(Errc::Unavailable, "{} lost the Lease {}", election.options.identity, election.options.lease);
  }
}

// As client-go does it: no holder, and a duration of a second for those who look at nothing else.
Task<Status> release(Client& api, LeaderOptions options) {
  auto lease = co_await api.get<Lease>(options.lease);
  if (!lease && lease.error().code() == Errc::NotFound) co_return ok();
  if (!lease) co_return fail(std::move(lease.error()).with("release the Lease {}", options.lease));
  if (lease->spec.holder_identity != options.identity) co_return ok();
  const auto now = std::chrono::floor<std::chrono::microseconds>(api.loop().wall_now());
  lease->spec.holder_identity = "";
  lease->spec.lease_duration_seconds = 1;
  lease->spec.acquire_time = lease->spec.renew_time = now;
  CO_TRY(co_await api.update<Lease>(std::move(*lease)), "release the Lease {}", options.lease);
  co_return ok();
}

}  // namespace causeway::kube
