#include <algorithm>

#include "apps/kube_proxy_left.h"
#include "apps/netfilter_services.h"
#include "apps/plane.h"
#include "apps/plane_hand_back.h"
#include "base/log.h"
#include "dns/apply_local_nft.h"
#include "fabric/apply_nft.h"
#include "kernel/conntrack/conntrack.h"
#include "kernel/netns/netns.h"
#include "kernel/nftables/diff.h"
#include "kernel/nftables/listing.h"
#include "pod/hostport/apply_nft.h"
#include "policy/apply_nft.h"
#include "policy/seen_nft.h"
#include "service/take_over.h"

namespace causeway::apps {

namespace {

constexpr Duration kLookAtOthersEvery = 60s;

// What kube-proxy makes of conntrack's time limits unless it is told otherwise: an idle connection is remembered for a
// day, and one half closed for an hour instead of a minute.
void set_time_limits() {
  for (const auto& [name, seconds] : {std::pair{"established", "86400"}, {"close_wait", "3600"}})
    if (auto set = netns::write_sysctl(fmt::format("netfilter/nf_conntrack_tcp_timeout_{}", name), seconds); !set)
      log::warning("time limits of tracked connections stay the kernel's: {}", set.error().message());
}

class NetfilterPlane final : public NodePlane {
 public:
  NetfilterPlane(const PlaneSetup& setup, std::unique_ptr<nftables::Nftables> nft,
                 std::unique_ptr<nftables::Watch> watch, std::unique_ptr<conntrack::Conntrack> conntrack,
                 std::unique_ptr<NetfilterServices> services, std::optional<Freeze> freeze)
      : loop_(setup.loop),
        net_(setup.net),
        change_(setup.change),
        mode_(setup.options.proxy_mode),
        nft_(std::move(nft)),
        watch_(std::move(watch)),
        conntrack_(std::move(conntrack)),
        fabric_(fabric_options(setup.options), {setup.net, *nft_, netns::write_sysctl}),
        host_ports_(*nft_, *conntrack_),
        services_(std::move(services)),
        freeze_(std::move(freeze)) {
    if (!setup.options.cluster_dns.empty()) dns_.emplace(*nft_, dns_addresses(setup.options));
    if (!setup.options.policy) return;
    policy_.emplace(
        policy::NftOptions{
            .node = setup.options.node, .ipvs = services_ && mode_ == "ipvs", .dns = dns_addresses(setup.options)},
        policy::NftDoors{*nft_, *conntrack_});
    flows_.emplace(loop_, *policy_, nftables::list_elements);
  }

  fabric::Applier& fabric() override { return fabric_; }
  service::Applier* service() override { return services_ ? &services_->applier() : nullptr; }
  policy::Applier* policy() override { return policy_ ? &*policy_ : nullptr; }
  policy::FlowSource* flows() override { return flows_ ? &*flows_ : nullptr; }
  dns::LocalDoor* dns() override { return dns_ ? &*dns_ : nullptr; }
  // The guard of 127.0.0.0/8 comes with the host ports, before Services switch its routing on.
  std::vector<cluster::Consumer*> consumers() override {
    std::vector<cluster::Consumer*> all{&fabric_};
    if (policy_) all.push_back(&*policy_);
    all.push_back(&host_ports_);
    if (services_) all.push_back(&services_->applier());
    return all;
  }
  std::string why_no_host_ports() const override { return ""; }
  std::string why_no_foreign_host_ports() const override { return ""; }
  std::string why_no_pods() const override {
    return change_.pending ? "connections of plane bpf are being taken over" : "";
  }
  void start(Scope& scope, cluster::Feed& feed) override {
    scope.spawn("nftables", repair(feed));
    if (change_.pending) scope.spawn("plane", take_over_plane(feed));
    scope.spawn("firewalls", look_at_others());
    if (policy_) scope.spawn("flows", policy_->look_after_flows(loop_));
    if (!services_) return;
    services_->start(scope, feed);
    scope.spawn("leftovers", remove_leftovers(feed));
    scope.spawn("kube-proxy", take_over(feed));
  }
  bool devices_intact() override { return fabric_.tunnels_intact(); }

  void describe(observe::Endpoint& endpoint) override {
    endpoint.add([this] {
      return std::vector{
          observe::Metric{"causeway_foreign_forward_drops",
                          "Chains of others that drop by policy what is forwarded: Pods need an accept there.",
                          observe::MetricKind::Gauge,
                          {{{}, static_cast<double>(others_.size())}}}};
    });
    if (policy_)
      endpoint.add([this] {
        return std::vector{
            observe::Metric{"causeway_policy_flows_cut_total",
                            "Open flows that were ended because a policy forbids them now, or their Pod is gone.",
                            observe::MetricKind::Counter,
                            {{{}, static_cast<double>(policy_->ended_flows())}}}};
      });
    endpoint.add_page("/ruleset", [this] { return ruleset_page(); });
    endpoint.add_page("/hostports", [this] { return render(host_ports_.tables()); });
  }

 private:
  // `nft flush ruleset` by somebody else takes our table along.
  Task<Status> repair(cluster::Feed& feed) {
    for (;;) {
      CO_TRY(co_await watch_->changed(), "watch nf_tables");
      log::warning("somebody else changed table inet causeway; it is brought back");
      feed.audit();
    }
  }

  Task<Status> take_over_plane(cluster::Feed& feed) {
    // The other plane has judged Pods until now.
    while (policy_ && !policy_->enforced()) CO_TRY(co_await loop_.sleep(50ms));
    CO_TRY(co_await take_over_from_bpf(loop_, feed, change_, net_, *freeze_, service()));
    change_.pending = false;
    feed.touch();
    co_return ok();
  }

  // New connections are ours at once: our chains are before kube-proxy's, and their addresses ours before they are
  // IPVS's. Where IPVS balances for us as it did for kube-proxy, both have the same virtual servers, and the last who
  // wrote them was kube-proxy, maybe: they are looked at once more.
  Task<Status> in_place(cluster::Feed& feed) {
    CO_TRY(co_await all_in_place(loop_, feed, service()));
    if (mode_ == "ipvs" && net_.index_of(service::kKubeIpvsDevice)) CO_TRY(co_await all_audited(loop_, feed));
    co_return ok();
  }
  Task<Status> take_over(cluster::Feed& feed) {
    WorkerPool worker(loop_, 1);
    co_return co_await service::take_over_from_kube_proxy({loop_, worker, [] { return service::kube_proxy_runs(); },
                                                           [this, &feed] { return in_place(feed); },
                                                           [] { return remove_left_by_kube_proxy(true); }});
  }

  // What another --proxy-mode left: taken away when this one's rules are in the kernel, so that no connection fails in
  // between.
  Task<Status> remove_leftovers(cluster::Feed& feed) {
    CO_TRY(co_await all_in_place(loop_, feed, service()));
    if (auto removed = remove_other_services(net_, *nft_, mode_); !removed)
      log::warning("{}", removed.error().message());
    co_return ok();
  }

  // An accept of ours does not overrule a drop of theirs (Docker's FORWARD, a host firewall), and we write into no
  // table of others: said once for each chain, with what to do.
  Task<Status> look_at_others() {
    for (;; CO_TRY(co_await loop_.sleep(kLookAtOthersEvery))) {
      auto drops = nft_->foreign_drops();
      if (!drops) {
        log::warning("{}", drops.error().message());
        continue;
      }
      std::erase_if(*drops, [](const auto& drop) { return drop.hook != nftables::Hook::Forward; });
      for (const auto& drop : *drops)
        if (std::ranges::find(others_, drop) == others_.end())
          log::warning(
              "table {} chain {} drops by policy what is forwarded: unless a rule there accepts the Pods' packets they "
              "are "
              "lost. Add one: nft insert rule {} {} {} saddr POD-RANGE accept, and likewise daddr",
              drop.table, drop.chain, drop.table, drop.chain, drop.table.starts_with("ip6") ? "ip6" : "ip");
      others_ = std::move(*drops);
    }
  }

  // What our sections shall be, as `nft list table inet causeway` prints them.
  std::string ruleset_page() {
    return nftables::render(fabric_.section()) + nftables::render(pod::hostport::section_of(host_ports_.tables())) +
           (policy_ ? nftables::render(policy_->section()) : "") + (services_ ? services_->rules() : "");
  }

  Loop& loop_;
  netlink::Rtnetlink& net_;
  PlaneChange change_;
  const std::string mode_;
  std::vector<nftables::ForeignDrop> others_;
  std::unique_ptr<nftables::Nftables> nft_;
  std::unique_ptr<nftables::Watch> watch_;
  std::unique_ptr<conntrack::Conntrack> conntrack_;
  fabric::NftApplier fabric_;
  pod::hostport::Applier host_ports_;
  std::unique_ptr<NetfilterServices> services_;
  std::optional<policy::NftApplier> policy_;
  std::optional<policy::NftFlows> flows_;
  std::optional<dns::NftLocal> dns_;
  std::optional<Freeze> freeze_;  // while the plane changes
};

}  // namespace

Result<std::unique_ptr<NodePlane>> open_netfilter_plane(const PlaneSetup& setup) {
  if (setup.options.fabric != fabric::Mode::HostGw) TRY(fabric::probe_vxlan(setup.net));
  auto nft = TRY(nftables::open_nftables(), "plane netfilter needs nf_tables");
  TRY(fabric::probe_nat(*nft));
  // Else what an agent that enforced policies left would drop every new Pod's packets.
  if (!setup.options.policy)
    TRY(nft->apply(nftables::removal(TRY(nft->observe(policy::nft::kSection)))), "remove the rules of policies");
  if (setup.options.cluster_dns.empty())
    TRY(nft->apply(nftables::removal(TRY(nft->observe(dns::nft::kSection)))), "remove the rules of cluster DNS");
  else if (setup.options.services && setup.options.proxy_mode == "ipvs")
    return fail(Errc::Unsupported,
                "--cluster-dns: with --proxy-mode ipvs the virtual server of IPVS takes what is sent to these "
                "addresses; use nftables or iptables, or leave --cluster-dns out");
  auto watch = TRY(nftables::open_watch(setup.loop, nft->port()), "watch nf_tables");
  auto conntrack = TRY(conntrack::open_conntrack(), "plane netfilter needs nf_conntrack");
  std::optional<Freeze> freeze;
  if (setup.change.pending) freeze.emplace(TRY(take_over_own(setup.change, *nft), "connections of plane bpf"));
  std::unique_ptr<NetfilterServices> services;
  // Where somebody else balances Services from now on, connections that go by our rules go on: nf_conntrack translates
  // them for as long as there is any chain of type nat, and host ports have some.
  if (setup.options.services)
    services = TRY(open_netfilter_services(setup, {*nft, *conntrack}));
  else
    TRY(remove_other_services(setup.net, *nft, ""));
  if (setup.options.services && setup.options.kube_proxy_config.empty()) set_time_limits();  // that has said its own
  return std::make_unique<NetfilterPlane>(setup, std::move(nft), std::move(watch), std::move(conntrack),
                                          std::move(services), std::move(freeze));
}

}  // namespace causeway::apps
