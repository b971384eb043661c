// The fields of ClusterNetworkPolicy (the experimental channel's), in the form of schema_table.cc.
#include "kube/api/schema_table.h"

namespace causeway::kube {

const char kClusterPolicySchemaTable[] = R"table(
cnp.ClusterNetworkPolicy
 apiVersion string
 kind string
 metadata ObjectMeta required
 spec cnp.ClusterNetworkPolicySpec required
 status cnp.ClusterNetworkPolicyStatus
cnp.ClusterNetworkPolicySpec
 tier string required enum=Admin|Baseline
 priority int32 required
 subject cnp.ClusterNetworkPolicySubject required
 ingress []cnp.ClusterNetworkPolicyIngressRule
 egress []cnp.ClusterNetworkPolicyEgressRule
cnp.ClusterNetworkPolicySubject
 namespaces LabelSelector
 pods cnp.NamespacedPod
cnp.NamespacedPod
 namespaceSelector LabelSelector
 podSelector LabelSelector required
cnp.ClusterNetworkPolicyIngressRule
 name string
 action string required enum=Accept|Deny|Pass
 from []cnp.ClusterNetworkPolicyIngressPeer required
 protocols []cnp.ClusterNetworkPolicyProtocol
cnp.ClusterNetworkPolicyEgressRule
 name string
 action string required enum=Accept|Deny|Pass
 to []cnp.ClusterNetworkPolicyEgressPeer required
 protocols []cnp.ClusterNetworkPolicyProtocol
cnp.ClusterNetworkPolicyIngressPeer
 namespaces LabelSelector
 pods cnp.NamespacedPod
cnp.ClusterNetworkPolicyEgressPeer
 namespaces LabelSelector
 pods cnp.NamespacedPod
 nodes LabelSelector
 networks []string set
 domainNames []string set
cnp.ClusterNetworkPolicyProtocol
 tcp cnp.ClusterNetworkPolicyProtocolTCP
 udp cnp.ClusterNetworkPolicyProtocolUDP
 sctp cnp.ClusterNetworkPolicyProtocolSCTP
 destinationNamedPort string
cnp.ClusterNetworkPolicyProtocolTCP
 destinationPort cnp.Port
cnp.ClusterNetworkPolicyProtocolUDP
 destinationPort cnp.Port
cnp.ClusterNetworkPolicyProtocolSCTP
 destinationPort cnp.Port
cnp.Port
 number int32
 range cnp.PortRange
cnp.PortRange
 start int32 required
 end int32 required
cnp.ClusterNetworkPolicyStatus
 conditions []Condition required merge=type keys=type
)table";

}  // namespace causeway::kube
