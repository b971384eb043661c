#include "kube_proxy_left.h"

namespace causeway::test {

using service::Protocol;

namespace {

std::string set_name(const char* what, Family family) {
  return fmt::format("KUBE-{}{}", family == Family::V4 ? "" : "6-", what);
}

}  // namespace

LeftByKubeProxy::LeftByKubeProxy(ServiceWorld& world, Ip vip, uint16_t port, uint16_t node_port,
                                 const std::vector<Endpoint>& endpoints)
    : w(world), vip(vip), port(port), node_port(node_port) {
  In in(w.node.ns);
  nft_ = w.value(nftables::open_nftables());
  conntrack_ = w.value(conntrack::open_conntrack());
  // Of no kernel that lacks dummy devices this test wants more than a device.
  if (!shell(w.node.ns, "ip link add kube-ipvs0 type dummy 2>&1").empty())
    ip(w.node.ns, "link add kube-ipvs0 type bridge");
  ip(w.node.ns, fmt::format("link set kube-ipvs0 up\naddr add {}/{} dev kube-ipvs0 {}\n", vip, vip.bits(),
                            vip.is_v4() ? "" : "nodad"));
  const Family family = vip.family();
  const ipset::Set pairs{ipset::Type::IpPort, family}, ports{ipset::Type::Port}, ips{ipset::Type::Ip, family};
  for (const auto& [name, set] : {std::pair(set_name("CLUSTER-IP", family), pairs),
                                  {set_name("NODE-PORT-TCP", family), ports},
                                  {set_name("IPVS-IPS", family), ips},
                                  {set_name("LOAD-BALANCER-SOURCE-CIDR", family).substr(0, 31), pairs}})
    w.check(w.sets->apply(ipset::CreateSet{name, set}));
  w.check(w.sets->apply(
      ipset::AddElements{set_name("CLUSTER-IP", family), pairs, {{host_cidr(vip), uint8_t(Protocol::Tcp), port}}}));
  w.check(w.sets->apply(ipset::AddElements{set_name("NODE-PORT-TCP", family), ports, {{.port = node_port}}}));
  w.check(w.sets->apply(ipset::AddElements{set_name("IPVS-IPS", family), ips, {{host_cidr(vip)}}}));
  leave_chains();
  if (endpoints.empty()) return;
  ipvs_ = w.value(ipvs::open_ipvs());
  w.check(service::set_ipvs_sysctls(netns::write_sysctl));
  for (const ipvs::ServiceKey& key : {server(), {w.node.ip(family), node_port, uint8_t(Protocol::Tcp)}}) {
    w.check(ipvs_->apply_one(ipvs::CreateService{key, {}}));
    for (const Endpoint& to : endpoints) w.check(ipvs_->apply_one(ipvs::CreateDestination{key, to, 1}));
  }
}

// A case that failed in the middle leaves nothing to the next one.
LeftByKubeProxy::~LeftByKubeProxy() {
  if (ipvs_)
    for (const auto& [key, held] : ipvs_->observe().value())
      if (!(held.service.flags & ipvs::kOurs)) (void)ipvs_->apply_one(ipvs::DeleteService{key});
  (void)w.net->apply_one(netlink::DeleteLink{service::kKubeIpvsDevice});
  In in(w.node.ns);
  service::KubeIpvsDoors nothing{*w.net, nullptr, w.sets.get(), nullptr};
  (void)service::remove_kube_proxy({*nft_, w.xtables.get(), nothing});
}

// Those of pkg/proxy/ipvs that decide anything here.
void LeftByKubeProxy::leave_chains() {
  const Family family = vip.family();
  const std::string services = set_name("CLUSTER-IP", family);
  w.check(w.xtables->restore(
      family,
      fmt::format("*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-NODE-PORT - [0:0]\n:KUBE-POSTROUTING - [0:0]\n"
                  ":KUBE-MARK-MASQ - [0:0]\n"
                  "-I PREROUTING 1 -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
                  "-I OUTPUT 1 -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
                  "-I POSTROUTING 1 -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING\n"
                  "-A KUBE-SERVICES -m set --match-set {0} src,dst -j KUBE-MARK-MASQ\n"
                  "-A KUBE-SERVICES -j KUBE-NODE-PORT\n"
                  "-A KUBE-SERVICES -m set --match-set {0} dst,dst -j ACCEPT\n"
                  "-A KUBE-NODE-PORT -p tcp -m set --match-set {1} dst -j KUBE-MARK-MASQ\n"
                  "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n"
                  "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n"
                  "-A KUBE-POSTROUTING -j MARK --set-xmark 0x0/0x4000\n"
                  "-A KUBE-POSTROUTING -j MASQUERADE\nCOMMIT\n"
                  "*filter\n:KUBE-IPVS-FILTER - [0:0]\n"
                  "-I INPUT 1 -m comment --comment \"kubernetes ipvs access filter\" -j KUBE-IPVS-FILTER\n"
                  "-A KUBE-IPVS-FILTER -m set --match-set {0} dst,dst -j RETURN\n"
                  "-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set {2} dst -j REJECT\nCOMMIT\n",
                  services, set_name("NODE-PORT-TCP", family), set_name("IPVS-IPS", family))));
}

service::KubeProxyRemoved LeftByKubeProxy::take_away() {
  In in(w.node.ns);
  return w.value(
      service::remove_kube_proxy({*nft_, w.xtables.get(), {*w.net, ipvs_.get(), w.sets.get(), conntrack_.get()}}));
}

std::string LeftByKubeProxy::left() {
  std::string out;
  if (w.net->index_of(service::kKubeIpvsDevice)) out += "device ";
  for (const std::string& name : w.value(w.sets->names("KUBE-"))) out += name + " ";
  if (shell(w.node.ns, "iptables-save; ip6tables-save").contains("KUBE-")) out += "chains ";
  if (ipvs_)
    for (const auto& [key, held] : w.value(ipvs_->observe()))
      if (!(held.service.flags & ipvs::kOurs)) out += to_string(key) + " ";
  return out;
}

uint32_t LeftByKubeProxy::carried() {
  uint32_t out = 0;
  for (const auto& [to, destination] : w.value(ipvs_->destinations(server()))) out += destination.active;
  return out;
}

}  // namespace causeway::test
