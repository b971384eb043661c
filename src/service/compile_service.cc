#include "service/compile_service.h"

#include <algorithm>

#include "service/compile_balancing.h"
#include "service/compile_endpoints.h"

namespace causeway::service {

namespace {

using cluster::Model;
using cluster::Service;
using cluster::ServiceClaim;
using cluster::ServicePort;
using cluster::ServiceType;

bool has(const CompactVector<Ip>& addresses, const Ip& ip) {
  return std::ranges::find(addresses, ip) != addresses.end();
}

// Whether this agent balances the Service at all. Headless ones and ExternalNames are for DNS.
bool is_ours(const Service& service, const Options& options) {
  return service.type != ServiceType::ExternalName && !service.cluster_ips.empty() &&
         service.proxy_name == options.proxy_name && !service.left_to_others;
}

bool in_range(uint16_t node_port, const Options& options) {
  return node_port >= options.node_port_first && node_port <= options.node_port_last;
}

std::string list(const std::vector<std::string>& reasons) {
  std::string out;
  for (const std::string& reason : reasons) out += (out.empty() ? "" : "; ") + reason;
  return out;
}

// What becomes of a packet whose endpoints are those of `pool`.
Side towards(Pool pool, const Endpoints& endpoints, bool masquerade) {
  const bool there = pool == Pool::Cluster ? endpoints.in_cluster_pool : endpoints.in_local_pool;
  if (there) return {.verdict = Verdict::Balance, .pool = pool, .masquerade = masquerade};
  // KEP-2086: with endpoints elsewhere the sender shall try another node; with none anywhere it shall know at once.
  return {.verdict = pool == Pool::Local && endpoints.any ? Verdict::Drop : Verdict::Reject};
}

class Compiler {
 public:
  Compiler(const Service& service, const Model& model, const Options& options)
      : service_(service), model_(model), options_(options) {}

  Tables run() {
    if (!service_.problem.empty()) refused_.push_back(service_.problem);
    if (is_ours(service_, options_)) {
      for (const auto* slice : balanced_slices(service_.key, model_))
        if (!slice->problem.empty())
          refused_.push_back(fmt::format("EndpointSlice {}: {}", slice->key.name, slice->problem));
      balancing_ = balancing_of(service_, options_, refused_);
      for (const Ip& cluster_ip : service_.cluster_ips) {
        if (wins({cluster_ip, 0, Protocol::Tcp})) out_.addresses.emplace(cluster_ip, service_.key);
        for (const ServicePort& port : service_.ports) compile_port(port, cluster_ip);
      }
      health_check();
    }
    if (!refused_.empty()) out_.refused[to_string(Key(service_.key))] = list(refused_);
    return std::move(out_);
  }

 private:
  void compile_port(const ServicePort& port, const Ip& cluster_ip) {
    const Family family = cluster_ip.family();
    const PortId id{service_.key.ns, service_.key.name, port.name, family};
    PoolsUsed use = pools_used(service_, port);
    use.node_last = std::ranges::find(options_.own_first, Endpoint{cluster_ip, port.port}) != options_.own_first.end();
    Endpoints endpoints =
        endpoints_of(service_, port, family, use, balancing_.algorithm == Algorithm::LeastLoad, model_, refused_);
    bool served = false;
    const auto add = [&](Kind kind, const Ip& ip, uint16_t number, Side inside, Side outside,
                         std::vector<Cidr> sources = {}) {
      const FrontendKey key{ip, number, port.protocol};
      if (out_.frontends.contains(key) || !wins({ip, number, port.protocol})) return;
      out_.frontends.emplace(key, Frontend{id, kind, inside, outside, std::move(sources)});
      served = true;
    };

    const Side in_cluster =
        towards(service_.internal_local ? Pool::Local : Pool::Cluster, endpoints, options_.masquerade_all);
    add(Kind::ClusterIp, cluster_ip, port.port, in_cluster, {.verdict = Verdict::Drop});
    for (const Options::Alias& alias : options_.aliases)
      if (alias.of == cluster_ip && alias.port == port.port && wins({alias.address, 0, Protocol::Tcp})) {
        add(Kind::ClusterIp, alias.address, port.port, in_cluster, {.verdict = Verdict::Drop});
        out_.addresses.emplace(alias.address, service_.key);
      }

    // The short circuit: from this node and its Pods, every endpoint will do even with externalTrafficPolicy Local.
    const Side inside = towards(Pool::Cluster, endpoints, options_.masquerade_all);
    const Side outside =
        towards(service_.external_local ? Pool::Local : Pool::Cluster, endpoints, !service_.external_local);
    for (const Ip& ip : service_.load_balancer_ips)
      if (ip.family() == family) {
        auto sources = sources_of(family);
        const Side nobody{.verdict = Verdict::Drop};
        if (sources)
          add(Kind::LoadBalancer, ip, port.port, inside, outside, std::move(*sources));
        else
          add(Kind::LoadBalancer, ip, port.port, nobody, nobody);
      }
    if (options_.external_ips)
      for (const Ip& ip : service_.external_ips)
        if (ip.family() == family) add(Kind::ExternalIp, ip, port.port, inside, outside);
    if (port.node_port && !in_range(port.node_port, options_))
      refuse(fmt::format("node port {} is outside of {}-{} (--node-port-range)", port.node_port,
                         options_.node_port_first, options_.node_port_last));
    else if (port.node_port)
      add(Kind::NodePort, cluster::any_address(family), port.node_port, inside, outside);
    if (!served) return;

    if (balancing_.probe && port.protocol == Protocol::Tcp)
      for (const Endpoint& at : endpoints.ready) out_.probes.emplace(ProbeKey{at, id}, *balancing_.probe);
    out_.ports.emplace(id, Port{.protocol = port.protocol,
                                .algorithm = balancing_.algorithm,
                                .affinity = service_.affinity,
                                .retry = balancing_.retry && port.protocol == Protocol::Tcp,
                                .scheduler = balancing_.scheduler,
                                .backends = std::move(endpoints.backends)});
  }

  // Who may use a load balancer's address; nullopt: nobody, none: all.
  std::optional<std::vector<Cidr>> sources_of(Family family) const {
    std::vector<Cidr> out;
    if (!service_.restricted) return out;
    for (const Cidr& cidr : service_.source_ranges) {
      if (cidr.family() != family) continue;
      if (cidr.prefix() == 0) return std::vector<Cidr>{};
      out.push_back(cidr);
    }
    if (out.empty()) return std::nullopt;
    // A node that may, and that carries the address on a device (as some load balancers do), comes from that address.
    const auto node = model_.self() ? model_.self()->address(family) : std::nullopt;
    if (node && std::ranges::any_of(out, [&](const Cidr& cidr) { return cidr.contains(*node); }))
      for (const Ip& ip : service_.load_balancer_ips)
        if (ip.family() == family) out.push_back(host_cidr(ip));
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
  }

  void health_check() {
    const uint16_t port = service_.health_check_node_port;
    if (port && wins({cluster::any_address(Family::V4), port, Protocol::Tcp}))
      out_.health_checks.emplace(port, HealthCheck{service_.key, local_ready(service_.key, model_)});
  }

  // Whether what we claim is ours; if not, says whose it is.
  bool wins(const ServiceClaim& claim) {
    const Service* other = holder(claim, model_, options_);
    if (!other || other->key == service_.key) return true;
    refuse(fmt::format("{} is taken by Service {}", name_of(claim), other->key));
    return false;
  }

  static std::string name_of(const ServiceClaim& claim) {
    if (claim.port == 0) return to_string(claim.ip);
    if (claim.ip.is_unspecified()) return fmt::format("node port {}/{}", claim.port, claim.protocol);
    return to_string(claim);
  }

  void refuse(std::string reason) {
    if (std::ranges::find(refused_, reason) == refused_.end()) refused_.push_back(std::move(reason));
  }

  const Service& service_;
  const Model& model_;
  const Options& options_;
  Balancing balancing_;
  Tables out_;
  std::vector<std::string> refused_;
};

}  // namespace

bool may_have(const Service& service, const ServiceClaim& claim, const Options& options) {
  if (!is_ours(service, options)) return false;
  if (!claim.ip.is_unspecified())
    return has(service.cluster_ips, claim.ip) || has(service.load_balancer_ips, claim.ip) || options.external_ips;
  return claim.port == service.health_check_node_port || in_range(claim.port, options);
}

const Service* holder(const ServiceClaim& claim, const Model& model, const Options& options) {
  const Service* best = nullptr;
  for (const Service* service : model.services_claiming(claim))
    if (may_have(*service, claim, options) && (!best || precedes(*service, *best, claim))) best = service;
  return best;
}

Tables compile_service(const cluster::ServiceKey& key, const Model& model, const Options& options) {
  const Service* service = model.service(key);
  return service ? Compiler(*service, model, options).run() : Tables{};
}

}  // namespace causeway::service
