// The instances of the codec for the kinds of the named groups, and Service.
#include "kube/api/codec_instances.inc"

namespace causeway::kube {

CAUSEWAY_KIND(Service);
CAUSEWAY_KIND(EndpointSlice);
CAUSEWAY_KIND(Endpoints);
CAUSEWAY_KIND(ServiceCidr);
CAUSEWAY_KIND(IpAddress);
CAUSEWAY_KIND(NetworkPolicy);
CAUSEWAY_KIND(ReplicaSet);
CAUSEWAY_KIND(Deployment);
CAUSEWAY_KIND(StatefulSet);
CAUSEWAY_KIND(DaemonSet);
CAUSEWAY_KIND(ControllerRevision);
CAUSEWAY_KIND(Lease);

CAUSEWAY_PART(ServiceSpec);
CAUSEWAY_PART(ReplicaSetStatus);
CAUSEWAY_PART(DeploymentStatus);
CAUSEWAY_PART(DeploymentSpec);
CAUSEWAY_PART(StatefulSetStatus);
CAUSEWAY_PART(DaemonSetStatus);

}  // namespace causeway::kube
