#include "apps/plane_change.h"

#include <algorithm>
#include <filesystem>

#include "apps/agent.h"
#include "apps/freeze.h"
#include "base/file.h"
#include "base/log.h"
#include "datapath/datapath.h"
#include "fabric/compile.h"
#include "fabric/tunnels.h"
#include "kernel/bpf/pins.h"
#include "kernel/netns/netns.h"
#include "kernel/nftables/diff.h"
#include "kernel/nftables/nftables.h"
#include "service/kube_proxy.h"

namespace causeway::apps {

namespace {

using cluster::Source;
using fabric::Plane;

constexpr Duration kLookEvery = 20ms;

Plane other(Plane plane) { return plane == Plane::Bpf ? Plane::Netfilter : Plane::Bpf; }

// What the plane keeps in the kernel besides routes, which the next one overwrites.
Result<bool> left_traces(Plane plane, const std::string& pins, netlink::Rtnetlink& net) {
  if (plane == Plane::Bpf) {
    std::error_code error;
    return std::filesystem::exists(pins, error);
  }
  for (Family outer : {Family::V4, Family::V6})
    if (net.link(fabric::tunnel_device(outer))) return true;
  if (auto nft = nftables::open_nftables())  // a kernel without nf_tables holds none
    if (auto section = (*nft)->observe("fabric")) return !section->chains.empty() || !section->sets.empty();
  return false;
}

Status remove_bpf(const std::string& pins, netlink::Rtnetlink& net) {
  // Each version of the maps has a folder of its own; its links are detached first, so that no program works on.
  for (const std::string& version : TRY(bpf::list_pins(pins)))
    TRY(datapath::Datapath::remove_all(pins + "/" + version));
  TRY(datapath::Datapath::remove_all(pins));
  std::vector<netlink::Change> changes;
  for (const netlink::Neighbour& entry : TRY(net.neighbours()))
    if (entry.ip == fabric::fabric_gateway(entry.ip.family()).first)
      changes.push_back(netlink::DeleteNeighbour{entry.link, entry.ip});
  return net.apply_all(changes);
}

Status remove_netfilter(netlink::Rtnetlink& net) {
  std::vector<netlink::Change> changes;
  for (const netlink::Rule& rule : TRY(net.rules(netlink::kRouteProtocol)))
    changes.push_back(netlink::DeleteRule{rule});
  for (netlink::Route& route : TRY(net.routes({.table = fabric::kPodTable})))
    changes.push_back(netlink::DeleteRoute{std::move(route)});
  for (Family outer : {Family::V4, Family::V6}) changes.push_back(netlink::DeleteLink{fabric::tunnel_device(outer)});
  TRY(net.apply_all(changes));
  auto nft = nftables::open_nftables();
  if (!nft) return ok();
  // The guard of 127.0.0.0/8 goes with the host ports, so nothing may lead there any more; a kube-proxy brings its own.
  if (const auto runs = service::kube_proxy_runs(); runs && !*runs)
    TRY(netns::write_sysctl("ipv4/conf/all/route_localnet", "0"));
  for (const char* section : {"fabric", "policy", "hostport", "dns"}) {
    const auto removal = nftables::removal(TRY((*nft)->observe(section)));
    if (!removal.empty()) TRY((*nft)->apply(removal), "table inet causeway");
  }
  return ok();
}

Result<size_t> attached_pods(netlink::Rtnetlink& net) {
  const auto links = TRY(net.links(), "count the links of Pods");
  return static_cast<size_t>(
      std::ranges::count_if(links, [](const netlink::Link& link) { return link.group == netlink::kPodGroup; }));
}

Status record(const PlaneChange& change) { return replace_file(change.record, fmt::format("{}\n", change.wanted)); }

}  // namespace

Result<PlaneChange> settle_plane(const AgentOptions& options, netlink::Rtnetlink& net) {
  PlaneChange change{.wanted = options.plane, .pins = options.pins, .record = options.run + "/plane"};
  if (auto nft = nftables::open_nftables())
    TRY(remove_freeze(**nft), "remove what an agent left that was killed while planes changed");
  change.pending = TRY(left_traces(other(change.wanted), options.pins, net));
  if (!change.pending) {
    TRY(record(change));
    return change;
  }
  if (const size_t pods = TRY(attached_pods(net)); pods > 0 && options.fabric == fabric::Mode::Vxlan)
    return fail(
        Errc::Conflict,
        "node {} has {} Pods on plane {}, and with --fabric vxlan nodes of different planes do not understand each "
        "other's tunnels: kubectl drain {} --ignore-daemonsets, then start the agent with --plane {} again",
        options.node, pods, other(change.wanted), options.node, change.wanted);
  log::info("plane {} instead of {}, which carries packets until all is in place", change.wanted, other(change.wanted));
  return change;
}

Task<Status> all_in_place(Loop& loop, cluster::Feed& feed, const service::Applier* services) {
  const auto known = [&] {
    const cluster::Model& model = feed.model();
    return model.self() && model.synced(Source::Nodes) && model.synced(Source::Attachments) &&
           (!services || services->desired().complete());
  };
  while (!known()) CO_TRY(co_await loop.sleep(kLookEvery));
  const auto generation = feed.model().generation();
  while (!feed.applied_once() || feed.acknowledged() < generation) CO_TRY(co_await loop.sleep(kLookEvery));
  co_return ok();
}

Task<Status> all_audited(Loop& loop, cluster::Feed& feed) {
  const auto applies = [&] {
    std::vector<uint64_t> out;
    for (const auto& consumer : feed.consumers()) out.push_back(consumer.applies);
    return out;
  };
  // Twice: one that is at work may have looked before.
  for (int turn = 0; turn < 2; ++turn) {
    const auto before = applies();
    feed.audit();
    while (!std::ranges::equal(before, applies(), std::less<>())) CO_TRY(co_await loop.sleep(kLookEvery));
  }
  co_return ok();
}

Status remove_other_plane(const PlaneChange& change, netlink::Rtnetlink& net) {
  TRY(change.wanted == Plane::Bpf ? remove_netfilter(net) : remove_bpf(change.pins, net), "remove what plane {} left",
      other(change.wanted));
  return record(change);
}

}  // namespace causeway::apps
