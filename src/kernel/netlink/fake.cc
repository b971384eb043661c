#include "kernel/netlink/fake.h"

#include <algorithm>

#include "kernel/netlink/encode.h"

namespace causeway::netlink {
namespace {

std::string end_name(const LinkEnd& end) { return end.name; }

}  // namespace

FakeRtnetlink::FakeRtnetlink() {
  links_[IfIndex{1}] =
      Link{.index = IfIndex{1}, .name = "lo", .mtu = 65536, .up = true, .running = true, .loopback = true};
}

IfIndex FakeRtnetlink::add_link(Link link) {
  if (link.index == IfIndex{}) link.index = IfIndex(next_index_);
  next_index_ = std::max(next_index_, uint32_t(link.index)) + 1;
  const IfIndex index = link.index;
  links_[index] = std::move(link);
  return index;
}

std::vector<Status> FakeRtnetlink::apply(std::span<const Change> changes) {
  std::vector<Status> statuses;
  for (const auto& change : changes) {
    Status status = fault ? fault(change) : ok();
    if (status) {
      if (auto valid = encode(change, 1); !valid)
        status = fail(std::move(valid.error()));  // the real door's own refusals
    }
    if (status) status = apply_change(change);
    if (status) log.push_back(to_string(change));
    statuses.push_back(std::move(status));
  }
  return statuses;
}

Link* FakeRtnetlink::find(const LinkRef& ref) {
  for (auto& [index, link] : links_) {
    if (const auto* wanted = std::get_if<IfIndex>(&ref);
        wanted ? index == *wanted : link.name == std::get<std::string>(ref))
      return &link;
  }
  return nullptr;
}

void FakeRtnetlink::remove_link(IfIndex index) {
  const IfIndex peer = links_[index].peer;
  links_.erase(index);
  std::erase_if(addresses_, [&](const auto& entry) { return entry.first.first == index; });
  std::erase_if(neighbours_, [&](const auto& entry) { return entry.first.first == index; });
  std::erase_if(routes_, [&](const auto& entry) { return entry.second.link == index; });
  std::erase_if(forwarding_, [&](const auto& entry) { return entry.first.first == index; });
  buckets_.erase(index);
  if (links_.contains(peer)) remove_link(peer);
}

Status FakeRtnetlink::apply_change(const Change& change) {
  const auto no_link = [&] { return fail(Errc::NotFound, "{}: No such device", to_string(change)); };
  if (const auto* c = std::get_if<CreateVeth>(&change)) {
    for (const auto* end : {&c->link, &c->peer})
      if (end->netns_fd < 0 && find(end_name(*end)))
        return fail(Errc::AlreadyExists, "{}: File exists", to_string(change));
    const auto make = [&](const LinkEnd& end) {
      return Link{.name = end.name,
                  .kind = "veth",
                  .mac = end.mac.value_or(Mac{}),
                  .mtu = end.mtu ? end.mtu : 1500,
                  .group = end.group};
    };
    const IfIndex link = add_link(make(c->link));
    if (c->peer.netns_fd >= 0) {
      links_[link].peer = IfIndex(next_index_++);
      links_[link].peer_netns = 0;
    } else {
      const IfIndex peer = add_link(make(c->peer));
      links_[link].peer = peer;
      links_[peer].peer = link;
    }
  } else if (const auto* c = std::get_if<CreateBridge>(&change)) {
    if (find(c->name)) return fail(Errc::AlreadyExists, "{}: File exists", to_string(change));
    add_link(Link{.name = c->name, .kind = "bridge", .mac = c->mac.value_or(Mac{}), .mtu = c->mtu ? c->mtu : 1500});
  } else if (const auto* c = std::get_if<CreateVxlan>(&change)) {
    if (find(c->name)) return fail(Errc::AlreadyExists, "{}: File exists", to_string(change));
    add_link(Link{.name = c->name,
                  .kind = "vxlan",
                  .mac = c->mac.value_or(Mac{}),
                  .mtu = c->mtu ? c->mtu : 1500,
                  .vxlan = c->vxlan});
  } else if (const auto* c = std::get_if<CreateMacvlan>(&change)) {
    if (!find(c->parent)) return no_link();
    if (c->link.netns_fd < 0) {
      if (find(c->link.name)) return fail(Errc::AlreadyExists, "{}: File exists", to_string(change));
      add_link(Link{.name = c->link.name,
                    .kind = "macvlan",
                    .mac = c->link.mac.value_or(Mac{}),
                    .mtu = c->link.mtu ? c->link.mtu : 1500,
                    .group = c->link.group});
    }
  } else if (const auto* c = std::get_if<SetLink>(&change)) {
    auto* link = find(c->link);
    if (!link) return no_link();
    if (c->up) link->up = link->running = *c->up;
    if (c->mtu) link->mtu = *c->mtu;
    if (c->mac) link->mac = *c->mac;
    if (c->master) link->master = *c->master;
    if (c->group) link->group = *c->group;
    if (c->alias) link->alias = *c->alias;
    if (c->rename) link->name = *c->rename;
    if (c->netns_fd) links_.erase(link->index);
  } else if (const auto* c = std::get_if<DeleteLink>(&change)) {
    if (auto* link = find(c->link)) remove_link(link->index);
  } else if (const auto* c = std::get_if<DeleteGroup>(&change)) {
    std::vector<IfIndex> gone;
    for (const auto& [index, link] : links_)
      if (link.group == c->group) gone.push_back(index);
    for (IfIndex index : gone)
      if (links_.contains(index)) remove_link(index);
  } else if (const auto* c = std::get_if<PutAddress>(&change)) {
    if (!find(c->address.link)) return no_link();
    addresses_[{c->address.link, c->address.ip}] = c->address;
  } else if (const auto* c = std::get_if<DeleteAddress>(&change)) {
    addresses_.erase({c->address.link, c->address.ip});
  } else if (const auto* c = std::get_if<PutRoute>(&change)) {
    if (c->route.link != IfIndex{} && !find(c->route.link)) return no_link();
    routes_[{c->route.destination, c->route.table, c->route.priority}] = c->route;
  } else if (const auto* c = std::get_if<DeleteRoute>(&change)) {
    routes_.erase({c->route.destination, c->route.table, c->route.priority});
  } else if (const auto* c = std::get_if<PutNeighbour>(&change)) {
    if (!find(c->neighbour.link)) return no_link();
    neighbours_[{c->neighbour.link, c->neighbour.ip}] = c->neighbour;
  } else if (const auto* c = std::get_if<DeleteNeighbour>(&change)) {
    neighbours_.erase({c->link, c->ip});
  } else if (const auto* c = std::get_if<PutForwarding>(&change)) {
    if (!find(c->forwarding.link)) return no_link();
    forwarding_[{c->forwarding.link, c->forwarding.mac}] = c->forwarding;
  } else if (const auto* c = std::get_if<DeleteForwarding>(&change)) {
    forwarding_.erase({c->forwarding.link, c->forwarding.mac});
  } else if (const auto* c = std::get_if<PutRule>(&change)) {
    rules_.insert(c->rule);
  } else if (const auto* c = std::get_if<DeleteRule>(&change)) {
    rules_.erase(c->rule);
  } else if (const auto* c = std::get_if<PutTokenBucket>(&change)) {
    if (!find(c->link)) return no_link();
    buckets_[c->link] = c->bucket;
  } else if (const auto* c = std::get_if<DeleteTokenBucket>(&change)) {
    buckets_.erase(c->link);
  }
  return ok();
}

namespace {
template <class Map>
auto values(const Map& map) {
  std::vector<typename Map::mapped_type> all;
  for (const auto& [key, value] : map) all.push_back(value);
  return all;
}
}  // namespace

Result<std::vector<Link>> FakeRtnetlink::links() { return values(links_); }
Result<std::vector<Address>> FakeRtnetlink::addresses() { return values(addresses_); }
Result<std::vector<Neighbour>> FakeRtnetlink::neighbours() { return values(neighbours_); }

Result<Link> FakeRtnetlink::link(LinkRef ref) {
  if (auto* link = find(ref)) return *link;
  return fail(Errc::NotFound, "read {}: No such device", to_string(ref));
}

Result<std::vector<Route>> FakeRtnetlink::routes(RouteFilter filter) {
  auto all = values(routes_);
  std::erase_if(all, [&](const Route& route) {
    return (filter.family && route.destination.family() != *filter.family) ||
           (filter.table && route.table != filter.table) || (filter.protocol && route.protocol != filter.protocol);
  });
  return all;
}

Result<std::vector<Forwarding>> FakeRtnetlink::forwarding(IfIndex link) {
  auto all = values(forwarding_);
  std::erase_if(all, [&](const Forwarding& entry) { return entry.link != link; });
  return all;
}

Result<std::vector<Rule>> FakeRtnetlink::rules(uint8_t protocol) {
  std::vector<Rule> all(rules_.begin(), rules_.end());
  std::erase_if(all, [&](const Rule& rule) { return protocol && rule.protocol != protocol; });
  return all;
}

Result<std::optional<TokenBucket>> FakeRtnetlink::token_bucket(IfIndex link) {
  const auto found = buckets_.find(link);
  if (found == buckets_.end()) return std::nullopt;
  return found->second;
}

Result<Route> FakeRtnetlink::route_to(Ip destination) {
  const Route* best = nullptr;
  for (const auto& [key, route] : routes_)
    if (route.table == kMainTable && route.destination.contains(destination) &&
        (!best || route.destination.prefix() > best->destination.prefix()))
      best = &route;
  if (!best) return fail(Errc::Unavailable, "route to {}: Network is unreachable", destination);
  return *best;
}

std::string FakeRtnetlink::render() const {
  std::string text;
  for (const auto& [key, link] : links_) text += to_string(link) + "\n";
  for (const auto& [key, address] : addresses_) text += to_string(address) + "\n";
  for (const auto& [key, route] : routes_) text += to_string(route) + "\n";
  for (const auto& [key, neighbour] : neighbours_) text += to_string(neighbour) + "\n";
  for (const auto& [key, entry] : forwarding_) text += to_string(entry) + "\n";
  for (const Rule& rule : rules_) text += to_string(rule) + "\n";
  for (const auto& [link, bucket] : buckets_) text += fmt::format("qdisc dev {} {}\n", link, bucket);
  return text;
}

}  // namespace causeway::netlink
