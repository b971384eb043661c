// How messages are printed: in the words of `ip`, so that a log line can be compared with what `ip` shows.
#include "kernel/netlink/messages.h"

namespace causeway::netlink {

std::string to_string(const LinkRef& ref) {
  if (const auto* index = std::get_if<IfIndex>(&ref)) return fmt::format("link {}", *index);
  return "link " + std::get<std::string>(ref);
}

std::string_view to_string(RouteType type) {
  switch (type) {
    case RouteType::Unicast: return "unicast";
    case RouteType::Local: return "local";
    case RouteType::Blackhole: return "blackhole";
    case RouteType::Unreachable: return "unreachable";
    case RouteType::Prohibit: return "prohibit";
  }
  __builtin_unreachable();
}

std::string_view to_string(MacvlanMode mode) {
  switch (mode) {
    case MacvlanMode::Private: return "private";
    case MacvlanMode::Vepa: return "vepa";
    case MacvlanMode::Bridge: return "bridge";
    case MacvlanMode::Passthru: return "passthru";
  }
  __builtin_unreachable();
}

std::string to_string(const Link& link) {
  std::string text = fmt::format("{}: {}", link.index, link.name);
  if (!link.kind.empty()) text += " " + link.kind;
  if (link.peer != IfIndex{}) text += fmt::format(" peer {}", link.peer);
  text += fmt::format(" {} mtu {} {}", link.mac, link.mtu, link.up ? "up" : "down");
  if (link.master != IfIndex{}) text += fmt::format(" master {}", link.master);
  if (link.group) text += fmt::format(" group {}", link.group);
  if (!link.alias.empty()) text += fmt::format(" alias \"{}\"", link.alias);
  return text;
}

std::string to_string(const Address& address) {
  return fmt::format("address {}/{} dev {}{}", address.ip, address.prefix, address.link,
                     address.nodad && address.ip.is_v6() ? " nodad" : "");
}

std::string to_string(const Route& route) {
  std::string text = "route ";
  if (route.type != RouteType::Unicast) text += fmt::format("{} ", route.type);
  text += to_string(route.destination);
  if (route.gateway) text += fmt::format(" via {}", *route.gateway);
  if (route.link != IfIndex{}) text += fmt::format(" dev {}", route.link);
  if (route.onlink) text += " onlink";
  if (route.source) text += fmt::format(" src {}", *route.source);
  if (route.mtu) text += fmt::format(" mtu {}{}", route.mtu_locked ? "lock " : "", route.mtu);
  if (route.priority) text += fmt::format(" metric {}", route.priority);
  if (route.table != kMainTable) text += fmt::format(" table {}", route.table);
  return text + fmt::format(" proto {}", route.protocol);
}

std::string to_string(const Neighbour& neighbour) {
  return fmt::format("neighbour {} lladdr {} dev {}", neighbour.ip, neighbour.mac, neighbour.link);
}

std::string to_string(const Forwarding& forwarding) {
  return fmt::format("fdb {} dst {} dev {}", forwarding.mac, forwarding.vtep, forwarding.link);
}

std::string to_string(const Rule& rule) {
  return fmt::format("rule {}: from {} lookup {} proto {}", rule.priority, rule.from, rule.table, rule.protocol);
}

std::string to_string(const TokenBucket& bucket) {
  return fmt::format("tbf rate {}bps burst {}b limit {}b", bucket.rate, bucket.burst, bucket.limit);
}

namespace {

std::string end_of(const LinkEnd& end) {
  std::string text = end.name;
  if (end.mac) text += fmt::format(" {}", *end.mac);
  if (end.mtu) text += fmt::format(" mtu {}", end.mtu);
  if (end.group) text += fmt::format(" group {}", end.group);
  if (end.netns_fd >= 0) text += " in another namespace";
  return text;
}

struct Printer {
  std::string operator()(const CreateVeth& c) const {
    return fmt::format("create veth {} peer {}", end_of(c.link), end_of(c.peer));
  }
  std::string operator()(const CreateBridge& c) const { return "create bridge " + c.name; }
  std::string operator()(const CreateVxlan& c) const {
    std::string text =
        fmt::format("create vxlan {} id {} port {} local {}", c.name, c.vxlan.vni, c.vxlan.port, c.vxlan.local);
    if (c.mac) text += fmt::format(" {}", *c.mac);
    if (c.mtu) text += fmt::format(" mtu {}", c.mtu);
    return text + (c.vxlan.learning ? "" : " nolearning");
  }
  std::string operator()(const CreateMacvlan& c) const {
    return fmt::format("create macvlan {} on {} mode {}", end_of(c.link), c.parent, c.mode);
  }
  std::string operator()(const SetLink& c) const {
    std::string text = "set " + to_string(c.link);
    if (c.up) text += *c.up ? " up" : " down";
    if (c.mtu) text += fmt::format(" mtu {}", *c.mtu);
    if (c.mac) text += fmt::format(" address {}", *c.mac);
    if (c.master) text += fmt::format(" master {}", *c.master);
    if (c.group) text += fmt::format(" group {}", *c.group);
    if (c.alias) text += fmt::format(" alias \"{}\"", *c.alias);
    if (c.rename) text += fmt::format(" name {}", *c.rename);
    if (c.netns_fd) text += " into another namespace";
    if (c.ipv6_autoconf) text += *c.ipv6_autoconf ? " addrgenmode eui64" : " addrgenmode none";
    return text;
  }
  std::string operator()(const DeleteLink& c) const { return "delete " + to_string(c.link); }
  std::string operator()(const DeleteGroup& c) const { return fmt::format("delete link group {}", c.group); }
  std::string operator()(const PutAddress& c) const { return "put " + to_string(c.address); }
  std::string operator()(const DeleteAddress& c) const { return "delete " + to_string(c.address); }
  std::string operator()(const PutRoute& c) const { return "put " + to_string(c.route); }
  std::string operator()(const DeleteRoute& c) const { return "delete " + to_string(c.route); }
  std::string operator()(const PutNeighbour& c) const { return "put " + to_string(c.neighbour); }
  std::string operator()(const DeleteNeighbour& c) const {
    return fmt::format("delete neighbour {} dev {}", c.ip, c.link);
  }
  std::string operator()(const PutForwarding& c) const { return "put " + to_string(c.forwarding); }
  std::string operator()(const DeleteForwarding& c) const { return "delete " + to_string(c.forwarding); }
  std::string operator()(const PutRule& c) const { return "put " + to_string(c.rule); }
  std::string operator()(const DeleteRule& c) const { return "delete " + to_string(c.rule); }
  std::string operator()(const PutTokenBucket& c) const { return fmt::format("put qdisc dev {} {}", c.link, c.bucket); }
  std::string operator()(const DeleteTokenBucket& c) const { return fmt::format("delete qdisc dev {} tbf", c.link); }
};

}  // namespace

std::string to_string(const Change& change) { return std::visit(Printer{}, change); }

}  // namespace causeway::netlink
