#include "pod/extra/apply.h"

#include <algorithm>

#include "base/log.h"
#include "kernel/netns/netns.h"

namespace causeway::pod {
namespace {

using netlink::Change;
using netlink::Rtnetlink;

// What makes a device one that the node or its Pods live by; "" where nothing does.
Result<std::string> lived_by(Rtnetlink& node, const netlink::Link& link) {
  if (link.loopback) return "it is the loopback";
  if (link.group == netlink::kPodGroup) return "it is another Pod's";
  if (link.name.starts_with("causeway")) return "it is the cluster network's";
  if (link.master != IfIndex{}) return "it is part of another device (bridge, bond)";
  for (const auto& address : TRY(node.addresses()))
    if (address.link == link.index && !address.ip.is_link_local())
      return fmt::format("the node has its address {} there", address.ip);
  // An uplink may have no address of its own (unnumbered).
  for (const auto& route : TRY(node.routes({.table = 0})))
    if (route.link == link.index && route.type == netlink::RouteType::Unicast &&
        !route.destination.address().is_link_local() && !route.destination.address().is_multicast())
      return fmt::format("the node has its route to {} there", route.destination);
  return "";
}

Result<netlink::Link> parent_of(Rtnetlink& node, const ExtraInterface& extra) {
  // As the CNI project's plugin: the device of the default route.
  if (extra.device.empty()) {
    const auto route = TRY(node.route_to(Ip::v4(0x08080808)), "no master is named, and this node has no default route");
    return node.link(route.link);
  }
  return TRY(node.link(extra.device), "master {}", extra.device);
}

Status make_macvlan(Rtnetlink& node, int netns, const ExtraInterface& extra) {
  const auto parent = TRY(parent_of(node, extra));
  const auto no = [&](std::string_view why) {
    return fail(Errc::Denied, "master {} is not one that a Pod may share: {}", parent.name, why);
  };
  // It would hear what is another Pod's, or the cluster network's.
  if (parent.group == netlink::kPodGroup) return no("it is another Pod's");
  if (parent.name.starts_with("causeway")) return no("it is the cluster network's");
  // A passthru takes every frame of its parent: the node would have none left.
  if (extra.mode == netlink::MacvlanMode::Passthru)
    if (const auto why = TRY(lived_by(node, parent)); !why.empty()) return no(why + ", and passthru takes all of it");
  return node.apply_one(
      netlink::CreateMacvlan{.link = {.name = extra.ifname, .mac = extra.mac, .mtu = extra.mtu, .netns_fd = netns},
                             .parent = parent.index,
                             .mode = extra.mode});
}

// The alias is set first: a kill behind the move leaves a device that names its way back.
Status move_device(Rtnetlink& node, int netns, const std::string& container, const ExtraInterface& extra) {
  const auto link = TRY(node.link(extra.device), "device {}", extra.device);
  // A definition that names the uplink would cut off the whole node.
  if (const auto why = TRY(lived_by(node, link)); !why.empty())
    return fail(Errc::Denied, "device {} is not one that a Pod may take: {}", link.name, why);
  TRY(node.apply_one(netlink::SetLink{.link = link.index, .up = false, .alias = moved_alias(container, extra.device)}));
  auto moved = node.apply_one(netlink::SetLink{.link = link.index, .rename = extra.ifname, .netns_fd = netns});
  if (moved) return ok();
  if (auto undone = node.apply_one(netlink::SetLink{.link = extra.device, .alias = ""}); !undone)
    log::error("undo {} of network {}: {}", extra.ifname, extra.network, undone.error().message());
  return moved;
}

// Inside the Pod: addresses, up, routes.
Status configure(Rtnetlink& pod, ExtraInterface& extra) {
  const auto link = TRY(pod.link(extra.ifname));
  // Where the node's default is off.
  if (std::ranges::any_of(extra.addresses, [](const auto& address) { return address.ip.is_v6(); }))
    TRY(netns::write_sysctl("ipv6/conf/" + extra.ifname + "/disable_ipv6", "0"), "IPv6 of {}", extra.ifname);
  std::vector<Change> changes;
  if (extra.kind == ExtraKind::Device && extra.mac && *extra.mac != link.mac)
    changes.push_back(netlink::SetLink{.link = link.index, .mac = extra.mac});
  for (const auto& address : extra.addresses)
    changes.push_back(netlink::PutAddress{{.link = link.index, .ip = address.ip, .prefix = address.prefix}});
  changes.push_back(netlink::SetLink{.link = link.index, .up = true});
  for (const auto& route : extra.routes)
    changes.push_back(netlink::PutRoute{{.destination = route.destination,
                                         .gateway = route.gateway,
                                         .link = link.index,
                                         .onlink = route.gateway.has_value()}});
  TRY(pod.apply_all(changes));
  if (!extra.mac) extra.mac = link.mac;
  return ok();
}

// Out of the Pod, from inside it.
Status give_back(Rtnetlink& pod, int node_netns, const ExtraInterface& extra) {
  const auto link = pod.link(extra.ifname);
  if (!link && link.error().code() == Errc::NotFound) return ok();
  if (!link) return fail(Error(link.error()));
  if (extra.kind == ExtraKind::Macvlan) return pod.apply_one(netlink::DeleteLink{link->index});
  const auto alias = parse_moved_alias(link->alias);
  if (!alias || alias->device != extra.device) return ok();  // somebody else's of that name
  TRY(pod.apply_one(netlink::SetLink{.link = link->index, .up = false}));
  return pod.apply_one(netlink::SetLink{.link = link->index, .rename = extra.device, .netns_fd = node_netns});
}

// A device that came back to the node gets its name, and is nobody's any more.
Status settle(Rtnetlink& node, const netlink::Link& link, const std::string& device) {
  if (link.name != device)
    TRY(node.apply_one(netlink::SetLink{.link = link.index, .up = false, .rename = device}), "rename {}", link.name);
  return node.apply_one(netlink::SetLink{.link = link.index, .alias = ""});
}

Status settle_of(Rtnetlink& node, const std::string& container, const std::string& device) {
  for (const auto& link : TRY(node.links()))
    if (const auto alias = parse_moved_alias(link.alias);
        alias && alias->container == container && alias->device == device)
      return settle(node, link, device);
  return ok();
}

Status in_pod(const PodDoor& open, int netns, const std::function<Status(Rtnetlink&)>& work) {
  return netns::run_in(netns, [&]() -> Status {
    auto pod = TRY(open());
    return work(*pod);
  });
}

}  // namespace

Status attach_extras(netlink::Rtnetlink& node, const PodDoor& pod, int netns, const std::string& container,
                     std::vector<ExtraInterface>& extras) {
  std::vector<ExtraInterface> made;
  for (auto& extra : extras) {
    auto done = extra.kind == ExtraKind::Macvlan ? make_macvlan(node, netns, extra)
                                                 : move_device(node, netns, container, extra);
    if (done) {
      made.push_back(extra);
      done = in_pod(pod, netns, [&](Rtnetlink& inside) { return configure(inside, extra); });
    }
    if (done) continue;
    if (auto undone = detach_extras(node, pod, netns, container, made); !undone)
      log::error("undo {} of network {}: {}", extra.ifname, extra.network, undone.error().message());
    return fail(std::move(done.error()).with("{} of network {}", extra.ifname, extra.network));
  }
  return ok();
}

Status detach_extras(netlink::Rtnetlink& node, const PodDoor& pod, int netns, const std::string& container,
                     const std::vector<ExtraInterface>& extras) {
  Status first = ok();
  const auto note = [&](Status status, const ExtraInterface& extra) {
    if (!status && first) first = fail(std::move(status.error()).with("{} of network {}", extra.ifname, extra.network));
  };
  if (netns >= 0 && !extras.empty()) {
    const auto own = netns::open_self();
    if (!own) return fail(Error(own.error()));
    auto entered = in_pod(pod, netns, [&](Rtnetlink& inside) -> Status {
      for (const auto& extra : extras) note(give_back(inside, own->get(), extra), extra);
      return ok();
    });
    if (!entered) first = std::move(entered);
  }
  for (const auto& extra : extras)
    if (extra.kind == ExtraKind::Device) note(settle_of(node, container, extra.device), extra);
  return first;
}

Status settle_returned(netlink::Rtnetlink& node, const std::set<std::string>& containers) {
  Status first = ok();
  for (const auto& link : TRY(node.links())) {
    const auto alias = parse_moved_alias(link.alias);
    if (!alias || containers.contains(alias->container)) continue;
    log::info("device {} came back from {}, which is gone", alias->device, alias->container);
    if (auto settled = settle(node, link, alias->device); !settled && first)
      first = fail(std::move(settled.error()).with("device {}", alias->device));
  }
  return first;
}

Status check_extras(const PodDoor& pod, int netns, const std::vector<ExtraInterface>& extras) {
  if (extras.empty()) return ok();
  return in_pod(pod, netns, [&](Rtnetlink& inside) -> Status {
    const auto addresses = TRY(inside.addresses());
    for (const auto& extra : extras) {
      const auto link = TRY(inside.link(extra.ifname), "{} of network {}", extra.ifname, extra.network);
      for (const auto& wanted : extra.addresses)
        if (std::ranges::none_of(addresses,
                                 [&](const auto& has) { return has.link == link.index && has.ip == wanted.ip; }))
          return fail(Errc::Conflict, "{} of network {} has lost its address {}", extra.ifname, extra.network,
                      wanted.ip);
    }
    return ok();
  });
}

}  // namespace causeway::pod
