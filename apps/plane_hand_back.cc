#include "apps/plane_hand_back.h"

#include "abi/types.h"
#include "async/worker_pool.h"
#include "base/log.h"
#include "datapath/conntrack.h"
#include "kernel/bpf/pins.h"
#include "kernel/conntrack/conntrack.h"
#include "service/hand_back.h"

namespace causeway::apps {

namespace {

using service::Whose;
using MaybeRows = std::optional<datapath::ConntrackMap>;

constexpr Duration kTryAgainAfter = 5s;
constexpr size_t kToldSingly = 5;  // refused connections

// None: there is no such map, or one of another version, whose rows nobody can read.
Result<MaybeRows> rows_of(const std::string& pins) {
  auto pinned = bpf::open_pin(fmt::format("{}/v{}/maps/conntrack", pins, +abi::ABI_VERSION));
  if (!pinned && pinned.error().code() == Errc::NotFound) return MaybeRows();
  return MaybeRows(TRY(datapath::ConntrackMap::open(bpf::RawMap(TRY(std::move(pinned)), "conntrack"))));
}

Result<service::HandedBack> tell(datapath::ConntrackMap& rows, Whose whose) {
  auto to = TRY(conntrack::open_conntrack());
  return service::hand_back(*to, rows, whose, datapath::monotonic_seconds());
}

void report(const service::HandedBack& told) {
  log::info("plane netfilter carries the packets; {} connections go on", told.known);
  for (size_t i = 0; i < std::min(told.refused.size(), kToldSingly); ++i) log::warning("{}", told.refused[i].message());
  if (told.refused.size() > kToldSingly) log::warning("... and {} more", told.refused.size() - kToldSingly);
}

Status change_hands(const PlaneChange& change, netlink::Rtnetlink& net, Freeze& freeze, MaybeRows& rows) {
  TRY(freeze.become(Freeze::What::Continuing));
  TRY(remove_other_plane(change, net));
  if (rows) report(TRY(tell(*rows, Whose::All), "tell nf_conntrack of connections"));
  return freeze.end();
}

}  // namespace

Result<Freeze> take_over_own(const PlaneChange& change, nftables::Nftables& nft) {
  auto freeze = TRY(Freeze::begin(nft, Freeze::What::Continuing));
  if (auto rows = TRY(rows_of(change.pins))) TRY(tell(*rows, Whose::Node), "tell nf_conntrack of connections");
  TRY(freeze.become(Freeze::What::Nothing));
  return freeze;
}

Task<Status> take_over_from_bpf(Loop& loop, cluster::Feed& feed, const PlaneChange& change, netlink::Rtnetlink& net,
                                Freeze& freeze, const service::Applier* services) {
  CO_TRY(co_await all_in_place(loop, feed, services));
  WorkerPool worker(loop, 1);
  for (;; CO_TRY(co_await loop.sleep(kTryAgainAfter))) {
    // The worker may outlive us.
    const auto rows = std::make_shared<Result<MaybeRows>>(rows_of(change.pins));
    Status changed = *rows ? ok() : fail(Error(rows->error()));
    // Most of it while the programs still translate.
    if (changed && **rows) {
      auto told = CO_TRY(co_await worker.run([rows] { return tell(***rows, Whose::Others); }));
      if (!told) changed = fail(std::move(told.error()));
    }
    if (changed) changed = change_hands(change, net, freeze, **rows);
    if (changed) co_return ok();
    log::warning("plane netfilter cannot take over yet, and tries again in {} s: {}", kTryAgainAfter / 1s,
                 changed.error().message());
  }
}

}  // namespace causeway::apps
