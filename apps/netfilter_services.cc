#include "apps/netfilter_services.h"

#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "kernel/netns/netns.h"
#include "kernel/nftables/diff.h"
#include "service/apply_ipvs.h"
#include "service/apply_nft.h"

namespace causeway::apps {

namespace {

constexpr Duration kAskForCommitsEvery = 2s;
constexpr Duration kLookAtRulesEvery = 30s;  // as kube-proxy looks at its canary chains
constexpr int kRestAfterLook = 10;           // times as long as it took: the worker has rules to write too

class ByNftables final : public NetfilterServices {
 public:
  ByNftables(const PlaneSetup& setup, NetfilterDoors doors)
      : applier_(service_options(setup.options), {doors.nft, doors.conntrack, netns::write_sysctl}) {}
  service::Applier& applier() override { return applier_; }
  std::string rules() override { return nftables::render(applier_.section()); }

 private:
  service::NftApplier applier_;
};

// The doors that rules of iptables need, and the worker that runs its programs.
struct XtGround {
  std::unique_ptr<ipset::IpSets> sets;
  std::unique_ptr<xtables::Xtables> xtables;
  WorkerPool workers;  // ends before the doors

  XtGround(Loop& loop, std::unique_ptr<ipset::IpSets> s, std::unique_ptr<xtables::Xtables> x)
      : sets(std::move(s)), xtables(std::move(x)), workers(loop, 1) {}
  service::XtDoors doors() { return {*sets, *xtables, workers}; }
  static Result<std::unique_ptr<XtGround>> open(Loop& loop) {
    auto sets = TRY(ipset::open_ipsets());
    auto xtables = TRY(xtables::open_xtables());
    return std::make_unique<XtGround>(loop, std::move(sets), std::move(xtables));
  }
};

// `iptables -F` by somebody else: iptables-nft commits it to nf_tables, which counts commits (those that iptables makes
// for us too). That of iptables-legacy is told to nobody: it has to be looked for.
template <class Applier>
Task<Status> repair(Loop& loop, nftables::Nftables& nft, Applier& applier, cluster::Feed& feed) {
  std::optional<uint32_t> seen;
  for (TimePoint may_look = loop.now(), must_look = may_look + kLookAtRulesEvery;;) {
    CO_TRY(co_await loop.sleep(kAskForCommitsEvery));
    const auto commits = nft.foreign_commits();
    const auto began = loop.now();
    if (began < (commits && *commits != seen ? may_look : must_look)) continue;
    if (commits) seen = *commits;
    auto intact = co_await applier.intact();
    may_look = loop.now() + kRestAfterLook * (loop.now() - began);
    must_look = std::max(may_look, loop.now() + kLookAtRulesEvery);
    if (!intact) {
      log::warning("{}", intact.error().message());
      continue;
    }
    if (*intact) continue;
    log::warning("somebody else changed the rules of Services in iptables; they are brought back");
    feed.audit();
  }
}

class ByIptables final : public NetfilterServices {
 public:
  ByIptables(const PlaneSetup& setup, NetfilterDoors doors, std::unique_ptr<XtGround> ground)
      : loop_(setup.loop),
        nft_(doors.nft),
        ground_(std::move(ground)),
        applier_(service_options(setup.options), {ground_->doors(), doors.conntrack, netns::write_sysctl}) {}
  service::Applier& applier() override { return applier_; }
  void start(Scope& scope, cluster::Feed& feed) override {
    scope.spawn("iptables", repair(loop_, nft_, applier_, feed));
  }
  std::string rules() override { return applier_.rules(); }

 private:
  Loop& loop_;
  nftables::Nftables& nft_;
  std::unique_ptr<XtGround> ground_;
  service::IptablesApplier applier_;
};

class ByIpvs final : public NetfilterServices {
 public:
  ByIpvs(const PlaneSetup& setup, NetfilterDoors doors, std::unique_ptr<XtGround> ground,
         std::unique_ptr<ipvs::Ipvs> ipvs)
      : loop_(setup.loop),
        nft_(doors.nft),
        ground_(std::move(ground)),
        ipvs_(std::move(ipvs)),
        applier_(service_options(setup.options),
                 {{ground_->doors(), doors.conntrack, netns::write_sysctl}, {*ipvs_, setup.net}},
                 setup.options.ipvs_scheduler) {}
  service::Applier& applier() override { return applier_; }
  void start(Scope& scope, cluster::Feed& feed) override {
    scope.spawn("iptables", repair(loop_, nft_, applier_, feed));
    scope.spawn("ipvs", applier_.look_after_leaving(loop_));
  }
  std::string rules() override { return applier_.rules(); }

 private:
  Loop& loop_;
  nftables::Nftables& nft_;
  std::unique_ptr<XtGround> ground_;
  std::unique_ptr<ipvs::Ipvs> ipvs_;
  service::IpvsApplier applier_;
};

Status remove_nft(nftables::Nftables& nft) {
  const auto removal = nftables::removal(TRY(nft.observe(service::nft::kSection)));
  if (removal.empty()) return ok();
  log::info("removing the rules of Services from table inet causeway: another way balances them now");
  return nft.apply(removal);
}

Status remove_rules() {
  auto sets = ipset::open_ipsets();
  // There are no rules of ours without sets; where the kernel has none, there never were.
  if (!sets || TRY((*sets)->observe(service::kSetPrefix)).empty()) return ok();
  auto xtables = TRY(xtables::open_xtables());
  log::info("removing the rules of Services from iptables: another way balances them now");
  return service::remove_all(**sets, *xtables);
}

Status remove_virtual_services(netlink::Rtnetlink& net) {
  if (::access("/proc/net/ip_vs", F_OK) != 0) return ok();  // asking would load the module
  auto ipvs = TRY(ipvs::open_ipvs());
  const auto done = TRY(service::IpvsKernel({*ipvs, net}).bring({}));
  if (done.writes) log::info("removed {} virtual services and addresses: another way balances them now", done.writes);
  return ok();
}

}  // namespace

Status remove_other_services(netlink::Rtnetlink& net, nftables::Nftables& nft, const std::string& mode) {
  if (mode != "nftables") TRY(remove_nft(nft), "remove the rules of Services");
  if (mode != "iptables" && mode != "ipvs") TRY(remove_rules(), "remove the rules of Services from iptables");
  if (mode != "ipvs") TRY(remove_virtual_services(net), "remove virtual services");
  return ok();
}

Result<std::unique_ptr<NetfilterServices>> open_netfilter_services(const PlaneSetup& setup, NetfilterDoors doors) {
  const std::string& mode = setup.options.proxy_mode;
  if (mode == "nftables") return std::make_unique<ByNftables>(setup, doors);
  if (mode != "iptables" && mode != "ipvs")
    return fail(Errc::Invalid, "--proxy-mode {}: it is nftables, iptables or ipvs", mode);
  auto ground = TRY(XtGround::open(setup.loop), "--proxy-mode {}", mode);
  log::info("Services by {}, {}", mode, ground->xtables->version());
  if (mode == "iptables") return std::make_unique<ByIptables>(setup, doors, std::move(ground));
  if (!service::ipvs_schedulers().contains(setup.options.ipvs_scheduler))
    return fail(Errc::Invalid, "--ipvs-scheduler {}: IPVS has {}", setup.options.ipvs_scheduler,
                fmt::join(service::ipvs_schedulers(), ", "));
  auto ipvs = TRY(ipvs::open_ipvs(), "--proxy-mode ipvs");
  return std::make_unique<ByIpvs>(setup, doors, std::move(ground), std::move(ipvs));
}

}  // namespace causeway::apps
