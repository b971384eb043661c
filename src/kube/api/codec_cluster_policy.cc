// The codec of ClusterNetworkPolicy: its fields, and its instances.
#include "kube/api/cluster_policy.h"
#include "kube/api/codec_instances.inc"

namespace causeway::kube::codec {

#define FIELDS(T, ...)                                         \
  template <>                                                  \
  struct Fields<T> {                                           \
    using S = T;                                               \
    static constexpr auto list = std::make_tuple(__VA_ARGS__); \
  }

FIELDS(NamespacedPods, always("namespaceSelector", &S::namespace_selector), always("podSelector", &S::pod_selector));
FIELDS(ClusterPolicySubject, f("namespaces", &S::namespaces), f("pods", &S::pods));
FIELDS(ClusterPolicyPeer, f("namespaces", &S::namespaces), f("pods", &S::pods), f("nodes", &S::nodes),
       f("networks", &S::networks), f("domainNames", &S::domain_names));
FIELDS(ClusterPolicyPortRange, always("start", &S::start), always("end", &S::end));
FIELDS(ClusterPolicyPort, f("number", &S::number), f("range", &S::range));
FIELDS(ClusterPolicyTransport, f("destinationPort", &S::destination_port));
FIELDS(ClusterPolicyProtocol, f("tcp", &S::tcp), f("udp", &S::udp), f("sctp", &S::sctp),
       f("destinationNamedPort", &S::destination_named_port));
FIELDS(ClusterPolicyRule, f("name", &S::name), always("action", &S::action), f("from", &S::from), f("to", &S::to),
       f("protocols", &S::protocols));
FIELDS(ClusterPolicySpec, always("tier", &S::tier), always("priority", &S::priority), always("subject", &S::subject),
       f("ingress", &S::ingress), f("egress", &S::egress));
FIELDS(ClusterNetworkPolicy, always("metadata", &S::metadata), always("spec", &S::spec));

#undef FIELDS

}  // namespace causeway::kube::codec

namespace causeway::kube {

CAUSEWAY_KIND(ClusterNetworkPolicy);

}  // namespace causeway::kube
