// The one model of the cluster that every compiler of this node reads. Pure: no clock, log or I/O. The feed writes it
// from one thread; each write that changes something advances the generation and is remembered for the consumers.
#pragma once

#include <set>
#include <tuple>

#include "cluster/model/changes.h"
#include "cluster/model/cidr_index.h"
#include "cluster/model/shared_objects.h"

namespace causeway::cluster {

class Model {
 public:
  // --- reading ---
  const NodeFacts& facts() const { return facts_; }
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  const std::map<PodKey, Pod>& pods() const { return pods_; }
  const std::map<std::string, Namespace>& namespaces() const { return namespaces_; }
  const std::map<AttachmentKey, Attachment>& attachments() const { return attachments_; }
  const auto& services() const { return services_; }
  const auto& slices() const { return slices_; }
  const auto& policies() const { return policies_; }
  const Policy* policy(const PolicyKey& key) const;
  const std::map<std::string, ServiceCidr>& service_cidrs() const { return service_cidrs_; }
  const std::map<Ip, Reservation>& reservations() const { return reservations_; }
  const Reservation* reservation(const Ip& ip) const;
  // The Pod's own, at most one for each family.
  std::vector<const Reservation*> reservations_of(const PodKey& pod) const;
  const Node* node(const std::string& name) const;
  const Attachment* attachment(const AttachmentKey& key) const;
  // Our own Node object; nullptr until it is known.
  const Node* self() const { return node(facts_.name); }

  // Names of the Nodes that have an overlapping Pod CIDR / that address.
  std::set<std::string> nodes_overlapping(const Cidr& cidr) const { return pod_cidrs_.overlapping(cidr); }
  std::set<std::string> nodes_at(const Ip& ip) const;
  // Names of the Nodes that have an address inside the prefix.
  std::set<std::string> nodes_in(const Cidr& cidr) const;
  std::set<AttachmentKey> attachments_at(const Ip& ip) const;
  // Those that want this very port of this node.
  std::set<AttachmentKey> attachments_claiming(const HostPortClaim& claim) const;
  // Those of one Pod, as its sockets are known; a cookie of 0 is nobody's.
  std::set<AttachmentKey> attachments_in(uint64_t netns_cookie) const;
  const Service* service(const ServiceKey& key) const;
  const EndpointSlice* slice(const SliceKey& key) const;
  // In the order of their names.
  std::vector<const EndpointSlice*> slices_of(const ServiceKey& key) const;
  std::vector<const Service*> services_claiming(const ServiceClaim& claim) const;
  // Those with annotations for us or source ranges: only their rows depend on what Nodes say of themselves.
  const std::set<ServiceKey>& services_of_nodes() const { return services_of_nodes_; }
  // Endpoints that this node found unhealthy.
  const std::set<Endpoint>& unhealthy(const ServiceKey& key) const;

  Generation generation() const { return generation_; }
  // Whether the source has told everything it knows; until then an absent object proves nothing.
  bool synced(Source source) const { return synced_.contains(source); }

  // --- writing (the feed); each returns the generation that holds it ---
  Generation set_facts(NodeFacts facts);
  Generation put(Node node);
  Generation put(Pod pod);
  Generation put(Namespace ns);
  Generation put(Attachment attachment);
  Generation put(Service service);
  Generation put(EndpointSlice slice);
  Generation put(ServiceCidr cidr);
  Generation put(Policy policy);
  // One that is older than what is known changes nothing: a watch may come behind the answer to our own write.
  Generation put(Reservation reservation);
  Generation remove_node(const std::string& name);
  Generation remove_pod(const PodKey& key);
  Generation remove_namespace(const std::string& name);
  Generation remove(const AttachmentKey& key);
  Generation remove(const ServiceKey& key);
  Generation remove(const SliceKey& key);
  Generation remove(const PolicyKey& key);
  Generation remove_reservation(const Ip& ip);
  Generation remove_service_cidr(const std::string& name);
  Generation set_unhealthy(const ServiceKey& key, std::set<Endpoint> endpoints);
  Generation set_synced(Source source);

  // What changed since the last call.
  ChangeSet take_changes();
  bool changed() const { return !changes_.empty(); }

 private:
  void index(const Node& node, bool add);
  void index(const Attachment& attachment, bool add);
  void index(const Service& service, bool add);
  void index(const EndpointSlice& slice, bool add);
  Generation advance();

  NodeFacts facts_;
  std::map<std::string, Node> nodes_;
  std::map<PodKey, Pod> pods_;
  std::map<std::string, Namespace> namespaces_;
  std::map<AttachmentKey, Attachment> attachments_;
  CidrIndex pod_cidrs_;
  std::map<Ip, std::set<std::string>> nodes_by_ip_;
  std::map<Ip, std::set<AttachmentKey>> attachments_by_ip_;
  std::map<HostPortClaim, std::set<AttachmentKey>> attachments_by_claim_;
  std::map<uint64_t, std::set<AttachmentKey>> attachments_by_netns_;
  SharedObjects<Service> services_;
  SharedObjects<EndpointSlice> slices_;
  Policies policies_;
  std::map<std::string, ServiceCidr> service_cidrs_;
  std::map<Ip, Reservation> reservations_;
  std::map<PodKey, std::set<Ip>> reservations_by_pod_;
  struct Claimed {
    ServiceClaim claim;
    const Service* service;
  };
  struct ByClaim {
    bool operator()(const Claimed& a, const Claimed& b) const {
      return std::tie(a.claim, a.service->key) < std::tie(b.claim, b.service->key);
    }
    bool operator()(const Claimed& a, const ServiceClaim& claim) const { return a.claim < claim; }
  };
  struct ByService {
    bool operator()(const EndpointSlice* a, const EndpointSlice* b) const {
      return std::tie(a->key.ns, a->service, a->key.name) < std::tie(b->key.ns, b->service, b->key.name);
    }
    bool operator()(const EndpointSlice* a, const ServiceKey& key) const {
      return std::tie(a->key.ns, a->service) < std::tie(key.ns, key.name);
    }
  };
  SortedChunks<Claimed, ByClaim> services_by_claim_;
  SortedChunks<const EndpointSlice*, ByService> slices_by_service_;
  std::set<ServiceKey> services_of_nodes_;
  std::map<ServiceKey, std::set<Endpoint>> unhealthy_;
  Names names_;
  std::set<Source> synced_;
  Generation generation_{};
  ChangeSet changes_;
};

// The whole model as text, for people.
std::string render(const Model& model);

}  // namespace causeway::cluster
