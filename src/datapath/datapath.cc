#include "datapath/datapath.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "datapath/attachments.h"
#include "datapath/conntrack.h"
#include "datapath/open_map.h"
#include "datapath/pods.h"
#include "datapath/policy_tables.h"
#include "datapath/program_set.h"
#include "datapath/resize.h"
#include "datapath/routes.h"
#include "datapath/service_tables.h"
#include "kernel/bpf/attach.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/pins.h"
#include "kernel/bpf/ring.h"

namespace causeway::datapath {

namespace {

// Tcx or Clsact, for each hook.
using Modes = std::array<Attach, std::size(kHooks)>;

bool is_pods(Hook hook) { return hook == Hook::FromPod || hook == Hook::ToPod; }

// Pods come and go by the hundred, and attaching by tcx waits for a grace period under the RTNL lock; uplinks are few,
// stay, and are where the programs of others are too, whose order tcx keeps.
Result<Modes> resolve(Attach wanted) {
  if (wanted == Attach::Tcx && !bpf::has_tcx())
    return fail(Errc::Unsupported, "attach by tcx: this kernel has none (6.6 does); use clsact or auto");
  Modes modes;
  for (auto hook : kHooks) {
    const bool tcx = wanted == Attach::Tcx || (wanted == Attach::Auto && !is_pods(hook) && bpf::has_tcx());
    modes[static_cast<size_t>(hook)] = tcx ? Attach::Tcx : Attach::Clsact;
  }
  return modes;
}

Status check(const Features& features) {
  if (!features.ipv4 && !features.ipv6) return fail(Errc::Invalid, "datapath features: neither ipv4 nor ipv6");
  if (features.vni >= 1u << 24)
    return fail(Errc::Invalid, "datapath features: vni {} has more than 24 bits", features.vni);
  if (!features.vxlan_port) return fail(Errc::Invalid, "datapath features: vxlan_port is 0");
  if (features.nat_ports.size() > abi::NAT_RANGES_MAX)
    return fail(Errc::Invalid, "datapath features: {} ranges of nat_ports, at most {}", features.nat_ports.size(),
                static_cast<int>(abi::NAT_RANGES_MAX));
  if (features.dns.size() > abi::DNS_ADDRESSES)
    return fail(Errc::Invalid, "datapath features: {} addresses of cluster DNS, at most {}", features.dns.size(),
                static_cast<int>(abi::DNS_ADDRESSES));
  if (features.masquerade && features.nat_ports.empty())
    return fail(Errc::Invalid, "datapath features: masquerade without nat_ports");
  return ok();
}

Sizes first_sizes(const Options& options) {
  Sizes sizes = sizes_for(options.conntrack_entries);
  auto take = [](uint32_t& size, uint32_t wanted) { size = wanted ? wanted : size; };
  take(sizes.services, options.service_rows.services);
  take(sizes.slots, options.service_rows.slots);
  take(sizes.backends, options.service_rows.backends);
  take(sizes.source_ranges, options.service_rows.source_ranges);
  return sizes;
}

}  // namespace

struct Datapath::Impl {
  Options options;
  Modes modes{};
  ProgramSet programs;
  std::optional<bpf::Blocks> blocks;
  std::optional<PodTable> pods;
  std::optional<SubjectTable> subjects;
  std::optional<RouteTable> routes;
  std::optional<bpf::Map<abi::peer_key, abi::peer_value>> peers;
  std::optional<bpf::Map<uint32_t, abi::uplink_value>> uplinks;
  std::optional<bpf::Map<abi::ct_key, abi::ct_value>> conntrack;
  std::optional<FlowMap> flows;
  std::optional<ServiceTables> services;
  std::optional<PolicyMaps> policy;
  bpf::RawMap counters;
  std::optional<bpf::Ring> events;
  Sizes sizes;
  bool policy_wanted = false;
  bool swap_pending = false;  // something that is attached may still be an older program

  Attach mode_of(Hook hook) const { return modes[static_cast<size_t>(hook)]; }

  // Once: the sweep of conntrack uses its handles on another thread, so only those of Services and policies are ever
  // replaced.
  Status open_maps() {
    pods.emplace(TRY(PodTable::open(TRY((open_map<abi::pod_key, abi::pod_value>(maps_of(options.pins), "pods"))))));
    subjects.emplace(*pods);
    flows = TRY((open_map<abi::ct_key, abi::policy_flow>(maps_of(options.pins), "policy_flows")));
    policy = TRY(PolicyMaps::open(maps_of(options.pins)));
    auto rows = TRY((open_map<abi::route_key, abi::route_value>(maps_of(options.pins), "routes")));
    auto lengths = TRY((open_map<uint32_t, abi::route_lengths>(maps_of(options.pins), "route_lengths")));
    routes = TRY(RouteTable::open(std::move(rows), std::move(lengths)));
    peers = TRY((open_map<abi::peer_key, abi::peer_value>(maps_of(options.pins), "peers")));
    uplinks = TRY((open_map<uint32_t, abi::uplink_value>(maps_of(options.pins), "uplinks")));
    conntrack = TRY((open_map<abi::ct_key, abi::ct_value>(maps_of(options.pins), "conntrack")));
    counters = bpf::RawMap(TRY(bpf::open_pin(maps_of(options.pins) + "/counters")), "counters");
    events = TRY(bpf::Ring::open(TRY(bpf::open_pin(maps_of(options.pins) + "/events")), "events"));
    services = TRY(ServiceTables::open(maps_of(options.pins)));
    return ok();
  }

  Result<ProgramSet> load(const Features& features) const {
    return ProgramSet::open(options.pins, options.cgroup, features, sizes);
  }

  Status attach(Hook hook, IfIndex ifindex) {
    const Program& program = programs.of(hook);
    if (mode_of(hook) == Attach::Clsact) {
      if (is_pods(hook) && TRY(share(ifindex))) return ok();
      auto present = TRY(bpf::query_clsact(ifindex, direction_of(hook)));
      if (present == program.id) return ok();
      return bpf::attach_clsact(program.fd.get(), ifindex, direction_of(hook));
    }
    auto path = link_of(options.pins, ifindex, hook);
    if (auto pinned = bpf::open_pin(path)) {
      auto link = TRY(bpf::tcx_link(pinned->get()), "pin {}", path);
      if (link.ifindex == ifindex)
        return link.program == program.id ? ok() : bpf::update_tcx(pinned->get(), program.fd.get());
      TRY(bpf::unpin(path));  // of a device that is gone
    }
    Fd link = TRY(bpf::attach_tcx(program.fd.get(), ifindex, direction_of(hook)));
    return bpf::pin(link.get(), path);
  }

  // Both programs of a Pod's veth, which all such veths share. False: it has them of its own, from an older agent, and
  // keeps that, as no device changes from one to the other without a moment of neither.
  Result<bool> share(IfIndex ifindex) {
    const auto joined = TRY(blocks->join(ifindex, kPodBlocks));
    if (!joined.made && TRY(blocks->of(ifindex)) != kPodBlocks) return false;
    TRY(put_shared(Hook::FromPod, joined.ingress));
    TRY(put_shared(Hook::ToPod, joined.egress));
    return true;
  }
  Status put_shared(Hook hook, std::optional<bpf::ProgramId> present) {
    const Program& program = programs.of(hook);
    return present == program.id ? ok() : blocks->put(kPodBlocks.of(direction_of(hook)), program.fd.get());
  }

  Result<std::vector<Attachment>> attached() {
    auto found = TRY(attached_by_tcx(options.pins));
    for (auto& entry : TRY(attached_by_clsact(*blocks))) found.push_back(std::move(entry));
    std::vector<Attachment> result;
    for (auto& [attachment, program] : found) {
      attachment.current = attachment.by == mode_of(attachment.hook) && program == programs.of(attachment.hook).id;
      result.push_back(attachment);
    }
    std::sort(result.begin(), result.end());
    return result;
  }

  // Moves everything that is attached to the present programs and mode; on no device is there a moment without one.
  // After an error part of it may be done: again with the next reserve_services().
  Status swap() {
    swap_pending = true;
    TRY(swap_all());
    swap_pending = false;
    return ok();
  }
  Status swap_all() {
    for (auto hook : {Hook::FromPod, Hook::ToPod})  // for all Pods at once
      if (mode_of(hook) == Attach::Clsact)
        if (auto present = TRY(blocks->program(kPodBlocks.of(direction_of(hook))))) TRY(put_shared(hook, present));
    const auto before = TRY(attached());
    for (const auto& attachment : before)
      if (!attachment.current)
        if (auto status = attach(attachment.hook, attachment.ifindex);
            !status && status.error().code() != Errc::NotFound)
          return status;
    // Only now: a clsact qdisc that Pods share goes with both of its programs.
    for (const auto& attachment : before) {
      if (attachment.by == mode_of(attachment.hook)) continue;
      if (attachment.by == Attach::Tcx)
        TRY(bpf::unpin_link(link_of(options.pins, attachment.ifindex, attachment.hook)));
      else
        TRY(detach_by_clsact(*blocks, attachment.ifindex));
    }
    for (const Program& program : programs.programs)
      if (!bpf::open_pin(program.pin)) TRY(bpf::pin(program.fd.get(), program.pin));
    if (programs.sockets)
      TRY(programs.sockets->attach(*programs.cgroup));
    else
      TRY(SocketPrograms::detach(options.pins));
    for (const auto& name : TRY(bpf::list_pins(programs_of(options.pins)))) {
      auto path = programs_of(options.pins) + "/" + name;
      if (!programs.has_pin(path)) TRY(bpf::unpin(path));
    }
    return ok();
  }

  Status grow(const Sizes& wanted) {
    if (wanted == sizes) return ok();
    const auto folder = maps_of(options.pins);
    auto growth = TRY(Growth::begin(folder, sizes, wanted));
    const auto before = std::exchange(sizes, wanted);
    // Whatever can fail comes before anything of ours uses the larger maps, but for the swap, which can be repeated.
    auto loaded = load(options.features);
    auto of_services = ServiceTables::open(folder);
    auto of_policy = PolicyMaps::open(folder);
    if (!loaded || !of_services || !of_policy) {
      sizes = before;
      TRY(growth.undo());
      return fail(std::move(!loaded ? loaded.error() : !of_services ? of_services.error() : of_policy.error()));
    }
    programs = std::move(*loaded);
    *services = std::move(*of_services);
    *policy = std::move(*of_policy);
    TRY(swap(), "bring programs to the larger maps");
    return ok();
  }
};

Datapath::Datapath(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Datapath::~Datapath() = default;

Result<std::unique_ptr<Datapath>> Datapath::open(Options options) {
  TRY(check(options.features));
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  const auto& pins = impl->options.pins;
  impl->modes = TRY(resolve(impl->options.features.attach));
  impl->blocks = TRY(bpf::Blocks::open());
  for (const auto& folder : {maps_of(pins), programs_of(pins), links_of(pins)}) TRY(bpf::make_pin_folder(folder));
  auto old_conntrack = TRY(resize_conntrack(maps_of(pins), impl->options.conntrack_entries));
  impl->sizes = TRY(sizes_at_least(maps_of(pins), first_sizes(impl->options)));
  TRY(create_maps(impl->sizes, maps_of(pins)));
  TRY(impl->open_maps());
  impl->policy_wanted = impl->options.features.policy;
  if (impl->policy_wanted && TRY(impl->pods->judged()).empty() && !TRY(impl->pods->dump()).empty())
    impl->options.features.policy = false;
  impl->programs = TRY(impl->load(impl->options.features));
  TRY(impl->swap());
  if (old_conntrack) TRY(copy_conntrack(*old_conntrack, *impl->conntrack));  // what opened until the swap
  return std::unique_ptr<Datapath>(new Datapath(std::move(impl)));
}

const Features& Datapath::features() const { return impl_->options.features; }
Attach Datapath::attach_mode(Hook hook) const { return impl_->mode_of(hook); }

Status Datapath::set_features(Features features) {
  TRY(check(features));
  auto modes = TRY(resolve(features.attach));
  impl_->programs = TRY(impl_->load(features));
  impl_->modes = modes;
  impl_->options.features = std::move(features);
  return impl_->swap();
}

Status Datapath::attach_pod(IfIndex host_side) {
  if (impl_->mode_of(Hook::FromPod) == Attach::Clsact && TRY(impl_->share(host_side))) return ok();  // both at once
  TRY(impl_->attach(Hook::FromPod, host_side));
  return impl_->attach(Hook::ToPod, host_side);
}

Status Datapath::attach_uplink(IfIndex uplink) {
  TRY(impl_->attach(Hook::UplinkEgress, uplink));
  return impl_->attach(Hook::UplinkIngress, uplink);
}

Status Datapath::detach(IfIndex ifindex) {
  for (auto hook : kHooks)
    if (impl_->mode_of(hook) == Attach::Tcx) TRY(bpf::unpin_link(link_of(impl_->options.pins, ifindex, hook)));
  return detach_by_clsact(*impl_->blocks, ifindex);
}

Result<std::vector<Attachment>> Datapath::attached() { return impl_->attached(); }

Result<std::vector<SocketAttachment>> Datapath::attached_sockets() {
  if (!impl_->programs.sockets) return std::vector<SocketAttachment>();
  return impl_->programs.sockets->attached();
}

Status Datapath::repair_sockets() {
  if (!impl_->programs.sockets) return ok();
  return impl_->programs.sockets->attach(*impl_->programs.cgroup);
}

bool Datapath::swap_pending() const { return impl_->swap_pending; }

Status Datapath::reserve_services(const ServiceRows& rows) {
  if (impl_->swap_pending) TRY(impl_->swap(), "bring programs to the present maps");
  TRY(impl_->grow(grown(impl_->sizes, rows)), "make room for Services");
  return ok();
}

Status Datapath::reserve_policy(const PolicyRows& rows) {
  if (impl_->swap_pending) TRY(impl_->swap(), "bring programs to the present maps");
  TRY(impl_->grow(grown(impl_->sizes, rows)), "make room for policies");
  return ok();
}

Status Datapath::enforce_policy() {
  if (impl_->options.features.policy == impl_->policy_wanted) return ok();
  Features features = impl_->options.features;
  features.policy = impl_->policy_wanted;
  return set_features(std::move(features));
}

Pods& Datapath::pods() { return *impl_->pods; }
Routes& Datapath::routes() { return *impl_->routes; }
Peers& Datapath::peers() { return *impl_->peers; }
Uplinks& Datapath::uplinks() { return *impl_->uplinks; }
Conntrack& Datapath::conntrack() { return *impl_->conntrack; }

Services& Datapath::services() { return impl_->services->services; }
Slots& Datapath::slots() { return impl_->services->slots; }
Backends& Datapath::backends() { return impl_->services->backends; }
BackendConnections& Datapath::backend_connections() { return impl_->services->backend_connections; }
Affinity& Datapath::affinity() { return impl_->services->affinity; }
SocketFlows& Datapath::socket_flows() { return impl_->services->socket_flows; }
NodeAddresses& Datapath::node_addresses() { return impl_->services->node_addresses; }
ServiceRanges& Datapath::service_ranges() { return impl_->services->service_ranges; }
SourceRanges& Datapath::source_ranges() { return impl_->services->source_ranges; }
Clients& Datapath::clients() { return impl_->services->clients; }
ServiceMarks& Datapath::service_marks() { return impl_->services->marks; }
DnsHere& Datapath::dns_here() { return impl_->services->dns_here; }

PolicyTables Datapath::policy() {
  PolicyMaps& maps = *impl_->policy;
  return {*impl_->subjects, maps.addresses, maps.blocks, maps.ports, maps.sets, maps.verdicts, maps.epoch};
}
PolicyFlows& Datapath::policy_flows() { return *impl_->flows; }

Result<std::map<abi::counter_reason, Counter>> Datapath::counters() const {
  std::map<abi::counter_reason, Counter> result;
  auto sums = TRY(bpf::sum_per_cpu(impl_->counters, 2));
  for (uint32_t reason = 0; reason < abi::COUNTER_REASON_COUNT; ++reason)
    result[static_cast<abi::counter_reason>(reason)] = {.packets = sums[reason][0], .bytes = sums[reason][1]};
  return result;
}

Status Datapath::read_events(const std::function<void(const abi::flow_event&)>& event) {
  TRY(impl_->events->drain([&](std::span<const std::byte> record) {
    abi::flow_event flow;
    if (record.size() < sizeof(flow)) return;
    std::memcpy(&flow, record.data(), sizeof(flow));
    if (flow.header.type == abi::EVENT_FLOW) event(flow);  // others are of programs that know more
  }));
  return ok();
}

Result<std::map<uint32_t, uint32_t>> Datapath::open_connections() const {
  return datapath::open_connections(*impl_->conntrack, monotonic_seconds());
}

Result<size_t> Datapath::sweep_conntrack() {
  const size_t flows = TRY(sweep_flows(*impl_->flows, monotonic_seconds()), "flows of policies");
  return flows + TRY(sweep(*impl_->conntrack, monotonic_seconds()));
}

Status Datapath::remove_all(const std::string& pins) {
  auto blocks = TRY(bpf::Blocks::open());
  for (const auto& [attachment, program] : TRY(attached_by_clsact(blocks)))
    TRY(detach_by_clsact(blocks, attachment.ifindex));
  for (const auto& name : TRY(bpf::list_pins(links_of(pins)))) TRY(bpf::unpin_link(links_of(pins) + "/" + name));
  TRY(SocketPrograms::detach(pins));
  return bpf::remove_pins(pins);
}

}  // namespace causeway::datapath
