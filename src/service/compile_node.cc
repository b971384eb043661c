#include "service/compile_node.h"

#include <algorithm>
#include <tuple>

#include "service/compile_service.h"

namespace causeway::service {

namespace {

using cluster::Attachment;
using cluster::HostPortClaim;
using cluster::Model;

// The Node's own address of the family where the node has it, else the first of its uplink.
std::optional<Ip> primary(Family family, const Model& model) {
  const auto& facts = model.facts();
  if (const auto* self = model.self())
    for (const Ip& ip : self->addresses)
      if (ip.family() == family && std::ranges::find(facts.addresses, ip) != facts.addresses.end()) return ip;
  for (const auto& address : facts.uplink.addresses)
    if (address.ip.family() == family) return address.ip;
  return std::nullopt;
}

bool has_node_ports(const Ip& ip, const Model& model, const Options& options) {
  if (ip.is_loopback()) return options.node_ports_on_localhost;
  if (options.node_ports_on_primary && primary(ip.family(), model) == ip) return true;
  if (!options.node_ports_on_primary && options.node_port_addresses.empty()) return true;
  return std::ranges::any_of(options.node_port_addresses, [&](const Cidr& cidr) { return cidr.contains(ip); });
}

bool is_older(const Attachment& a, const Attachment& b) {
  return std::tie(a.generation, a.key) < std::tie(b.generation, b.key);
}

// The oldest of the attachments but this one; nullptr if this one is.
const Attachment* older_one(const std::set<cluster::AttachmentKey>& keys, const Attachment& attachment,
                            const Model& model) {
  for (const auto& key : keys) {
    const Attachment* other = model.attachment(key);
    if (other && other->key != attachment.key && is_older(*other, attachment)) return other;
  }
  return nullptr;
}

std::string name_of(const HostPortClaim& claim) {
  if (!claim.ip.is_unspecified()) return fmt::format("{}/{} of address {}", claim.port, claim.protocol, claim.ip);
  return fmt::format("{}/{} of every {} address", claim.port, claim.protocol, claim.ip.is_v4() ? "IPv4" : "IPv6");
}

void add_client(Tables& out, const Attachment& attachment, const Model& model) {
  if (attachment.netns_cookie == 0) return;
  // Several interfaces of one Pod share its netns; the first one is its address.
  if (older_one(model.attachments_in(attachment.netns_cookie), attachment, model)) return;
  Client client{.pod = attachment.pod};
  for (const Ip& ip : attachment.addresses) (ip.is_v4() ? client.v4 : client.v6) = ip;
  out.clients.emplace(attachment.netns_cookie, std::move(client));
}

void add_host_port(Tables& out, const Attachment& attachment, const Ip& ip, const cluster::HostPort& port,
                   const Model& model, const Options& options) {
  const Attachment only{.addresses = {ip}, .host_ports = {port}};
  for (const HostPortClaim& claim : claims(only)) {
    const FrontendKey key{claim.ip, claim.port, claim.protocol};
    if (const auto* service = holder({claim.ip, claim.port, claim.protocol}, model, options)) {
      out.refused[to_string(Key(attachment.key))] =
          fmt::format("host port {} is taken by Service {}", name_of(claim), service->key);
      continue;
    }
    std::string name = fmt::format("hostPort {}/{}", claim.port, claim.protocol);
    if (!claim.ip.is_unspecified()) name += fmt::format("@{}", claim.ip);
    const PortId id{attachment.pod.ns, attachment.pod.name, name, ip.family(), true};
    const Side side{.verdict = Verdict::Balance, .pool = Pool::Cluster};
    out.frontends.emplace(key, Frontend{id, Kind::HostPort, side, side, {}});
    out.ports.emplace(id, Port{.protocol = port.protocol,
                               .backends = {{.at = {ip, port.container_port},
                                             .node = model.facts().name,
                                             .local = true,
                                             .cluster_pool = true,
                                             .local_pool = true}}});
  }
}

}  // namespace

Tables compile_self(const Model& model, const Options& options) {
  Tables out;
  for (const Cidr& cidr : options.service_cidrs) out.ranges.emplace(cidr, Present{});
  for (const auto& [name, object] : model.service_cidrs())
    for (const Cidr& cidr : object.cidrs) out.ranges.emplace(cidr, Present{});

  std::vector<Ip> addresses = model.facts().addresses;
  for (const auto& address : model.facts().uplink.addresses) addresses.push_back(address.ip);
  addresses.push_back(Ip::v4(0x7f000001));
  addresses.push_back(cluster::any_address(Family::V6).plus(1));
  for (const Ip& ip : addresses) out.node_addresses.emplace(ip, NodeAddress{has_node_ports(ip, model, options)});
  return out;
}

Tables compile_attachment(const cluster::AttachmentKey& key, const Model& model, const Options& options) {
  Tables out;
  const Attachment* attachment = model.attachment(key);
  if (!attachment) return out;
  add_client(out, *attachment, model);
  if (!options.host_ports || attachment->host_ports.empty()) return out;
  for (const HostPortClaim& claim : claims(*attachment))
    if (const Attachment* other = older_one(model.attachments_claiming(claim), *attachment, model)) {
      out.refused[to_string(Key(key))] =
          fmt::format("host port {} is taken by Pod {} (attachment {})", name_of(claim), other->pod, other->key);
      return out;
    }
  for (const Ip& ip : attachment->addresses)
    for (const auto& port : attachment->host_ports) add_host_port(out, *attachment, ip, port, model, options);
  return out;
}

}  // namespace causeway::service
