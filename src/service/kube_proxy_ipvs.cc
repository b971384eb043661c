#include "service/kube_proxy_ipvs.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include <algorithm>

namespace causeway::service {

namespace {

using ipvs::ServiceKey;
using Servers = std::map<ServiceKey, ipvs::Held>;

constexpr std::string_view kPrefix = "KUBE-", kPrefix6 = "KUBE-6-";
constexpr std::string_view kSets[] = {"LOOP-BACK",
                                      "CLUSTER-IP",
                                      "EXTERNAL-IP",
                                      "EXTERNAL-IP-LOCAL",
                                      "LOAD-BALANCER",
                                      "LOAD-BALANCER-LOCAL",
                                      "LOAD-BALANCER-FW",
                                      "LOAD-BALANCER-SOURCE-IP",
                                      "LOAD-BALANCER-SOURCE-CIDR",
                                      "NODE-PORT-TCP",
                                      "NODE-PORT-LOCAL-TCP",
                                      "NODE-PORT-UDP",
                                      "NODE-PORT-LOCAL-UDP",
                                      "NODE-PORT-SCTP-HASH",
                                      "NODE-PORT-LOCAL-SCTP-HASH",
                                      "HEALTH-CHECK-NODE-PORT",
                                      "IPVS-IPS"};
constexpr size_t kMaxName = 31;  // longer names are cut

std::optional<IfIndex> device(netlink::Rtnetlink& net) {
  const auto index = net.index_of(kKubeIpvsDevice);
  return index ? std::optional(*index) : std::nullopt;
}

struct Addresses {
  std::vector<netlink::Address> on;  // the device; but for the link-local one, which is the kernel's own
  std::set<Ip> elsewhere;            // the node's own, with or without the device
};

Result<Addresses> addresses_of(netlink::Rtnetlink& net, std::optional<IfIndex> link) {
  Addresses out;
  for (const netlink::Address& each : TRY(net.addresses(), "the addresses of {}", kKubeIpvsDevice)) {
    if (each.link != link)
      out.elsewhere.insert(each.ip);
    else if (!each.ip.is_link_local())
      out.on.push_back(each);
  }
  return out;
}

using NodePort = std::tuple<Family, uint8_t, uint16_t>;  // protocol, port

// Of TCP and UDP a set of ports, of SCTP one of addresses and ports.
Result<std::set<NodePort>> node_ports(ipset::IpSets& sets) {
  std::set<NodePort> out;
  for (const auto& [family, prefix] : {std::pair(Family::V4, kPrefix), {Family::V6, kPrefix6}})
    for (const auto& [name, held] : TRY(sets.observe(fmt::format("{}NODE-PORT-", prefix)), "kube-proxy's node ports"))
      for (const ipset::Element& element : held.elements) {
        const uint8_t protocol = name.contains("-UDP")    ? IPPROTO_UDP
                                 : name.contains("-SCTP") ? IPPROTO_SCTP
                                                          : IPPROTO_TCP;
        out.emplace(family, protocol, element.port);
      }
  return out;
}

// kOurs is IPVS's own flag of a virtual server that is ours.
Result<Servers> left_servers(const KubeIpvsDoors& doors, const std::set<Ip>& addresses) {
  if (!doors.ipvs) return Servers();
  const auto ports = doors.sets ? TRY(node_ports(*doors.sets)) : std::set<NodePort>();
  Servers out = TRY(doors.ipvs->observe(), "kube-proxy's virtual servers");
  std::erase_if(out, [&](const auto& each) {
    const auto& [key, held] = each;
    return held.service.flags & ipvs::kOurs ||
           (!addresses.contains(key.ip) && !ports.contains({key.ip.family(), key.protocol, key.port}));
  });
  return out;
}

// Weight 0: what a virtual server has goes on, and nobody new comes.
Status stop_new_ones(ipvs::Ipvs& ipvs, const Servers& servers) {
  std::vector<ipvs::Change> changes;
  for (const auto& [key, held] : servers)
    for (const auto& [to, destination] : held.destinations)
      if (destination.weight) changes.push_back(ipvs::UpdateDestination{key, to, 0});
  for (const Status& done : ipvs.apply(changes)) TRY(done, "no new connection by kube-proxy's virtual servers");
  return ok();
}

bool has_ended(const conntrack::Flow& flow) {
  return flow.protocol == IPPROTO_TCP &&
         (flow.tcp_state == TCP_CONNTRACK_TIME_WAIT || flow.tcp_state == TCP_CONNTRACK_CLOSE);
}

size_t counted(const ipvs::Held& held) {
  size_t out = 0;
  for (const auto& [to, destination] : held.destinations) out += destination.active + destination.inactive;
  return out;
}

// What still needs them: servers, and addresses (each with an endpoint behind it).
struct Busy {
  std::set<ServiceKey> servers;
  std::map<Ip, Ip> addresses;
  size_t connections = 0;
};

Result<Busy> busy(const Servers& servers, const std::set<Ip>& addresses, conntrack::Conntrack* conntrack) {
  Busy out;
  std::set<ServiceKey> counting;
  for (const auto& [key, held] : servers)
    if (const size_t count = counted(held)) {
      counting.insert(key);
      if (!conntrack) out.connections += count;
    }
  if (conntrack && (!counting.empty() || !addresses.empty()))
    for (const Family family : {Family::V4, Family::V6})
      for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP})
        for (const conntrack::Flow& flow : TRY(conntrack->flows({family, protocol, 0}), "list tracked connections")) {
          const Endpoint& asked = flow.original.destination;
          if (asked == flow.reply.source || has_ended(flow)) continue;
          // The node asked from there, whoever translates it: without the address its socket could not send any more.
          const bool from_there = addresses.contains(flow.original.source.ip);
          if (from_there) out.addresses.insert_or_assign(flow.original.source.ip, flow.reply.source.ip);
          const ServiceKey key{asked.ip, asked.port, protocol};
          const bool by_server = counting.contains(key);
          if (by_server) out.servers.insert(key);
          out.connections += from_there || by_server;
        }
  if (!conntrack) out.servers = std::move(counting);
  for (const ServiceKey& key : out.servers)
    if (const auto& destinations = servers.at(key).destinations; !destinations.empty())
      out.addresses.emplace(key.ip, destinations.begin()->first.ip);
  return out;
}

// The tag of local routes that lend another source.
constexpr uint8_t kLent = RTPROT_STATIC;

// Service addresses that are local without the device: --proxy-mode ipvs binds them.
Result<std::set<Ip>> bound_without(netlink::Rtnetlink& net, IfIndex link) {
  std::set<Ip> out;
  for (const netlink::Route& route : TRY(net.routes({.table = netlink::kLocalTable}), "read the local routes"))
    if (route.type == netlink::RouteType::Local && route.link != link &&
        route.destination.prefix() == route.destination.address().bits())
      out.insert(route.destination.address());
  return out;
}

// An address that stays is not the source of what the node opens from now on: that would need it in turn. The kernel's
// own route says so of every address; of IPv6 it stands beside ours, with a metric that comes first.
void lend_source(netlink::Rtnetlink& net, const netlink::Address& address, Ip endpoint, bool bound,
                 std::vector<netlink::Change>& changes) {
  netlink::Route route{.destination = host_cidr(address.ip),
                       .type = netlink::RouteType::Local,
                       .link = address.link,
                       .table = netlink::kLocalTable,
                       .protocol = kLent};
  if (!bound) {
    const auto way = net.route_to(endpoint);
    if (!way || !way->source || *way->source == address.ip) return;
    route.source = *way->source;
    changes.push_back(netlink::PutRoute{route});
  }
  if (address.ip.is_v4()) return;  // there it took the place of the kernel's
  route.protocol = RTPROT_KERNEL;
  changes.push_back(netlink::DeleteRoute{route});
}

}  // namespace

bool is_set_of_kube_proxy(std::string_view name) {
  return std::ranges::any_of(kSets, [&](std::string_view each) {
    return name == fmt::format("{}{}", kPrefix, each).substr(0, kMaxName) ||
           name == fmt::format("{}{}", kPrefix6, each).substr(0, kMaxName);
  });
}

Result<bool> kube_ipvs_left(const KubeIpvsDoors& doors) {
  if (device(doors.net)) return true;
  if (!doors.sets) return false;
  const auto sets = TRY(doors.sets->names(kPrefix), "kube-proxy's IP sets");
  return std::ranges::any_of(sets, is_set_of_kube_proxy);
}

Result<KubeIpvsRetired> retire_kube_ipvs(const KubeIpvsDoors& doors) {
  KubeIpvsRetired out;
  const auto link = device(doors.net);
  const auto addresses = TRY(addresses_of(doors.net, link));
  std::set<Ip> ips;
  for (const auto& address : addresses.on) ips.insert(address.ip);
  auto servers = TRY(left_servers(doors, ips));
  if (!servers.empty()) {
    TRY(stop_new_ones(*doors.ipvs, servers));
    servers = TRY(left_servers(doors, ips));  // counted when no more can come
  }
  const Busy kept = TRY(busy(servers, ips, doors.conntrack));
  out.connections = kept.connections;
  for (const auto& [key, held] : servers)
    if (!kept.servers.contains(key)) {
      TRY(doors.ipvs->apply_one(ipvs::DeleteService{key}), "remove what kube-proxy left");
      ++out.servers;
    }
  const auto bound = link ? TRY(bound_without(doors.net, *link)) : std::set<Ip>();
  std::vector<netlink::Change> changes;
  for (const auto& address : addresses.on) {
    const bool elsewhere = addresses.elsewhere.contains(address.ip);
    if (const auto needed = kept.addresses.find(address.ip); needed != kept.addresses.end()) {
      if (!elsewhere) lend_source(doors.net, address, needed->second, bound.contains(address.ip), changes);
      continue;
    }
    ++out.addresses;
    changes.push_back(netlink::DeleteAddress{address});
    if (elsewhere) continue;
    changes.push_back(netlink::DeleteRoute{{.destination = host_cidr(address.ip),
                                            .type = netlink::RouteType::Local,
                                            .link = address.link,
                                            .table = netlink::kLocalTable,
                                            .protocol = kLent}});
  }
  if (link && kept.addresses.empty()) changes = {netlink::DeleteLink{*link}};
  TRY(doors.net.apply_all(changes), "remove addresses of {}", kKubeIpvsDevice);
  return out;
}

Result<size_t> remove_kube_ipsets(ipset::IpSets& sets) {
  size_t removed = 0;
  for (const std::string& name : TRY(sets.names(kPrefix), "kube-proxy's IP sets")) {
    if (!is_set_of_kube_proxy(name)) continue;
    TRY(sets.apply(ipset::DestroySet{name}));
    ++removed;
  }
  return removed;
}

}  // namespace causeway::service
