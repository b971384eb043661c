// The fields of the API's kinds, of Kubernetes 1.36: one type a paragraph, one field a line, in the API's order.
//
//   name [] list or {} map of   type   attributes
//     required        must be present
//     enum=A|B        the values it may have (informative: validation decides what is refused)
//     merge[=KEY]     strategic merge: elements are merged by KEY (scalars: as a set) instead of the list replaced
//     retainkeys      strategic merge honours $retainKeys
//     keys=K1,K2      the keys of an associative list (server-side apply); set: a list without duplicates
//
// Printed by tools/kube_schema.py from the tags of Kubernetes' Go types.
#include "kube/api/schema_table.h"

namespace causeway::kube {

const char kSchemaTable[] = R"table(
Pod
 apiVersion string
 kind string
 metadata ObjectMeta
 spec PodSpec
 status PodStatus
Node
 apiVersion string
 kind string
 metadata ObjectMeta
 spec NodeSpec
 status NodeStatus
Namespace
 apiVersion string
 kind string
 metadata ObjectMeta
 spec NamespaceSpec
 status NamespaceStatus
Service
 apiVersion string
 kind string
 metadata ObjectMeta
 spec ServiceSpec
 status ServiceStatus
ConfigMap
 apiVersion string
 kind string
 metadata ObjectMeta
 immutable bool
 data {}string
 binaryData {}bytes
Secret
 apiVersion string
 kind string
 metadata ObjectMeta
 immutable bool
 data {}bytes
 stringData {}string
 type string
Event
 apiVersion string
 kind string
 metadata ObjectMeta required
 involvedObject ObjectReference required
 reason string
 message string
 source EventSource
 firstTimestamp time
 lastTimestamp time
 count int32
 type string
 eventTime microtime
 series EventSeries
 action string
 related ObjectReference
 reportingComponent string
 reportingInstance string
Binding
 apiVersion string
 kind string
 metadata ObjectMeta
 target ObjectReference required
Endpoints
 apiVersion string
 kind string
 metadata ObjectMeta
 subsets []EndpointSubset
apps.Deployment
 apiVersion string
 kind string
 metadata ObjectMeta
 spec apps.DeploymentSpec
 status apps.DeploymentStatus
apps.ReplicaSet
 apiVersion string
 kind string
 metadata ObjectMeta
 spec apps.ReplicaSetSpec
 status apps.ReplicaSetStatus
apps.DaemonSet
 apiVersion string
 kind string
 metadata ObjectMeta
 spec apps.DaemonSetSpec
 status apps.DaemonSetStatus
apps.StatefulSet
 apiVersion string
 kind string
 metadata ObjectMeta
 spec apps.StatefulSetSpec
 status apps.StatefulSetStatus
apps.ControllerRevision
 apiVersion string
 kind string
 metadata ObjectMeta
 data any
 revision int64 required
networking.NetworkPolicy
 apiVersion string
 kind string
 metadata ObjectMeta
 spec networking.NetworkPolicySpec
cni.NetworkAttachmentDefinition
 apiVersion string
 kind string
 metadata ObjectMeta
 spec cni.NetworkAttachmentDefinitionSpec
cni.NetworkAttachmentDefinitionSpec
 config string
networking.ServiceCIDR
 apiVersion string
 kind string
 metadata ObjectMeta
 spec networking.ServiceCIDRSpec
 status networking.ServiceCIDRStatus
networking.IPAddress
 apiVersion string
 kind string
 metadata ObjectMeta
 spec networking.IPAddressSpec
discovery.EndpointSlice
 apiVersion string
 kind string
 metadata ObjectMeta
 addressType string required
 endpoints []discovery.Endpoint
 ports []discovery.EndpointPort
coordination.Lease
 apiVersion string
 kind string
 metadata ObjectMeta
 spec coordination.LeaseSpec
events.Event
 apiVersion string
 kind string
 metadata ObjectMeta
 eventTime microtime required
 series events.EventSeries
 reportingController string
 reportingInstance string
 action string
 reason string
 regarding ObjectReference
 related ObjectReference
 note string
 type string
 deprecatedSource EventSource
 deprecatedFirstTimestamp time
 deprecatedLastTimestamp time
 deprecatedCount int32
autoscaling.Scale
 apiVersion string
 kind string
 metadata ObjectMeta
 spec autoscaling.ScaleSpec
 status autoscaling.ScaleStatus
Status
 apiVersion string
 kind string
 metadata ListMeta
 status string
 message string
 reason string
 details StatusDetails
 code int32
DeleteOptions
 apiVersion string
 kind string
 gracePeriodSeconds int64
 preconditions Preconditions
 orphanDependents bool
 propagationPolicy string
 dryRun []string
 ignoreStoreReadErrorWithClusterBreakingPotential bool
ObjectMeta
 name string
 generateName string
 namespace string
 selfLink string
 uid string
 resourceVersion string
 generation int64
 creationTimestamp time
 deletionTimestamp time
 deletionGracePeriodSeconds int64
 labels {}string
 annotations {}string
 ownerReferences []OwnerReference merge=uid keys=uid
 finalizers []string merge set
 managedFields []ManagedFieldsEntry
PodSpec
 volumes []Volume merge=name retainkeys keys=name
 initContainers []Container merge=name keys=name
 containers []Container required merge=name keys=name
 ephemeralContainers []EphemeralContainer merge=name keys=name
 restartPolicy string enum=Always|OnFailure|Never
 terminationGracePeriodSeconds int64
 activeDeadlineSeconds int64
 dnsPolicy string enum=ClusterFirstWithHostNet|ClusterFirst|Default|None
 nodeSelector {}string
 serviceAccountName string
 serviceAccount string
 automountServiceAccountToken bool
 nodeName string
 hostNetwork bool
 hostPID bool
 hostIPC bool
 shareProcessNamespace bool
 securityContext PodSecurityContext
 imagePullSecrets []LocalObjectReference merge=name keys=name
 hostname string
 subdomain string
 affinity Affinity
 schedulerName string
 tolerations []Toleration
 hostAliases []HostAlias merge=ip keys=ip
 priorityClassName string
 priority int32
 dnsConfig PodDNSConfig
 readinessGates []PodReadinessGate
 runtimeClassName string
 enableServiceLinks bool
 preemptionPolicy string enum=PreemptLowerPriority|Never
 overhead {}quantity
 topologySpreadConstraints []TopologySpreadConstraint merge=topologyKey keys=topologyKey,whenUnsatisfiable
 setHostnameAsFQDN bool
 os PodOS
 hostUsers bool
 schedulingGates []PodSchedulingGate merge=name keys=name
 resourceClaims []PodResourceClaim merge=name retainkeys keys=name
 resources ResourceRequirements
 hostnameOverride string
 schedulingGroup PodSchedulingGroup
PodStatus
 observedGeneration int64
 phase string enum=Pending|Running|Succeeded|Failed|Unknown
 conditions []PodCondition merge=type keys=type
 message string
 reason string
 nominatedNodeName string
 hostIP string
 hostIPs []HostIP merge=ip
 podIP string
 podIPs []PodIP merge=ip keys=ip
 startTime time
 initContainerStatuses []ContainerStatus
 containerStatuses []ContainerStatus
 qosClass string enum=Guaranteed|Burstable|BestEffort
 ephemeralContainerStatuses []ContainerStatus
 resize string
 resourceClaimStatuses []PodResourceClaimStatus merge=name retainkeys keys=name
 extendedResourceClaimStatus PodExtendedResourceClaimStatus
 allocatedResources {}quantity
 resources ResourceRequirements
 nodeAllocatableResourceClaimStatuses []NodeAllocatableResourceClaimStatus
NodeSpec
 podCIDR string
 podCIDRs []string merge set
 providerID string
 unschedulable bool
 taints []Taint
 configSource NodeConfigSource
 externalID string
NodeStatus
 capacity {}quantity
 allocatable {}quantity
 phase string enum=Pending|Running|Terminated
 conditions []NodeCondition merge=type keys=type
 addresses []NodeAddress merge=type keys=type
 daemonEndpoints NodeDaemonEndpoints
 nodeInfo NodeSystemInfo
 images []ContainerImage
 volumesInUse []string
 volumesAttached []AttachedVolume
 config NodeConfigStatus
 runtimeHandlers []NodeRuntimeHandler
 features NodeFeatures
 declaredFeatures []string
NamespaceSpec
 finalizers []string
NamespaceStatus
 phase string enum=Active|Terminating
 conditions []NamespaceCondition merge=type keys=type
ServiceSpec
 ports []ServicePort merge=port keys=port,protocol
 selector {}string
 clusterIP string
 clusterIPs []string
 type string enum=ClusterIP|NodePort|LoadBalancer|ExternalName
 externalIPs []string
 sessionAffinity string enum=ClientIP|None
 loadBalancerIP string
 loadBalancerSourceRanges []string
 externalName string
 externalTrafficPolicy string enum=Cluster|Local
 healthCheckNodePort int32
 publishNotReadyAddresses bool
 sessionAffinityConfig SessionAffinityConfig
 ipFamilies []string enum=IPv4|IPv6|
 ipFamilyPolicy string enum=SingleStack|PreferDualStack|RequireDualStack
 allocateLoadBalancerNodePorts bool
 loadBalancerClass string
 internalTrafficPolicy string enum=Cluster|Local
 trafficDistribution string
ServiceStatus
 loadBalancer LoadBalancerStatus
 conditions []Condition merge=type keys=type
ObjectReference
 kind string
 namespace string
 name string
 uid string
 apiVersion string
 resourceVersion string
 fieldPath string
EventSource
 component string
 host string
EventSeries
 count int32
 lastObservedTime microtime
EndpointSubset
 addresses []EndpointAddress
 notReadyAddresses []EndpointAddress
 ports []EndpointPort
apps.DeploymentSpec
 replicas int32
 selector LabelSelector required
 template PodTemplateSpec required
 strategy apps.DeploymentStrategy retainkeys
 minReadySeconds int32
 revisionHistoryLimit int32
 paused bool
 progressDeadlineSeconds int32
apps.DeploymentStatus
 observedGeneration int64
 replicas int32
 updatedReplicas int32
 readyReplicas int32
 availableReplicas int32
 unavailableReplicas int32
 terminatingReplicas int32
 conditions []apps.DeploymentCondition merge=type keys=type
 collisionCount int32
apps.ReplicaSetSpec
 replicas int32
 minReadySeconds int32
 selector LabelSelector required
 template PodTemplateSpec
apps.ReplicaSetStatus
 replicas int32 required
 fullyLabeledReplicas int32
 readyReplicas int32
 availableReplicas int32
 terminatingReplicas int32
 observedGeneration int64
 conditions []apps.ReplicaSetCondition merge=type keys=type
apps.DaemonSetSpec
 selector LabelSelector required
 template PodTemplateSpec required
 updateStrategy apps.DaemonSetUpdateStrategy
 minReadySeconds int32
 revisionHistoryLimit int32
apps.DaemonSetStatus
 currentNumberScheduled int32 required
 numberMisscheduled int32 required
 desiredNumberScheduled int32 required
 numberReady int32 required
 observedGeneration int64
 updatedNumberScheduled int32
 numberAvailable int32
 numberUnavailable int32
 collisionCount int32
 conditions []apps.DaemonSetCondition merge=type keys=type
apps.StatefulSetSpec
 replicas int32
 selector LabelSelector required
 template PodTemplateSpec required
 volumeClaimTemplates []PersistentVolumeClaim
 serviceName string
 podManagementPolicy string enum=OrderedReady|Parallel
 updateStrategy apps.StatefulSetUpdateStrategy
 revisionHistoryLimit int32
 minReadySeconds int32
 persistentVolumeClaimRetentionPolicy apps.StatefulSetPersistentVolumeClaimRetentionPolicy
 ordinals apps.StatefulSetOrdinals
apps.StatefulSetStatus
 observedGeneration int64
 replicas int32 required
 readyReplicas int32
 currentReplicas int32
 updatedReplicas int32
 currentRevision string
 updateRevision string
 collisionCount int32
 conditions []apps.StatefulSetCondition merge=type keys=type
 availableReplicas int32
networking.NetworkPolicySpec
 podSelector LabelSelector
 ingress []networking.NetworkPolicyIngressRule
 egress []networking.NetworkPolicyEgressRule
 policyTypes []string enum=Ingress|Egress
networking.ServiceCIDRSpec
 cidrs []string
networking.ServiceCIDRStatus
 conditions []Condition merge=type keys=type
networking.IPAddressSpec
 parentRef networking.ParentReference
discovery.Endpoint
 addresses []string required set
 conditions discovery.EndpointConditions
 hostname string
 targetRef ObjectReference
 deprecatedTopology {}string
 nodeName string
 zone string
 hints discovery.EndpointHints
discovery.EndpointPort
 name string
 protocol string enum=TCP|UDP|SCTP
 port int32
 appProtocol string
coordination.LeaseSpec
 holderIdentity string
 leaseDurationSeconds int32
 acquireTime microtime
 renewTime microtime
 leaseTransitions int32
 strategy string
 preferredHolder string
events.EventSeries
 count int32 required
 lastObservedTime microtime required
autoscaling.ScaleSpec
 replicas int32
autoscaling.ScaleStatus
 replicas int32 required
 selector string
ListMeta
 selfLink string
 resourceVersion string
 continue string
 remainingItemCount int64
 shardInfo ShardInfo
StatusDetails
 name string
 group string
 kind string
 uid string
 causes []StatusCause
 retryAfterSeconds int32
Preconditions
 uid string
 resourceVersion string
OwnerReference
 apiVersion string required
 kind string required
 name string required
 uid string required
 controller bool
 blockOwnerDeletion bool
ManagedFieldsEntry
 manager string
 operation string
 apiVersion string
 time time
 fieldsType string
 fieldsV1 any
 subresource string
Volume
 name string required
 hostPath HostPathVolumeSource
 emptyDir EmptyDirVolumeSource
 gcePersistentDisk GCEPersistentDiskVolumeSource
 awsElasticBlockStore AWSElasticBlockStoreVolumeSource
 gitRepo GitRepoVolumeSource
 secret SecretVolumeSource
 nfs NFSVolumeSource
 iscsi ISCSIVolumeSource
 glusterfs GlusterfsVolumeSource
 persistentVolumeClaim PersistentVolumeClaimVolumeSource
 rbd RBDVolumeSource
 flexVolume FlexVolumeSource
 cinder CinderVolumeSource
 cephfs CephFSVolumeSource
 flocker FlockerVolumeSource
 downwardAPI DownwardAPIVolumeSource
 fc FCVolumeSource
 azureFile AzureFileVolumeSource
 configMap ConfigMapVolumeSource
 vsphereVolume VsphereVirtualDiskVolumeSource
 quobyte QuobyteVolumeSource
 azureDisk AzureDiskVolumeSource
 photonPersistentDisk PhotonPersistentDiskVolumeSource
 projected ProjectedVolumeSource
 portworxVolume PortworxVolumeSource
 scaleIO ScaleIOVolumeSource
 storageos StorageOSVolumeSource
 csi CSIVolumeSource
 ephemeral EphemeralVolumeSource
 image ImageVolumeSource
Container
 name string required
 image string
 command []string
 args []string
 workingDir string
 ports []ContainerPort merge=containerPort keys=containerPort,protocol
 envFrom []EnvFromSource
 env []EnvVar merge=name keys=name
 resources ResourceRequirements
 resizePolicy []ContainerResizePolicy
 restartPolicy string
 restartPolicyRules []ContainerRestartRule
 volumeMounts []VolumeMount merge=mountPath keys=mountPath
 volumeDevices []VolumeDevice merge=devicePath keys=devicePath
 livenessProbe Probe
 readinessProbe Probe
 startupProbe Probe
 lifecycle Lifecycle
 terminationMessagePath string
 terminationMessagePolicy string enum=File|FallbackToLogsOnError
 imagePullPolicy string enum=Always|Never|IfNotPresent
 securityContext SecurityContext
 stdin bool
 stdinOnce bool
 tty bool
EphemeralContainer
 name string required
 image string
 command []string
 args []string
 workingDir string
 ports []ContainerPort merge=containerPort keys=containerPort,protocol
 envFrom []EnvFromSource
 env []EnvVar merge=name keys=name
 resources ResourceRequirements
 resizePolicy []ContainerResizePolicy
 restartPolicy string
 restartPolicyRules []ContainerRestartRule
 volumeMounts []VolumeMount merge=mountPath keys=mountPath
 volumeDevices []VolumeDevice merge=devicePath keys=devicePath
 livenessProbe Probe
 readinessProbe Probe
 startupProbe Probe
 lifecycle Lifecycle
 terminationMessagePath string
 terminationMessagePolicy string enum=File|FallbackToLogsOnError
 imagePullPolicy string enum=Always|Never|IfNotPresent
 securityContext SecurityContext
 stdin bool
 stdinOnce bool
 tty bool
 targetContainerName string
PodSecurityContext
 seLinuxOptions SELinuxOptions
 windowsOptions WindowsSecurityContextOptions
 runAsUser int64
 runAsGroup int64
 runAsNonRoot bool
 supplementalGroups []int64
 supplementalGroupsPolicy string enum=Merge|Strict
 fsGroup int64
 sysctls []Sysctl
 fsGroupChangePolicy string enum=OnRootMismatch|Always
 seccompProfile SeccompProfile
 appArmorProfile AppArmorProfile
 seLinuxChangePolicy string
LocalObjectReference
 name string
Affinity
 nodeAffinity NodeAffinity
 podAffinity PodAffinity
 podAntiAffinity PodAntiAffinity
Toleration
 key string
 operator string enum=Exists|Equal|Lt|Gt
 value string
 effect string enum=NoSchedule|PreferNoSchedule|NoExecute
 tolerationSeconds int64
HostAlias
 ip string required
 hostnames []string
PodDNSConfig
 nameservers []string
 searches []string
 options []PodDNSConfigOption
PodReadinessGate
 conditionType string required
TopologySpreadConstraint
 maxSkew int32 required
 topologyKey string required
 whenUnsatisfiable string required enum=DoNotSchedule|ScheduleAnyway
 labelSelector LabelSelector
 minDomains int32
 nodeAffinityPolicy string enum=Ignore|Honor
 nodeTaintsPolicy string enum=Ignore|Honor
 matchLabelKeys []string
PodOS
 name string required
PodSchedulingGate
 name string required
PodResourceClaim
 name string required
 resourceClaimName string
 resourceClaimTemplateName string
ResourceRequirements
 limits {}quantity
 requests {}quantity
 claims []ResourceClaim keys=name
PodSchedulingGroup
 podGroupName string
PodCondition
 type string required
 observedGeneration int64
 status string required
 lastProbeTime time
 lastTransitionTime time
 reason string
 message string
HostIP
 ip string required
PodIP
 ip string required
ContainerStatus
 name string required
 state ContainerState
 lastState ContainerState
 ready bool required
 restartCount int32 required
 image string required
 imageID string required
 containerID string
 started bool
 allocatedResources {}quantity
 resources ResourceRequirements
 volumeMounts []VolumeMountStatus merge=mountPath keys=mountPath
 user ContainerUser
 allocatedResourcesStatus []ResourceStatus merge=name keys=name
 stopSignal string enum=SIGABRT|SIGALRM|SIGBUS|SIGCHLD|SIGCLD|SIGCONT|SIGFPE|SIGHUP|SIGILL|SIGINT|SIGIO|SIGIOT|SIGKILL|SIGPIPE|SIGPOLL|SIGPROF|SIGPWR|SIGQUIT|SIGSEGV|SIGSTKFLT|SIGSTOP|SIGSYS|SIGTERM|SIGTRAP|SIGTSTP|SIGTTIN|SIGTTOU|SIGURG|SIGUSR1|SIGUSR2|SIGVTALRM|SIGWINCH|SIGXCPU|SIGXFSZ|SIGRTMIN|SIGRTMIN+1|SIGRTMIN+2|SIGRTMIN+3|SIGRTMIN+4|SIGRTMIN+5|SIGRTMIN+6|SIGRTMIN+7|SIGRTMIN+8|SIGRTMIN+9|SIGRTMIN+10|SIGRTMIN+11|SIGRTMIN+12|SIGRTMIN+13|SIGRTMIN+14|SIGRTMIN+15|SIGRTMAX-14|SIGRTMAX-13|SIGRTMAX-12|SIGRTMAX-11|SIGRTMAX-10|SIGRTMAX-9|SIGRTMAX-8|SIGRTMAX-7|SIGRTMAX-6|SIGRTMAX-5|SIGRTMAX-4|SIGRTMAX-3|SIGRTMAX-2|SIGRTMAX-1|SIGRTMAX
PodResourceClaimStatus
 name string required
 resourceClaimName string
PodExtendedResourceClaimStatus
 requestMappings []ContainerExtendedResourceRequest required
 resourceClaimName string required
NodeAllocatableResourceClaimStatus
 resourceClaimName string required
 containers []string set
 resources {}quantity required
Taint
 key string required
 value string
 effect string required enum=NoSchedule|PreferNoSchedule|NoExecute
 timeAdded time
NodeConfigSource
 configMap ConfigMapNodeConfigSource
NodeCondition
 type string required
 status string required
 lastHeartbeatTime time
 lastTransitionTime time
 reason string
 message string
NodeAddress
 type string required
 address string required
NodeDaemonEndpoints
 kubeletEndpoint DaemonEndpoint
NodeSystemInfo
 machineID string required
 systemUUID string required
 bootID string required
 kernelVersion string required
 osImage string required
 containerRuntimeVersion string required
 kubeletVersion string required
 kubeProxyVersion string required
 operatingSystem string required
 architecture string required
 swap NodeSwapStatus
ContainerImage
 names []string
 sizeBytes int64
AttachedVolume
 name string required
 devicePath string required
NodeConfigStatus
 assigned NodeConfigSource
 active NodeConfigSource
 lastKnownGood NodeConfigSource
 error string
NodeRuntimeHandler
 name string
 features NodeRuntimeHandlerFeatures
NodeFeatures
 supplementalGroupsPolicy bool
NamespaceCondition
 type string required
 status string required
 lastTransitionTime time
 reason string
 message string
ServicePort
 name string
 protocol string enum=TCP|UDP|SCTP
 appProtocol string
 port int32 required
 targetPort intorstring
 nodePort int32
SessionAffinityConfig
 clientIP ClientIPConfig
LoadBalancerStatus
 ingress []LoadBalancerIngress
Condition
 type string required
 status string required
 observedGeneration int64
 lastTransitionTime time required
 reason string required
 message string required
EndpointAddress
 ip string required
 hostname string
 nodeName string
 targetRef ObjectReference
EndpointPort
 name string
 port int32 required
 protocol string enum=TCP|UDP|SCTP
 appProtocol string
LabelSelector
 matchLabels {}string
 matchExpressions []LabelSelectorRequirement
PodTemplateSpec
 metadata ObjectMeta
 spec PodSpec
apps.DeploymentStrategy
 type string enum=Recreate|RollingUpdate
 rollingUpdate apps.RollingUpdateDeployment
apps.DeploymentCondition
 type string required
 status string required
 lastUpdateTime time
 lastTransitionTime time
 reason string
 message string
apps.ReplicaSetCondition
 type string required
 status string required
 lastTransitionTime time
 reason string
 message string
apps.DaemonSetUpdateStrategy
 type string enum=RollingUpdate|OnDelete
 rollingUpdate apps.RollingUpdateDaemonSet
apps.DaemonSetCondition
 type string required
 status string required
 lastTransitionTime time
 reason string
 message string
PersistentVolumeClaim
 apiVersion string
 kind string
 metadata ObjectMeta
 spec PersistentVolumeClaimSpec
 status PersistentVolumeClaimStatus
apps.StatefulSetUpdateStrategy
 type string enum=RollingUpdate|OnDelete
 rollingUpdate apps.RollingUpdateStatefulSetStrategy
apps.StatefulSetPersistentVolumeClaimRetentionPolicy
 whenDeleted string
 whenScaled string
apps.StatefulSetOrdinals
 start int32
apps.StatefulSetCondition
 type string required
 status string required
 lastTransitionTime time
 reason string
 message string
networking.NetworkPolicyIngressRule
 ports []networking.NetworkPolicyPort
 from []networking.NetworkPolicyPeer
networking.NetworkPolicyEgressRule
 ports []networking.NetworkPolicyPort
 to []networking.NetworkPolicyPeer
networking.ParentReference
 group string
 resource string
 namespace string
 name string
discovery.EndpointConditions
 ready bool
 serving bool
 terminating bool
discovery.EndpointHints
 forZones []discovery.ForZone
 forNodes []discovery.ForNode
ShardInfo
 selector string required
StatusCause
 reason string
 message string
 field string
HostPathVolumeSource
 path string required
 type string enum=|DirectoryOrCreate|Directory|FileOrCreate|File|Socket|CharDevice|BlockDevice
EmptyDirVolumeSource
 medium string
 sizeLimit quantity
GCEPersistentDiskVolumeSource
 pdName string required
 fsType string
 partition int32
 readOnly bool
AWSElasticBlockStoreVolumeSource
 volumeID string required
 fsType string
 partition int32
 readOnly bool
GitRepoVolumeSource
 repository string required
 revision string
 directory string
SecretVolumeSource
 secretName string
 items []KeyToPath
 defaultMode int32
 optional bool
NFSVolumeSource
 server string required
 path string required
 readOnly bool
ISCSIVolumeSource
 targetPortal string required
 iqn string required
 lun int32 required
 iscsiInterface string
 fsType string
 readOnly bool
 portals []string
 chapAuthDiscovery bool
 chapAuthSession bool
 secretRef LocalObjectReference
 initiatorName string
GlusterfsVolumeSource
 endpoints string required
 path string required
 readOnly bool
PersistentVolumeClaimVolumeSource
 claimName string required
 readOnly bool
RBDVolumeSource
 monitors []string required
 image string required
 fsType string
 pool string
 user string
 keyring string
 secretRef LocalObjectReference
 readOnly bool
FlexVolumeSource
 driver string required
 fsType string
 secretRef LocalObjectReference
 readOnly bool
 options {}string
CinderVolumeSource
 volumeID string required
 fsType string
 readOnly bool
 secretRef LocalObjectReference
CephFSVolumeSource
 monitors []string required
 path string
 user string
 secretFile string
 secretRef LocalObjectReference
 readOnly bool
FlockerVolumeSource
 datasetName string
 datasetUUID string
DownwardAPIVolumeSource
 items []DownwardAPIVolumeFile
 defaultMode int32
FCVolumeSource
 targetWWNs []string
 lun int32
 fsType string
 readOnly bool
 wwids []string
AzureFileVolumeSource
 secretName string required
 shareName string required
 readOnly bool
ConfigMapVolumeSource
 name string
 items []KeyToPath
 defaultMode int32
 optional bool
VsphereVirtualDiskVolumeSource
 volumePath string required
 fsType string
 storagePolicyName string
 storagePolicyID string
QuobyteVolumeSource
 registry string required
 volume string required
 readOnly bool
 user string
 group string
 tenant string
AzureDiskVolumeSource
 diskName string required
 diskURI string required
 cachingMode string enum=None|ReadOnly|ReadWrite
 fsType string
 readOnly bool
 kind string enum=Shared|Dedicated|Managed
PhotonPersistentDiskVolumeSource
 pdID string required
 fsType string
ProjectedVolumeSource
 sources []VolumeProjection
 defaultMode int32
PortworxVolumeSource
 volumeID string required
 fsType string
 readOnly bool
ScaleIOVolumeSource
 gateway string required
 system string required
 secretRef LocalObjectReference required
 sslEnabled bool
 protectionDomain string
 storagePool string
 storageMode string
 volumeName string
 fsType string
 readOnly bool
StorageOSVolumeSource
 volumeName string
 volumeNamespace string
 fsType string
 readOnly bool
 secretRef LocalObjectReference
CSIVolumeSource
 driver string required
 readOnly bool
 fsType string
 volumeAttributes {}string
 nodePublishSecretRef LocalObjectReference
EphemeralVolumeSource
 volumeClaimTemplate PersistentVolumeClaimTemplate
ImageVolumeSource
 reference string
 pullPolicy string enum=Always|Never|IfNotPresent
ContainerPort
 name string
 hostPort int32
 containerPort int32 required
 protocol string enum=TCP|UDP|SCTP
 hostIP string
EnvFromSource
 prefix string
 configMapRef ConfigMapEnvSource
 secretRef SecretEnvSource
EnvVar
 name string required
 value string
 valueFrom EnvVarSource
ContainerResizePolicy
 resourceName string required
 restartPolicy string required
ContainerRestartRule
 action string
 exitCodes ContainerRestartRuleOnExitCodes
VolumeMount
 name string required
 readOnly bool
 recursiveReadOnly string
 mountPath string required
 subPath string
 mountPropagation string enum=None|HostToContainer|Bidirectional
 subPathExpr string
VolumeDevice
 name string required
 devicePath string required
Probe
 exec ExecAction
 httpGet HTTPGetAction
 tcpSocket TCPSocketAction
 grpc GRPCAction
 initialDelaySeconds int32
 timeoutSeconds int32
 periodSeconds int32
 successThreshold int32
 failureThreshold int32
 terminationGracePeriodSeconds int64
Lifecycle
 postStart LifecycleHandler
 preStop LifecycleHandler
 stopSignal string enum=SIGABRT|SIGALRM|SIGBUS|SIGCHLD|SIGCLD|SIGCONT|SIGFPE|SIGHUP|SIGILL|SIGINT|SIGIO|SIGIOT|SIGKILL|SIGPIPE|SIGPOLL|SIGPROF|SIGPWR|SIGQUIT|SIGSEGV|SIGSTKFLT|SIGSTOP|SIGSYS|SIGTERM|SIGTRAP|SIGTSTP|SIGTTIN|SIGTTOU|SIGURG|SIGUSR1|SIGUSR2|SIGVTALRM|SIGWINCH|SIGXCPU|SIGXFSZ|SIGRTMIN|SIGRTMIN+1|SIGRTMIN+2|SIGRTMIN+3|SIGRTMIN+4|SIGRTMIN+5|SIGRTMIN+6|SIGRTMIN+7|SIGRTMIN+8|SIGRTMIN+9|SIGRTMIN+10|SIGRTMIN+11|SIGRTMIN+12|SIGRTMIN+13|SIGRTMIN+14|SIGRTMIN+15|SIGRTMAX-14|SIGRTMAX-13|SIGRTMAX-12|SIGRTMAX-11|SIGRTMAX-10|SIGRTMAX-9|SIGRTMAX-8|SIGRTMAX-7|SIGRTMAX-6|SIGRTMAX-5|SIGRTMAX-4|SIGRTMAX-3|SIGRTMAX-2|SIGRTMAX-1|SIGRTMAX
SecurityContext
 capabilities Capabilities
 privileged bool
 seLinuxOptions SELinuxOptions
 windowsOptions WindowsSecurityContextOptions
 runAsUser int64
 runAsGroup int64
 runAsNonRoot bool
 readOnlyRootFilesystem bool
 allowPrivilegeEscalation bool
 procMount string enum=Default|Unmasked
 seccompProfile SeccompProfile
 appArmorProfile AppArmorProfile
SELinuxOptions
 user string
 role string
 type string
 level string
WindowsSecurityContextOptions
 gmsaCredentialSpecName string
 gmsaCredentialSpec string
 runAsUserName string
 hostProcess bool
Sysctl
 name string required
 value string required
SeccompProfile
 type string required enum=Unconfined|RuntimeDefault|Localhost
 localhostProfile string
AppArmorProfile
 type string required enum=Unconfined|RuntimeDefault|Localhost
 localhostProfile string
NodeAffinity
 requiredDuringSchedulingIgnoredDuringExecution NodeSelector
 preferredDuringSchedulingIgnoredDuringExecution []PreferredSchedulingTerm
PodAffinity
 requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm
 preferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm
PodAntiAffinity
 requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm
 preferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm
PodDNSConfigOption
 name string
 value string
ResourceClaim
 name string required
 request string
ContainerState
 waiting ContainerStateWaiting
 running ContainerStateRunning
 terminated ContainerStateTerminated
VolumeMountStatus
 name string required
 mountPath string required
 readOnly bool
 recursiveReadOnly string
 volumeStatus VolumeStatus
ContainerUser
 linux LinuxContainerUser
ResourceStatus
 name string required
 resources []ResourceHealth keys=resourceID
ContainerExtendedResourceRequest
 containerName string required
 resourceName string required
 requestName string required
ConfigMapNodeConfigSource
 namespace string required
 name string required
 uid string
 resourceVersion string
 kubeletConfigKey string required
DaemonEndpoint
 Port int32 required
NodeSwapStatus
 capacity int64
NodeRuntimeHandlerFeatures
 recursiveReadOnlyMounts bool
 userNamespaces bool
ClientIPConfig
 timeoutSeconds int32
LoadBalancerIngress
 ip string
 hostname string
 ipMode string
 ports []PortStatus
LabelSelectorRequirement
 key string required
 operator string required
 values []string
apps.RollingUpdateDeployment
 maxUnavailable intorstring
 maxSurge intorstring
apps.RollingUpdateDaemonSet
 maxUnavailable intorstring
 maxSurge intorstring
PersistentVolumeClaimSpec
 accessModes []string enum=ReadWriteOnce|ReadOnlyMany|ReadWriteMany|ReadWriteOncePod
 selector LabelSelector
 resources VolumeResourceRequirements
 volumeName string
 storageClassName string
 volumeMode string enum=Block|Filesystem
 dataSource TypedLocalObjectReference
 dataSourceRef TypedObjectReference
 volumeAttributesClassName string
PersistentVolumeClaimStatus
 phase string enum=Pending|Bound|Lost
 accessModes []string enum=ReadWriteOnce|ReadOnlyMany|ReadWriteMany|ReadWriteOncePod
 capacity {}quantity
 conditions []PersistentVolumeClaimCondition merge=type keys=type
 allocatedResources {}quantity
 allocatedResourceStatuses {}string enum=ControllerResizeInProgress|ControllerResizeInfeasible|NodeResizePending|NodeResizeInProgress|NodeResizeInfeasible
 currentVolumeAttributesClassName string
 modifyVolumeStatus ModifyVolumeStatus
apps.RollingUpdateStatefulSetStrategy
 partition int32
 maxUnavailable intorstring
networking.NetworkPolicyPort
 protocol string enum=TCP|UDP|SCTP
 port intorstring
 endPort int32
networking.NetworkPolicyPeer
 podSelector LabelSelector
 namespaceSelector LabelSelector
 ipBlock networking.IPBlock
discovery.ForZone
 name string required
discovery.ForNode
 name string required
KeyToPath
 key string required
 path string required
 mode int32
DownwardAPIVolumeFile
 path string required
 fieldRef ObjectFieldSelector
 resourceFieldRef ResourceFieldSelector
 mode int32
VolumeProjection
 secret SecretProjection
 downwardAPI DownwardAPIProjection
 configMap ConfigMapProjection
 serviceAccountToken ServiceAccountTokenProjection
 clusterTrustBundle ClusterTrustBundleProjection
 podCertificate PodCertificateProjection
PersistentVolumeClaimTemplate
 metadata ObjectMeta
 spec PersistentVolumeClaimSpec required
ConfigMapEnvSource
 name string
 optional bool
SecretEnvSource
 name string
 optional bool
EnvVarSource
 fieldRef ObjectFieldSelector
 resourceFieldRef ResourceFieldSelector
 configMapKeyRef ConfigMapKeySelector
 secretKeyRef SecretKeySelector
 fileKeyRef FileKeySelector
ContainerRestartRuleOnExitCodes
 operator string
 values []int32 set
ExecAction
 command []string
HTTPGetAction
 path string
 port intorstring required
 host string
 scheme string enum=HTTP|HTTPS
 httpHeaders []HTTPHeader
TCPSocketAction
 port intorstring required
 host string
GRPCAction
 port int32 required
 service string
LifecycleHandler
 exec ExecAction
 httpGet HTTPGetAction
 tcpSocket TCPSocketAction
 sleep SleepAction
Capabilities
 add []string
 drop []string
NodeSelector
 nodeSelectorTerms []NodeSelectorTerm required
PreferredSchedulingTerm
 weight int32 required
 preference NodeSelectorTerm required
PodAffinityTerm
 labelSelector LabelSelector
 namespaces []string
 topologyKey string required
 namespaceSelector LabelSelector
 matchLabelKeys []string
 mismatchLabelKeys []string
WeightedPodAffinityTerm
 weight int32 required
 podAffinityTerm PodAffinityTerm required
ContainerStateWaiting
 reason string
 message string
ContainerStateRunning
 startedAt time
ContainerStateTerminated
 exitCode int32 required
 signal int32
 reason string
 message string
 startedAt time
 finishedAt time
 containerID string
VolumeStatus
 image ImageVolumeStatus
LinuxContainerUser
 uid int64 required
 gid int64 required
 supplementalGroups []int64
ResourceHealth
 resourceID string required
 health string
 message string
PortStatus
 port int32 required
 protocol string required enum=TCP|UDP|SCTP
 error string
VolumeResourceRequirements
 limits {}quantity
 requests {}quantity
TypedLocalObjectReference
 apiGroup string
 kind string required
 name string required
TypedObjectReference
 apiGroup string
 kind string required
 name string required
 namespace string
PersistentVolumeClaimCondition
 type string required
 status string required
 lastProbeTime time
 lastTransitionTime time
 reason string
 message string
ModifyVolumeStatus
 targetVolumeAttributesClassName string
 status string required enum=Pending|InProgress|Infeasible
networking.IPBlock
 cidr string required
 except []string
ObjectFieldSelector
 apiVersion string
 fieldPath string required
ResourceFieldSelector
 containerName string
 resource string required
 divisor quantity
SecretProjection
 name string
 items []KeyToPath
 optional bool
DownwardAPIProjection
 items []DownwardAPIVolumeFile
ConfigMapProjection
 name string
 items []KeyToPath
 optional bool
ServiceAccountTokenProjection
 audience string
 expirationSeconds int64
 path string required
ClusterTrustBundleProjection
 name string
 signerName string
 labelSelector LabelSelector
 optional bool
 path string required
PodCertificateProjection
 signerName string
 keyType string
 maxExpirationSeconds int32
 credentialBundlePath string
 keyPath string
 certificateChainPath string
 userAnnotations {}string
ConfigMapKeySelector
 name string
 key string required
 optional bool
SecretKeySelector
 name string
 key string required
 optional bool
FileKeySelector
 volumeName string required
 path string required
 key string required
 optional bool
HTTPHeader
 name string required
 value string required
SleepAction
 seconds int64 required
NodeSelectorTerm
 matchExpressions []NodeSelectorRequirement
 matchFields []NodeSelectorRequirement
ImageVolumeStatus
 imageRef string
NodeSelectorRequirement
 key string required
 operator string required enum=In|NotIn|Exists|DoesNotExist|Gt|Lt
 values []string
)table";

}  // namespace causeway::kube
