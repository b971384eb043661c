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
CAUSEWAY_KIND(Lease);

CAUSEWAY_PART(ServiceSpec);
CAUSEWAY_PART(ReplicaSetStatus);
CAUSEWAY_PART(DeploymentStatus);
CAUSEWAY_PART(DeploymentSpec);

}  // namespace causeway::kube
