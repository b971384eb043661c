#include "apps/plane_change.h"

#include <algorithm>
#include <filesystem>

#include "apps/netfilter_services.h"
#include "base/file.h"
#include "base/log.h"
#include "datapath/datapath.h"
#include "fabric/compile.h"
#include "fabric/tunnels.h"
#include "kernel/nftables/diff.h"
#include "kernel/nftables/nftables.h"

namespace causeway::apps {

namespace {

using fabric::Plane;

Plane other(Plane plane) { return plane == Plane::Bpf ? Plane::Netfilter : Plane::Bpf; }

// What the plane keeps in the kernel besides routes, which the next one overwrites.
Result<bool> left_traces(Plane plane, const PlaneSetup& setup) {
  if (plane == Plane::Bpf) {
    std::error_code error;
    return std::filesystem::exists(setup.options.pins, error);
  }
  for (Family outer : {Family::V4, Family::V6})
    if (setup.net.link(fabric::tunnel_device(outer))) return true;
  if (auto nft = nftables::open_nftables())  // a kernel without nf_tables holds none
    if (auto section = (*nft)->observe("fabric")) return !section->chains.empty() || !section->sets.empty();
  return false;
}

// The plane of the agent before us: as it wrote, else (an agent that wrote nothing, a lost run folder) as its traces
// tell; empty: none.
Result<std::optional<Plane>> plane_before(const std::string& record, const PlaneSetup& setup) {
  if (auto text = read_file(record)) {
    while (!text->empty() && text->back() == '\n') text->pop_back();
    return TRY(fabric::parse_plane(*text), "{}", record);
  }
  for (Plane plane : {Plane::Bpf, Plane::Netfilter})
    if (TRY(left_traces(plane, setup))) return plane;
  return std::nullopt;
}

Result<size_t> attached_pods(netlink::Rtnetlink& net) {
  const auto links = TRY(net.links(), "count the links of Pods");
  return static_cast<size_t>(
      std::ranges::count_if(links, [](const netlink::Link& link) { return link.group == netlink::kPodGroup; }));
}

Status remove_bpf(const PlaneSetup& setup) {
  TRY(datapath::Datapath::remove_all(setup.options.pins));
  std::vector<netlink::Change> changes;
  for (const netlink::Neighbour& entry : TRY(setup.net.neighbours()))
    if (entry.ip == fabric::fabric_gateway(entry.ip.family()).first)
      changes.push_back(netlink::DeleteNeighbour{entry.link, entry.ip});
  return setup.net.apply_all(changes);
}

// But for the rules of Services: they carry connections until the next plane does (plane_adopt.h).
Status remove_netfilter(const PlaneSetup& setup) {
  std::vector<netlink::Change> changes;
  for (const netlink::Rule& rule : TRY(setup.net.rules(netlink::kRouteProtocol)))
    changes.push_back(netlink::DeleteRule{rule});
  for (netlink::Route& route : TRY(setup.net.routes({.table = fabric::kPodTable})))
    changes.push_back(netlink::DeleteRoute{std::move(route)});
  for (Family outer : {Family::V4, Family::V6}) changes.push_back(netlink::DeleteLink{fabric::tunnel_device(outer)});
  TRY(setup.net.apply_all(changes));
  auto nft = nftables::open_nftables();
  if (!nft) return ok();
  for (const char* section : {"fabric", "hostport"}) {
    const auto removal = nftables::removal(TRY((*nft)->observe(section)));
    if (!removal.empty()) TRY((*nft)->apply(removal), "table inet causeway");
  }
  return ok();
}

}  // namespace

Status settle_plane(const PlaneSetup& setup) {
  const Plane wanted = setup.options.plane;
  const std::string record = setup.options.run + "/plane";
  const auto before = TRY(plane_before(record, setup));
  if (before && *before != wanted) {
    if (const size_t pods = TRY(attached_pods(setup.net)); pods > 0)
      return fail(Errc::Conflict,
                  "node {} has {} Pods on plane {}, and a node's plane changes only without any: kubectl drain {} "
                  "--ignore-daemonsets, then start the agent with --plane {} again",
                  setup.options.node, pods, *before, setup.options.node, wanted);
    log::info("plane {} instead of {}", wanted, *before);
  }
  if (TRY(left_traces(other(wanted), setup))) {
    log::info("removing what plane {} left", other(wanted));
    TRY(wanted == Plane::Bpf ? remove_netfilter(setup) : remove_bpf(setup), "remove what plane {} left", other(wanted));
  }
  if (wanted == Plane::Bpf && !setup.options.services)
    if (auto nft = nftables::open_nftables()) TRY(remove_other_services(setup.net, **nft, ""));
  return replace_file(record, fmt::format("{}\n", wanted));
}

}  // namespace causeway::apps
