#include "service/trace.h"

#include <algorithm>

namespace causeway::service {

namespace {

using FrontendRow = Rows<FrontendKey, Frontend>::Row;

constexpr std::string_view kGoesOn = "the packet goes on as it is";

std::string endpoint_lines(const Asked& asked, const Port& port, Pool pool) {
  uint32_t total = 0;
  const auto in = [&](const Backend& backend) {
    return pool == Pool::Cluster ? backend.cluster_pool : backend.local_pool;
  };
  for (const Backend& backend : port.backends)
    if (in(backend)) total += backend.weight;
  std::string out;
  for (const Backend& backend : port.backends) {
    if (!in(backend)) continue;
    out += fmt::format("  {}", backend.at);
    if (!backend.node.empty()) out += fmt::format(" on {}", backend.node);
    if (port.algorithm == Algorithm::Random) out += fmt::format(" {:.1f} %", 100.0 * backend.weight / total);
    if (port.algorithm == Algorithm::LeastLoad) out += fmt::format(" load {}", backend.load);
    if (asked.sender == Sender::Pod && backend.at.ip == asked.from) out += ", the sender itself";
    out += "\n";
  }
  return out;
}

class Trace {
 public:
  Trace(const Asked& asked, const Desired& desired, const cluster::Model& model, bool bpf)
      : asked_(asked), desired_(desired), model_(model), bpf_(bpf), key_{asked.to.ip, asked.to.port, asked.protocol} {}

  Traced run() {
    if (const std::string early = by_loopback(); !early.empty()) return {.text = early};
    own_ = desired_.node_addresses.find(key_.ip) != nullptr;
    // What a node sends to itself passes no hook of a device: sockets alone are balanced.
    if (bpf_ && to_itself() && asked_.protocol == Protocol::Sctp)
      return {.text = fmt::format("{}: SCTP of the node to itself passes nothing of ours: {}\n", asked_.to, kGoesOn)};
    if (const FrontendRow* row = find()) return by_frontend(*row);
    std::string text = without_frontend();
    if (!text.empty()) return {.text = std::move(text)};
    if (!bpf_) text = by_host_port();
    if (text.empty()) text = fmt::format("{} is no Service's: {}\n", asked_.to, kGoesOn);
    return {.text = std::move(text)};
  }

 private:
  bool inside() const { return asked_.sender != Sender::Elsewhere; }
  bool to_itself() const { return asked_.sender == Sender::Node && own_; }
  std::string_view where() const { return inside() ? "from this node or a Pod of it" : "from elsewhere"; }

  // Addresses of whoever sends; "" where rows decide. Leaves in key_ what they know it by.
  std::string by_loopback() {
    const Ip ip = asked_.to.ip;
    if (!ip.is_loopback() && !ip.is_unspecified()) return "";
    switch (asked_.sender) {
      case Sender::Pod: return fmt::format("{} is the Pod itself: no packet leaves it\n", ip);
      case Sender::Elsewhere: return fmt::format("{} comes from no other host (RFC 1122 3.2.1.3): dropped\n", ip);
      case Sender::Node: break;
    }
    const Ip known = ip.is_v4() ? Ip::v4(0x7f000001) : cluster::any_address(Family::V6).plus(1);
    // connect() to the unspecified address goes to the loopback one. Socket hooks know one of 127.0.0.0/8 for all.
    if (bpf_ || ip.is_unspecified()) key_.ip = known;
    if (!bpf_ && ip.is_v6())
      return fmt::format("{}: the kernel sends nothing from ::1 to another host, so nothing is balanced: {}\n", ip,
                         kGoesOn);
    return "";
  }

  // One address wins over every address of the node.
  const FrontendRow* find() {
    if (const auto* row = desired_.frontends.find(key_)) return row;
    const auto* own = desired_.node_addresses.find(key_.ip);
    if (!own) return nullptr;
    const FrontendKey any{cluster::any_address(key_.ip.family()), key_.port, key_.protocol};
    const auto* row = desired_.frontends.find(any);
    if (!row || (row->value.kind == Kind::NodePort && !own->value.node_ports)) return nullptr;
    key_ = any;
    return row;
  }

  // Who has this address without this port; "": nobody.
  std::string without_frontend() const {
    if (const auto* service = desired_.addresses.find(key_.ip)) {
      std::string text = fmt::format("{} is the address of Service {}, which has no port {}/{}", key_.ip,
                                     service->value, key_.port, key_.protocol);
      if (!asked_.other_node.empty()) return text + ": " + there();
      return text + (inside() ? ": refused\n" : ": dropped, as a ClusterIP is for the cluster alone\n");
    }
    for (const auto& [cidr, row] : desired_.ranges.rows())
      if (cidr.contains(key_.ip))
        return fmt::format("{} is in the Service range {}, and no Service has it: dropped\n", key_.ip, cidr);
    return "";
  }

  // Every node decides about Service addresses before a packet leaves it.
  std::string there() const {
    return fmt::format("{} is of node {}, which decides it: ask there (--node {})\n", asked_.from, asked_.other_node,
                       asked_.other_node);
  }

  bool may(const Frontend& frontend) const {
    return frontend.sources.empty() ||
           std::ranges::any_of(frontend.sources, [&](const Cidr& cidr) { return cidr.contains(asked_.from); });
  }

  Traced by_frontend(const FrontendRow& row) const {
    const Frontend& frontend = row.value;
    Traced out{.text = fmt::format("{} {} of {} ({})\n", frontend.kind, key_, frontend.port, to_string(row.owner())),
               .port = frontend.port};
    const bool of_nodes = frontend.kind == Kind::NodePort || frontend.kind == Kind::HostPort;
    if (!asked_.other_node.empty() && !of_nodes) {
      out.text += there();
      return out;
    }
    const Side& side = inside() ? frontend.inside : frontend.outside;
    const bool dropped_here = !may(frontend) || side.verdict == Verdict::Drop;
    if (dropped_here && bpf_ && to_itself()) {  // a socket hook refuses and steers, it cannot drop
      out.text += fmt::format("{} is the node's own: {}\n", asked_.to.ip, kGoesOn);
      return out;
    }
    if (dropped_here) {
      out.text += may(frontend) ? dropped(frontend)
                                : fmt::format("{} is not among its loadBalancerSourceRanges: dropped\n", asked_.from);
      return out;
    }
    if (side.verdict == Verdict::Reject) {
      out.text += fmt::format("{}: refused, as no endpoint is ready anywhere\n", where());
      return out;
    }
    if (const auto* port = desired_.ports.find(frontend.port)) out.text += balanced(side, port->value);
    return out;
  }

  std::string dropped(const Frontend& frontend) const {
    const bool hidden = frontend.kind == Kind::ClusterIp && !inside();
    const bool nobody = frontend.kind == Kind::LoadBalancer && inside();
    return fmt::format("{}: dropped, {}\n", where(),
                       hidden   ? "as a ClusterIP is for the cluster alone"
                       : nobody ? "as its loadBalancerSourceRanges let nobody in"
                                : "as no endpoint here may answer");
  }

  std::string balanced(const Side& side, const Port& port) const {
    std::string out = fmt::format("{}: to one of the endpoints {}, {}", where(),
                                  side.pool == Pool::Cluster ? "of the cluster" : "of this node", port.algorithm);
    if (port.affinity) out += fmt::format(", the same for {} s", port.affinity);
    if (port.retry && !to_itself()) out += ", another if it refuses";
    out += side.masquerade || asked_.sender == Sender::Node ? ", which sees this node's address\n"
                                                            : ", which sees the sender's address\n";
    return out + endpoint_lines(asked_, port, side.pool);
  }

  // Plane netfilter has host ports in rules of their own, behind those of Services (src/pod/hostport).
  std::string by_host_port() const {
    if (!own_ && !key_.ip.is_loopback()) return "";
    for (const Ip& ip : {key_.ip, cluster::any_address(key_.ip.family())}) {
      const cluster::Attachment* oldest = nullptr;
      for (const auto& claimant : model_.attachments_claiming({key_.protocol, ip, key_.port}))
        if (const auto* one = model_.attachment(claimant); one && (!oldest || one->generation < oldest->generation))
          oldest = one;
      if (!oldest) continue;
      const auto port = std::ranges::find_if(
          oldest->host_ports, [&](const auto& one) { return one.port == key_.port && one.protocol == key_.protocol; });
      const auto at = std::ranges::find(oldest->addresses, ip.family(), &Ip::family);
      return fmt::format("HostPort {} of Pod {}\n{}: to its endpoint\n  {}\n",
                         FrontendKey{ip, key_.port, key_.protocol}, oldest->pod, where(),
                         Endpoint{*at, port->container_port});
    }
    return "";
  }

  const Asked& asked_;
  const Desired& desired_;
  const cluster::Model& model_;
  bool bpf_;
  FrontendKey key_;   // as the rows know it
  bool own_ = false;  // an address of this node
};

}  // namespace

Traced trace(const Asked& asked, const Desired& desired, const cluster::Model& model, bool bpf) {
  return Trace(asked, desired, model, bpf).run();
}

}  // namespace causeway::service
