#include "cluster/model/model.h"

#include "cluster/model/write.h"

namespace causeway::cluster {

std::string_view to_string(Source source) {
  switch (source) {
    case Source::Nodes: return "nodes";
    case Source::Pods: return "pods";
    case Source::Namespaces: return "namespaces";
    case Source::Attachments: return "attachments";
    case Source::Services: return "services";
    case Source::EndpointSlices: return "endpointslices";
    case Source::ServiceCidrs: return "servicecidrs";
    case Source::Reservations: return "addressreservations";
    case Source::Policies: return "networkpolicies";
    case Source::ClusterPolicies: return "clusternetworkpolicies";
  }
  return "?";
}

void ChangeSet::merge(const ChangeSet& later) {
  generation = later.generation;
  merge_before(nodes, later.nodes);
  merge_before(pods, later.pods);
  merge_before(namespaces, later.namespaces);
  merge_before(attachments, later.attachments);
  merge_before(services, later.services);
  merge_before(slices, later.slices);
  merge_before(service_cidrs, later.service_cidrs);
  merge_before(reservations, later.reservations);
  merge_before(policies, later.policies);
  health.insert(later.health.begin(), later.health.end());
  renamed |= later.renamed;
  facts |= later.facts;
  synced |= later.synced;
}

const Node* Model::node(const std::string& name) const { return find(nodes_, name); }
const Attachment* Model::attachment(const AttachmentKey& key) const { return find(attachments_, key); }
std::set<std::string> Model::nodes_at(const Ip& ip) const { return owners(nodes_by_ip_, ip); }
std::set<std::string> Model::nodes_in(const Cidr& cidr) const {
  std::set<std::string> found;
  for (auto it = nodes_by_ip_.lower_bound(cidr.address()); it != nodes_by_ip_.end() && cidr.contains(it->first); ++it)
    found.insert(it->second.begin(), it->second.end());
  return found;
}
std::set<AttachmentKey> Model::attachments_at(const Ip& ip) const { return owners(attachments_by_ip_, ip); }
std::set<AttachmentKey> Model::attachments_in(uint64_t netns_cookie) const {
  return owners(attachments_by_netns_, netns_cookie);
}
std::set<AttachmentKey> Model::attachments_claiming(const HostPortClaim& claim) const {
  return owners(attachments_by_claim_, claim);
}

Generation Model::advance() {
  generation_ = Generation(static_cast<uint64_t>(generation_) + 1);
  changes_.generation = generation_;
  return generation_;
}

void Model::index(const Node& node, bool add) {
  for (const Cidr& cidr : node.pod_cidrs) add ? pod_cidrs_.add(cidr, node.name) : pod_cidrs_.remove(cidr, node.name);
  for (const Ip& ip : node.addresses) update(nodes_by_ip_, ip, node.name, add);
}
void Model::index(const Attachment& attachment, bool add) {
  for (const Ip& ip : attachment.addresses) update(attachments_by_ip_, ip, attachment.key, add);
  for (const HostPortClaim& claim : claims(attachment)) update(attachments_by_claim_, claim, attachment.key, add);
  if (attachment.netns_cookie) update(attachments_by_netns_, attachment.netns_cookie, attachment.key, add);
}

Generation Model::set_facts(NodeFacts facts) {
  if (facts == facts_) return generation_;
  changes_.renamed |= facts.name != facts_.name;
  facts_ = std::move(facts);
  changes_.facts = true;
  return advance();
}

Generation Model::put(Node node) {
  const std::string name = node.name;
  if (const Node* old = this->node(name)) {
    if (*old == node) return generation_;
    index(*old, false);
  }
  index(node, true);
  write(nodes_, changes_.nodes, name, std::optional(std::move(node)));
  return advance();
}

Generation Model::remove_node(const std::string& name) {
  const Node* old = node(name);
  if (!old) return generation_;
  index(*old, false);
  write(nodes_, changes_.nodes, name, std::optional<Node>{});
  return advance();
}

Generation Model::put(Attachment attachment) {
  const AttachmentKey key = attachment.key;
  if (const Attachment* old = this->attachment(key)) {
    if (*old == attachment) return generation_;
    index(*old, false);
  }
  index(attachment, true);
  write(attachments_, changes_.attachments, key, std::optional(std::move(attachment)));
  return advance();
}

Generation Model::remove(const AttachmentKey& key) {
  const Attachment* old = attachment(key);
  if (!old) return generation_;
  index(*old, false);
  write(attachments_, changes_.attachments, key, std::optional<Attachment>{});
  return advance();
}

Generation Model::put(Pod pod) {
  const PodKey key = pod.key;
  return write(pods_, changes_.pods, key, std::optional(std::move(pod))) ? advance() : generation_;
}
Generation Model::remove_pod(const PodKey& key) {
  return write(pods_, changes_.pods, key, std::optional<Pod>{}) ? advance() : generation_;
}
Generation Model::put(Namespace ns) {
  const std::string name = ns.name;
  return write(namespaces_, changes_.namespaces, name, std::optional(std::move(ns))) ? advance() : generation_;
}
Generation Model::remove_namespace(const std::string& name) {
  return write(namespaces_, changes_.namespaces, name, std::optional<Namespace>{}) ? advance() : generation_;
}

const Reservation* Model::reservation(const Ip& ip) const { return find(reservations_, ip); }
std::vector<const Reservation*> Model::reservations_of(const PodKey& pod) const {
  std::vector<const Reservation*> out;
  for (const Ip& ip : owners(reservations_by_pod_, pod)) out.push_back(reservation(ip));
  return out;
}
Generation Model::put(Reservation reservation) {
  const Ip ip = reservation.address;
  if (const Reservation* old = this->reservation(ip)) {
    if (reservation.version < old->version) return generation_;
    update(reservations_by_pod_, old->pod, ip, false);
  }
  update(reservations_by_pod_, reservation.pod, ip, true);
  return write(reservations_, changes_.reservations, ip, std::optional(std::move(reservation))) ? advance()
                                                                                                : generation_;
}
Generation Model::remove_reservation(const Ip& ip) {
  const Reservation* old = reservation(ip);
  if (!old) return generation_;
  update(reservations_by_pod_, old->pod, ip, false);
  write(reservations_, changes_.reservations, ip, std::optional<Reservation>{});
  return advance();
}

Generation Model::set_synced(Source source) {
  if (!synced_.insert(source).second) return generation_;
  changes_.synced = true;
  return advance();
}

ChangeSet Model::take_changes() {
  ChangeSet taken = std::exchange(changes_, {});
  taken.generation = changes_.generation = generation_;
  return taken;
}

}  // namespace causeway::cluster
