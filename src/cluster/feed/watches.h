// The first feed of the model: what the API server tells. A node opens each watch once; idle, a watch costs the server
// one request in five to ten minutes. Objects are projected as they come and kept nowhere but in the model.
#pragma once

#include <optional>

#include "cluster/feed/cluster_policy_watch.h"
#include "kube/api/causeway.h"
#include "kube/api/policy.h"
#include "kube/client/follower.h"

namespace causeway::cluster {

struct WatchOptions {
  std::string node;      // our own Node's name; without `policies` only its Pods are watched
  bool services = true;  // Services, EndpointSlices and ServiceCIDRs too
  // Only Services with this label value `service.kubernetes.io/service-proxy-name`; "": only those without the label.
  std::string proxy_name;
  // NetworkPolicies, ClusterNetworkPolicies where the API server has them, and Namespaces, and the Pods of all nodes:
  // they are who policies are about.
  bool policies = false;
  // What cluster DNS names: headless Services and those of every proxy too, and Namespaces.
  bool names = false;
  bool pod_names = false;  // also what the Pods of endpoints are called
  bool all_pods = false;   // the Pods of all nodes, as with `policies`
};

// What the node acts on when it connects a Pod, and no compiler reads.
struct PodNotes {
  std::string uid;
  Labels annotations;  // those of kPodAnnotations
  struct Owner {       // its controller; all empty: it has none
    std::string kind, name, uid;
  };
  Owner owner;
  bool name_is_generated = false;  // metadata.generateName made it
};
inline constexpr std::string_view kPodAnnotations[] = {"causeway.io/", "k8s.v1.cni.cncf.io/", "kubernetes.io/config."};
PodNotes notes_of(const kube::Pod& pod);

class Watches {
 public:
  // Borrows both.
  Watches(const Watches&) = delete;
  Watches(kube::Client& api, Feed& feed, WatchOptions options);
  void start();
  // A Pod of this node that somebody else read, before the watch brought it.
  void learn(const kube::Pod& pod);

  // Why the API server tells us nothing at the moment; "" while it does.
  std::string trouble() const;
  // What the API server does not let us see, though without it we know less of the cluster than we must: a kind that
  // was never listed because we lack the right. "" otherwise, also while the server is away.
  std::string refused() const;
  // Of a Pod of this node that runs or is to; nullptr: not heard of.
  const PodNotes* notes(const PodKey& pod) const;
  // Whether we know which addresses are reserved: all were listed, or the API server has no such kind.
  bool reservations_known() const;
  struct State {
    std::string_view kind;
    const kube::Health& health;
    size_t objects = 0;
    bool needed = true;
  };
  std::vector<State> states() const;

 private:
  bool no_reservations() const;

  Feed& feed_;
  const std::string node_;
  std::map<PodKey, PodNotes> notes_;
  kube::Follower<kube::Node> nodes_;
  kube::Follower<kube::Pod> pods_;
  kube::Follower<kube::AddressReservation> reservations_;
  std::optional<kube::Follower<kube::Service>> services_;
  std::optional<kube::Follower<kube::EndpointSlice>> slices_;
  std::optional<kube::Follower<kube::ServiceCidr>> service_cidrs_;
  std::optional<kube::Follower<kube::Namespace>> namespaces_;
  std::optional<kube::Follower<kube::NetworkPolicy>> policies_;
  std::optional<ClusterPolicyWatch> cluster_policies_;
};

}  // namespace causeway::cluster
