#include <time.h>

#include "apps/plane.h"
#include "apps/plane_adopt.h"
#include "async/worker_pool.h"
#include "base/log.h"
#include "datapath/datapath.h"
#include "datapath/rows.h"
#include "dns/apply_local_bpf.h"
#include "fabric/apply_bpf.h"
#include "fabric/sysctls.h"
#include "kernel/bpf/pins.h"
#include "policy/apply_bpf.h"
#include "service/apply_bpf.h"

namespace causeway::apps {

namespace {

constexpr Duration kSweepEvery = 60s;  // expired flows leave conntrack

Result<datapath::Features> features_of(const AgentOptions& options) {
  datapath::Features features{.attach = options.attach,
                              .overlay = options.fabric != fabric::Mode::HostGw,
                              .vxlan_port = options.vxlan_port,
                              .vni = options.vni,
                              .masquerade = options.masquerade,
                              .services = options.services,
                              .policy = options.policy,
                              .socket_hooks = options.services && options.socket_hooks,
                              .dns = dns_addresses(options)};
  if (!options.cluster_cidrs.empty()) {
    const auto families = fabric::families_of(options.cluster_cidrs);
    features.ipv4 = families.v4;
    features.ipv6 = families.v6;
  }
  const auto ephemeral = TRY(fabric::ephemeral_ports());
  auto ports = datapath::nat_ports({ephemeral.first, ephemeral.last}, options.node_ports);
  features.nat_ports = std::move(ports.ranges);
  features.track_node_flows = ports.track_node_flows;
  return features;
}

// The ring of events.
class BpfFlows final : public policy::FlowSource {
 public:
  BpfFlows(Loop& loop, datapath::Datapath& datapath, const policy::BpfApplier& policies)
      : loop_(loop), datapath_(datapath), policies_(policies) {}

  Status read(const std::function<void(const policy::Seen&)>& each) override {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const WallTime boot = loop_.wall_now() - std::chrono::seconds(now.tv_sec) - std::chrono::nanoseconds(now.tv_nsec);
    return datapath_.read_events(
        [&](const abi::flow_event& event) { each(policy::seen(event, policies_.bank(), boot)); });
  }
  uint64_t lost() override {
    const auto counters = datapath_.counters();
    return counters ? counters->at(abi::COUNT_EVENT_LOST).packets : 0;
  }

 private:
  Loop& loop_;
  datapath::Datapath& datapath_;
  const policy::BpfApplier& policies_;
};

class BpfPlane final : public NodePlane {
 public:
  BpfPlane(const PlaneSetup& setup, std::unique_ptr<datapath::Datapath> datapath)
      : loop_(setup.loop),
        net_(setup.net),
        change_(setup.change),
        datapath_(std::move(datapath)),
        hooks_(fabric::hooks_of(*datapath_)),
        fabric_(fabric_options(setup.options), {datapath_->pods(), datapath_->routes(), datapath_->peers(),
                                                datapath_->uplinks(), *hooks_, setup.net}) {
    if (setup.options.services) service_.emplace(service_options(setup.options), service_doors(), &prober_);
    if (setup.options.policy) {
      policy_.emplace(setup.options.node, policy_doors(), dns_addresses(setup.options));
      flows_.emplace(loop_, *datapath_, *policy_);
    }
    if (!setup.options.cluster_dns.empty()) dns_.emplace(datapath_->dns_here(), dns_addresses(setup.options));
    if (change_.pending) fabric_.hold();
  }

  fabric::Applier& fabric() override { return fabric_; }
  service::Applier* service() override { return service_ ? &*service_ : nullptr; }
  policy::Applier* policy() override { return policy_ ? &*policy_ : nullptr; }
  policy::FlowSource* flows() override { return flows_ ? &*flows_ : nullptr; }
  dns::LocalDoor* dns() override { return dns_ ? &*dns_ : nullptr; }
  std::vector<cluster::Consumer*> consumers() override {
    std::vector<cluster::Consumer*> all{&fabric_};
    if (policy_) all.push_back(&*policy_);
    if (service_) all.push_back(&*service_);
    return all;
  }
  std::string why_no_foreign_host_ports() const override {
    return "on plane bpf host ports lead to interfaces that causeway made; put the plugin portmap behind it, or use "
           "plane netfilter";
  }
  std::string why_no_host_ports() const override {
    return service_ ? "" : "on plane bpf they are rows of Services, which are off here (--no-services)";
  }
  std::string why_no_pods() const override {
    return change_.pending ? "connections of plane netfilter are being taken over" : "";
  }
  void start(Scope& scope, cluster::Feed& feed) override {
    feed_ = &feed;
    tell_health();
    scope.spawn("conntrack", sweep_conntrack());
    scope.spawn("takeover", take_over());
  }

  void describe(observe::Endpoint& endpoint) override {
    endpoint.add([this] { return metrics(); });
    if (policy_) endpoint.add([this] { return denied(); });
    endpoint.add_page("/hooks", [this] { return hooks_page(); });
    endpoint.add_page("/counters", [this] { return counters_page(); });
    endpoint.add_page("/probes", [this] { return prober_.render(); });
  }

 private:
  policy::BpfDoors policy_doors() {
    datapath::Datapath& maps = *datapath_;
    return {loop_, maps.policy(), [&maps](const datapath::PolicyRows& rows) { return maps.reserve_policy(rows); },
            [&maps] { return maps.enforce_policy(); }};
  }

  service::BpfDoors service_doors() {
    datapath::Datapath& maps = *datapath_;
    return {loop_,
            maps.services(),
            maps.slots(),
            maps.backends(),
            maps.backend_connections(),
            maps.node_addresses(),
            maps.service_ranges(),
            maps.source_ranges(),
            maps.clients(),
            [&maps](const service::MapRoom& room) {
              return maps.reserve_services({room.services, room.slots, room.backends, room.source_ranges});
            },
            [&maps] { return maps.swap_pending(); },
            [&maps] { return maps.repair_sockets(); }};
  }

  Task<Status> take_over() {
    service::Applier* services = service();
    if (change_.pending) {
      // The other plane has judged Pods until now.
      while (policy_ && !policy_->enforced()) CO_TRY(co_await loop_.sleep(50ms));
      CO_TRY(co_await take_over_plane(loop_, *feed_, change_, net_, fabric_, services, *datapath_));
      change_.pending = false;
      feed_->touch();
    }
    if (services) CO_TRY(co_await take_over_services(loop_, *feed_, net_, *services, *datapath_));
    co_return ok();
  }

  // What probes found goes into the model, once the feed is there, and never while it is being compiled.
  void found_unhealthy(const cluster::ServiceKey& service, std::set<Endpoint> endpoints) {
    found_.insert_or_assign(service, std::move(endpoints));
    telling_ = loop_.call_after(Duration(0), [this] { tell_health(); });
  }
  void tell_health() {
    if (!feed_ || found_.empty()) return;
    for (auto& [service, endpoints] : found_) feed_->model().set_unhealthy(service, std::move(endpoints));
    found_.clear();
    feed_->touch();
  }

  Task<Status> sweep_conntrack() {
    for (;;) {
      CO_TRY(co_await loop_.sleep(kSweepEvery));
      const auto swept =
          CO_TRY(co_await sweeper_.run([datapath = datapath_.get()] { return datapath->sweep_conntrack(); }));
      if (!swept) log::warning("sweep conntrack: {}", swept.error().message());
      if (service_ && service_->maps().counts_connections()) CO_TRY(co_await count_connections());
    }
  }
  // For least connections: flows that ended without a last packet are still counted.
  Task<Status> count_connections() {
    const auto open =
        CO_TRY(co_await sweeper_.run([datapath = datapath_.get()] { return datapath->open_connections(); }));
    const Status counted = open ? service_->maps().count_connections(*open) : fail(Error(open.error()));
    if (!counted) log::warning("count connections of endpoints: {}", counted.error().message());
    co_return ok();
  }

  std::vector<observe::Metric> metrics() const {
    using observe::Metric;
    auto counters = datapath_->counters();
    if (!counters) return {};
    Metric packets{
        "causeway_datapath_packets_total", "Packets by what became of them.", observe::MetricKind::Counter, {}};
    Metric bytes{"causeway_datapath_bytes_total", "Bytes by what became of them.", observe::MetricKind::Counter, {}};
    for (const auto& [reason, counter] : *counters) {
      const std::map<std::string, std::string> labels{{"reason", std::string(datapath::counter_name(reason))}};
      packets.samples.push_back({labels, static_cast<double>(counter.packets)});
      bytes.samples.push_back({labels, static_cast<double>(counter.bytes)});
    }
    return {std::move(packets), std::move(bytes)};
  }

  std::vector<observe::Metric> denied() const {
    auto rows = policy_->denied();
    if (!rows) return {};
    observe::Metric packets{"causeway_policy_denied_packets_total",
                            "Packets that the policies of a Pod of this node denied, by the policies that judge it.",
                            observe::MetricKind::Counter,
                            {}};
    for (const auto& row : *rows) {
      const policy::Set* set = policy_->desired().rules.sets.find(row.set);
      if (!set) continue;
      std::string names;
      for (const auto& key : set->policies) names += (names.empty() ? "" : ",") + to_string(key);
      packets.samples.push_back(
          {{{"direction", std::string(to_string(set->direction))}, {"policies", std::move(names)}},
           static_cast<double>(row.packets)});
    }
    return {std::move(packets)};
  }

  std::string hooks_page() const {
    auto attached = datapath_->attached();
    if (!attached) return attached.error().message() + "\n";
    std::string out = datapath::to_string(datapath_->features()) + "\n";
    for (const auto& attachment : *attached) out += datapath::to_string(attachment) + "\n";
    auto sockets = datapath_->attached_sockets();
    if (!sockets) return out + sockets.error().message() + "\n";
    for (const auto& attachment : *sockets) out += datapath::to_string(attachment) + "\n";
    return out;
  }

  std::string counters_page() const {
    auto counters = datapath_->counters();
    if (!counters) return counters.error().message() + "\n";
    std::string out;
    for (const auto& [reason, counter] : *counters)
      if (counter.packets)
        out += fmt::format("{:>12} packets {:>14} bytes  {}\n", counter.packets, counter.bytes,
                           datapath::counter_text(reason));
    return out;
  }

  Loop& loop_;
  netlink::Rtnetlink& net_;
  PlaneChange change_;
  std::unique_ptr<datapath::Datapath> datapath_;
  std::unique_ptr<fabric::HookPort> hooks_;
  fabric::BpfApplier fabric_;
  cluster::Feed* feed_ = nullptr;  // from start() on
  std::map<cluster::ServiceKey, std::set<Endpoint>> found_;
  std::unique_ptr<Timer> telling_;
  std::unique_ptr<service::ProbeDoor> probe_door_ = service::open_probe_door(loop_);
  service::Prober prober_{loop_, *probe_door_, [this](const cluster::ServiceKey& of, std::set<Endpoint> unhealthy) {
                            found_unhealthy(of, std::move(unhealthy));
                          }};
  std::optional<policy::BpfApplier> policy_;    // none: --no-network-policy
  std::optional<BpfFlows> flows_;               // likewise
  std::optional<service::BpfApplier> service_;  // none: --no-services
  std::optional<dns::BpfLocal> dns_;            // none: no --cluster-dns
  WorkerPool sweeper_{loop_, 1};                // a large conntrack takes longer than an ADD may wait
};

}  // namespace

Result<std::unique_ptr<NodePlane>> open_bpf_plane(const PlaneSetup& setup) {
  TRY(bpf::mount_bpffs("/sys/fs/bpf"), "mount a bpffs on /sys/fs/bpf");
  auto datapath = TRY(datapath::Datapath::open({.pins = setup.options.pins + "/v" + std::to_string(abi::ABI_VERSION),
                                                .features = TRY(features_of(setup.options)),
                                                .conntrack_entries = setup.options.conntrack_entries,
                                                .cgroup = setup.options.cgroup}),
                      "data path");
  return std::make_unique<BpfPlane>(setup, std::move(datapath));
}

}  // namespace causeway::apps
