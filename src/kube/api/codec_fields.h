// How the members of the typed objects are called on the wire: one table, read by the decoder and the encoder.
// Included by the codec*.cc files only.
#pragma once

#include <tuple>

#include "kube/api/types.h"

namespace causeway::kube::codec {

enum class Emit : uint8_t {
  NonEmpty,  // upstream's omitempty
  Always,    // the API shows it even when it is zero (or null would be refused)
};
enum class TimeForm : uint8_t { Seconds, Micro };

template <class T, class M>
struct Field {
  std::string_view name;
  M T::* member;
  Emit emit = Emit::NonEmpty;
  TimeForm time = TimeForm::Seconds;
};

template <class T, class M>
constexpr Field<T, M> f(std::string_view name, M T::* member) {
  return {name, member};
}
template <class T, class M>
constexpr Field<T, M> always(std::string_view name, M T::* member) {
  return {name, member, Emit::Always};
}
template <class T, class M>
constexpr Field<T, M> micro(std::string_view name, M T::* member) {
  return {name, member, Emit::NonEmpty, TimeForm::Micro};
}

template <class T>
struct Fields;
#define CAUSEWAY_FIELDS(T, ...)                                \
  template <>                                                  \
  struct Fields<T> {                                           \
    using S = T;                                               \
    static constexpr auto list = std::make_tuple(__VA_ARGS__); \
  }

// --- meta.h
CAUSEWAY_FIELDS(OwnerReference, always("apiVersion", &S::api_version), always("kind", &S::kind),
                always("name", &S::name), always("uid", &S::uid), f("controller", &S::controller),
                f("blockOwnerDeletion", &S::block_owner_deletion));
CAUSEWAY_FIELDS(ObjectMeta, f("name", &S::name), f("generateName", &S::generate_name), f("namespace", &S::ns),
                f("uid", &S::uid), f("resourceVersion", &S::resource_version), f("generation", &S::generation),
                f("creationTimestamp", &S::creation_timestamp), f("deletionTimestamp", &S::deletion_timestamp),
                f("deletionGracePeriodSeconds", &S::deletion_grace_period_seconds), f("labels", &S::labels),
                f("annotations", &S::annotations), f("ownerReferences", &S::owner_references),
                f("finalizers", &S::finalizers));
CAUSEWAY_FIELDS(LabelSelectorRequirement, always("key", &S::key), always("operator", &S::op), f("values", &S::values));
CAUSEWAY_FIELDS(LabelSelector, f("matchLabels", &S::match_labels), f("matchExpressions", &S::match_expressions));
CAUSEWAY_FIELDS(Condition, always("type", &S::type), always("status", &S::status),
                f("observedGeneration", &S::observed_generation), f("lastProbeTime", &S::last_probe_time),
                f("lastHeartbeatTime", &S::last_heartbeat_time), f("lastUpdateTime", &S::last_update_time),
                f("lastTransitionTime", &S::last_transition_time), f("reason", &S::reason), f("message", &S::message));
CAUSEWAY_FIELDS(ObjectReference, f("kind", &S::kind), f("namespace", &S::ns), f("name", &S::name), f("uid", &S::uid),
                f("apiVersion", &S::api_version), f("resourceVersion", &S::resource_version),
                f("fieldPath", &S::field_path));
CAUSEWAY_FIELDS(ListMeta, f("resourceVersion", &S::resource_version), f("continue", &S::continue_token),
                f("remainingItemCount", &S::remaining_item_count));
CAUSEWAY_FIELDS(PartialObject, f("apiVersion", &S::api_version), f("kind", &S::kind), always("metadata", &S::metadata));
CAUSEWAY_FIELDS(StatusCause, f("reason", &S::reason), f("message", &S::message), f("field", &S::field));
CAUSEWAY_FIELDS(StatusDetails, f("name", &S::name), f("group", &S::group), f("kind", &S::kind), f("uid", &S::uid),
                f("causes", &S::causes), f("retryAfterSeconds", &S::retry_after_seconds));
CAUSEWAY_FIELDS(ApiStatus, always("metadata", &S::metadata), f("status", &S::status), f("message", &S::message),
                f("reason", &S::reason), f("details", &S::details), f("code", &S::code));

// --- node.h
CAUSEWAY_FIELDS(NamespaceSpec, f("finalizers", &S::finalizers));
CAUSEWAY_FIELDS(NamespaceStatus, f("phase", &S::phase), f("conditions", &S::conditions));
CAUSEWAY_FIELDS(Namespace, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));
CAUSEWAY_FIELDS(Taint, always("key", &S::key), f("value", &S::value), always("effect", &S::effect),
                f("timeAdded", &S::time_added));
CAUSEWAY_FIELDS(NodeSpec, f("podCIDR", &S::pod_cidr), f("podCIDRs", &S::pod_cidrs), f("providerID", &S::provider_id),
                f("unschedulable", &S::unschedulable), f("taints", &S::taints));
CAUSEWAY_FIELDS(NodeAddress, always("type", &S::type), always("address", &S::address));
CAUSEWAY_FIELDS(NodeSystemInfo, always("machineID", &S::machine_id), always("systemUUID", &S::system_uuid),
                always("bootID", &S::boot_id), always("kernelVersion", &S::kernel_version),
                always("osImage", &S::os_image), always("containerRuntimeVersion", &S::container_runtime_version),
                always("kubeletVersion", &S::kubelet_version), always("kubeProxyVersion", &S::kube_proxy_version),
                always("operatingSystem", &S::operating_system), always("architecture", &S::architecture));
CAUSEWAY_FIELDS(DaemonEndpoint, always("Port", &S::port));
CAUSEWAY_FIELDS(NodeDaemonEndpoints, f("kubeletEndpoint", &S::kubelet_endpoint));
CAUSEWAY_FIELDS(NodeStatus, f("capacity", &S::capacity), f("allocatable", &S::allocatable),
                f("conditions", &S::conditions), f("addresses", &S::addresses),
                f("daemonEndpoints", &S::daemon_endpoints), f("nodeInfo", &S::node_info));
CAUSEWAY_FIELDS(Node, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));

// --- pod.h
CAUSEWAY_FIELDS(ContainerPort, f("name", &S::name), f("hostPort", &S::host_port),
                always("containerPort", &S::container_port), f("protocol", &S::protocol), f("hostIP", &S::host_ip));
CAUSEWAY_FIELDS(ObjectFieldSelector, f("apiVersion", &S::api_version), always("fieldPath", &S::field_path));
CAUSEWAY_FIELDS(KeySelector, f("name", &S::name), always("key", &S::key), f("optional", &S::optional));
CAUSEWAY_FIELDS(ResourceFieldSelector, f("containerName", &S::container_name), always("resource", &S::resource),
                f("divisor", &S::divisor));
CAUSEWAY_FIELDS(EnvVarSource, f("fieldRef", &S::field_ref), f("resourceFieldRef", &S::resource_field_ref),
                f("configMapKeyRef", &S::config_map_key_ref), f("secretKeyRef", &S::secret_key_ref));
CAUSEWAY_FIELDS(EnvVar, always("name", &S::name), f("value", &S::value), f("valueFrom", &S::value_from));
CAUSEWAY_FIELDS(EnvSourceRef, f("name", &S::name), f("optional", &S::optional));
CAUSEWAY_FIELDS(EnvFromSource, f("prefix", &S::prefix), f("configMapRef", &S::config_map_ref),
                f("secretRef", &S::secret_ref));
CAUSEWAY_FIELDS(HttpHeader, always("name", &S::name), always("value", &S::value));
CAUSEWAY_FIELDS(HttpGetAction, f("path", &S::path), always("port", &S::port), f("host", &S::host),
                f("scheme", &S::scheme), f("httpHeaders", &S::http_headers));
CAUSEWAY_FIELDS(TcpSocketAction, always("port", &S::port), f("host", &S::host));
CAUSEWAY_FIELDS(ExecAction, f("command", &S::command));
CAUSEWAY_FIELDS(GrpcAction, always("port", &S::port), f("service", &S::service));
CAUSEWAY_FIELDS(SleepAction, always("seconds", &S::seconds));
CAUSEWAY_FIELDS(LifecycleHandler, f("exec", &S::exec), f("httpGet", &S::http_get), f("tcpSocket", &S::tcp_socket),
                f("sleep", &S::sleep));
CAUSEWAY_FIELDS(Lifecycle, f("postStart", &S::post_start), f("preStop", &S::pre_stop),
                f("stopSignal", &S::stop_signal));
CAUSEWAY_FIELDS(Probe, f("exec", &S::exec), f("httpGet", &S::http_get), f("tcpSocket", &S::tcp_socket),
                f("grpc", &S::grpc), f("terminationGracePeriodSeconds", &S::termination_grace_period_seconds),
                f("initialDelaySeconds", &S::initial_delay_seconds), f("timeoutSeconds", &S::timeout_seconds),
                f("periodSeconds", &S::period_seconds), f("successThreshold", &S::success_threshold),
                f("failureThreshold", &S::failure_threshold));
CAUSEWAY_FIELDS(ResourceRequirements, f("limits", &S::limits), f("requests", &S::requests));
CAUSEWAY_FIELDS(Capabilities, f("add", &S::add), f("drop", &S::drop));
CAUSEWAY_FIELDS(SecurityContext, f("capabilities", &S::capabilities), f("privileged", &S::privileged),
                f("runAsUser", &S::run_as_user), f("runAsGroup", &S::run_as_group),
                f("runAsNonRoot", &S::run_as_non_root), f("readOnlyRootFilesystem", &S::read_only_root_filesystem),
                f("allowPrivilegeEscalation", &S::allow_privilege_escalation));
CAUSEWAY_FIELDS(VolumeMount, always("name", &S::name), f("readOnly", &S::read_only),
                always("mountPath", &S::mount_path), f("subPath", &S::sub_path), f("subPathExpr", &S::sub_path_expr));
CAUSEWAY_FIELDS(Container, always("name", &S::name), f("image", &S::image), f("command", &S::command),
                f("args", &S::args), f("workingDir", &S::working_dir), f("ports", &S::ports),
                f("envFrom", &S::env_from), f("env", &S::env), f("resources", &S::resources),
                f("restartPolicy", &S::restart_policy), f("livenessProbe", &S::liveness_probe),
                f("readinessProbe", &S::readiness_probe), f("startupProbe", &S::startup_probe),
                f("lifecycle", &S::lifecycle), f("securityContext", &S::security_context),
                f("volumeMounts", &S::volume_mounts), f("imagePullPolicy", &S::image_pull_policy),
                f("terminationMessagePath", &S::termination_message_path),
                f("terminationMessagePolicy", &S::termination_message_policy));
CAUSEWAY_FIELDS(Toleration, f("key", &S::key), f("operator", &S::op), f("value", &S::value), f("effect", &S::effect),
                f("tolerationSeconds", &S::toleration_seconds));
CAUSEWAY_FIELDS(HostAlias, always("ip", &S::ip), f("hostnames", &S::hostnames));
CAUSEWAY_FIELDS(PodDnsConfigOption, f("name", &S::name), f("value", &S::value));
CAUSEWAY_FIELDS(PodDnsConfig, f("nameservers", &S::nameservers), f("searches", &S::searches),
                f("options", &S::options));
CAUSEWAY_FIELDS(Sysctl, always("name", &S::name), always("value", &S::value));
CAUSEWAY_FIELDS(PodSecurityContext, f("sysctls", &S::sysctls), f("runAsUser", &S::run_as_user),
                f("runAsGroup", &S::run_as_group), f("runAsNonRoot", &S::run_as_non_root), f("fsGroup", &S::fs_group),
                f("supplementalGroups", &S::supplemental_groups));
CAUSEWAY_FIELDS(KeyToPath, always("key", &S::key), always("path", &S::path), f("mode", &S::mode));
CAUSEWAY_FIELDS(ObjectVolume, f("name", &S::name), f("items", &S::items), f("defaultMode", &S::default_mode),
                f("optional", &S::optional));
CAUSEWAY_FIELDS(SecretVolume, f("secretName", &S::name), f("items", &S::items), f("defaultMode", &S::default_mode),
                f("optional", &S::optional));
CAUSEWAY_FIELDS(DownwardApiFile, always("path", &S::path), f("fieldRef", &S::field_ref),
                f("resourceFieldRef", &S::resource_field_ref), f("mode", &S::mode));
CAUSEWAY_FIELDS(DownwardApiVolume, f("items", &S::items), f("defaultMode", &S::default_mode));
CAUSEWAY_FIELDS(VolumeProjection, f("configMap", &S::config_map), f("secret", &S::secret),
                f("downwardAPI", &S::downward_api), f("serviceAccountToken", &S::service_account_token));
CAUSEWAY_FIELDS(ProjectedVolume, f("sources", &S::sources), f("defaultMode", &S::default_mode));
CAUSEWAY_FIELDS(EmptyDirVolume, f("medium", &S::medium), f("sizeLimit", &S::size_limit));
CAUSEWAY_FIELDS(HostPathVolume, always("path", &S::path), f("type", &S::type));
CAUSEWAY_FIELDS(ClaimVolume, always("claimName", &S::claim_name));
CAUSEWAY_FIELDS(Volume, always("name", &S::name), f("emptyDir", &S::empty_dir), f("configMap", &S::config_map),
                f("secret", &S::secret), f("downwardAPI", &S::downward_api), f("projected", &S::projected),
                f("hostPath", &S::host_path), f("persistentVolumeClaim", &S::persistent_volume_claim));
CAUSEWAY_FIELDS(NodeSelectorRequirement, always("key", &S::key), always("operator", &S::op), f("values", &S::values));
CAUSEWAY_FIELDS(NodeSelectorTerm, f("matchExpressions", &S::match_expressions), f("matchFields", &S::match_fields));
CAUSEWAY_FIELDS(NodeSelector, always("nodeSelectorTerms", &S::node_selector_terms));
CAUSEWAY_FIELDS(PreferredSchedulingTerm, always("weight", &S::weight), always("preference", &S::preference));
CAUSEWAY_FIELDS(NodeAffinity, f("requiredDuringSchedulingIgnoredDuringExecution", &S::required),
                f("preferredDuringSchedulingIgnoredDuringExecution", &S::preferred));
CAUSEWAY_FIELDS(PodAffinityTerm, f("labelSelector", &S::label_selector), f("namespaces", &S::namespaces),
                always("topologyKey", &S::topology_key), f("namespaceSelector", &S::namespace_selector));
CAUSEWAY_FIELDS(PodAffinity, f("requiredDuringSchedulingIgnoredDuringExecution", &S::required));
CAUSEWAY_FIELDS(Affinity, f("nodeAffinity", &S::node_affinity), f("podAffinity", &S::pod_affinity),
                f("podAntiAffinity", &S::pod_anti_affinity));
CAUSEWAY_FIELDS(PodReadinessGate, always("conditionType", &S::condition_type));
CAUSEWAY_FIELDS(PodSchedulingGate, always("name", &S::name));
CAUSEWAY_FIELDS(PodSpec, f("initContainers", &S::init_containers), always("containers", &S::containers),
                f("restartPolicy", &S::restart_policy),
                f("terminationGracePeriodSeconds", &S::termination_grace_period_seconds),
                f("dnsPolicy", &S::dns_policy), f("nodeSelector", &S::node_selector),
                f("serviceAccountName", &S::service_account_name), f("nodeName", &S::node_name),
                f("hostNetwork", &S::host_network), f("securityContext", &S::security_context),
                f("hostname", &S::hostname), f("subdomain", &S::subdomain), f("schedulerName", &S::scheduler_name),
                f("tolerations", &S::tolerations), f("hostAliases", &S::host_aliases), f("dnsConfig", &S::dns_config),
                f("readinessGates", &S::readiness_gates), f("schedulingGates", &S::scheduling_gates),
                f("setHostnameAsFQDN", &S::set_hostname_as_fqdn), f("hostnameOverride", &S::hostname_override),
                f("volumes", &S::volumes), f("affinity", &S::affinity),
                f("enableServiceLinks", &S::enable_service_links));
CAUSEWAY_FIELDS(ContainerStateWaiting, f("reason", &S::reason), f("message", &S::message));
CAUSEWAY_FIELDS(ContainerStateRunning, f("startedAt", &S::started_at));
CAUSEWAY_FIELDS(ContainerStateTerminated, always("exitCode", &S::exit_code), f("signal", &S::signal),
                f("reason", &S::reason), f("message", &S::message), f("startedAt", &S::started_at),
                f("finishedAt", &S::finished_at), f("containerID", &S::container_id));
CAUSEWAY_FIELDS(ContainerState, f("waiting", &S::waiting), f("running", &S::running), f("terminated", &S::terminated));
CAUSEWAY_FIELDS(ContainerStatus, always("name", &S::name), always("state", &S::state),
                always("lastState", &S::last_state), always("ready", &S::ready),
                always("restartCount", &S::restart_count), always("image", &S::image), always("imageID", &S::image_id),
                f("containerID", &S::container_id), f("started", &S::started));
CAUSEWAY_FIELDS(IpEntry, always("ip", &S::ip));
CAUSEWAY_FIELDS(PodStatus, f("observedGeneration", &S::observed_generation), f("phase", &S::phase),
                f("conditions", &S::conditions), f("message", &S::message), f("reason", &S::reason),
                f("hostIP", &S::host_ip), f("hostIPs", &S::host_ips), f("podIP", &S::pod_ip), f("podIPs", &S::pod_ips),
                f("startTime", &S::start_time), f("initContainerStatuses", &S::init_container_statuses),
                f("containerStatuses", &S::container_statuses), f("qosClass", &S::qos_class));
CAUSEWAY_FIELDS(Pod, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));

// --- service.h
CAUSEWAY_FIELDS(ServicePort, f("name", &S::name), f("protocol", &S::protocol), f("appProtocol", &S::app_protocol),
                always("port", &S::port), f("targetPort", &S::target_port), f("nodePort", &S::node_port));
CAUSEWAY_FIELDS(ClientIpConfig, f("timeoutSeconds", &S::timeout_seconds));
CAUSEWAY_FIELDS(SessionAffinityConfig, f("clientIP", &S::client_ip));
CAUSEWAY_FIELDS(ServiceSpec, f("ports", &S::ports), f("selector", &S::selector), f("clusterIP", &S::cluster_ip),
                f("clusterIPs", &S::cluster_ips), f("type", &S::type), f("externalIPs", &S::external_ips),
                f("sessionAffinity", &S::session_affinity), f("loadBalancerIP", &S::load_balancer_ip),
                f("loadBalancerSourceRanges", &S::load_balancer_source_ranges), f("externalName", &S::external_name),
                f("externalTrafficPolicy", &S::external_traffic_policy),
                f("healthCheckNodePort", &S::health_check_node_port),
                f("publishNotReadyAddresses", &S::publish_not_ready_addresses),
                f("sessionAffinityConfig", &S::session_affinity_config), f("ipFamilies", &S::ip_families),
                f("ipFamilyPolicy", &S::ip_family_policy),
                f("allocateLoadBalancerNodePorts", &S::allocate_load_balancer_node_ports),
                f("loadBalancerClass", &S::load_balancer_class),
                f("internalTrafficPolicy", &S::internal_traffic_policy),
                f("trafficDistribution", &S::traffic_distribution));
CAUSEWAY_FIELDS(LoadBalancerIngress, f("ip", &S::ip), f("hostname", &S::hostname), f("ipMode", &S::ip_mode));
CAUSEWAY_FIELDS(LoadBalancerStatus, f("ingress", &S::ingress));
CAUSEWAY_FIELDS(ServiceStatus, f("loadBalancer", &S::load_balancer), f("conditions", &S::conditions));
CAUSEWAY_FIELDS(Service, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));
CAUSEWAY_FIELDS(EndpointConditions, f("ready", &S::ready), f("serving", &S::serving),
                f("terminating", &S::terminating));
CAUSEWAY_FIELDS(HintName, always("name", &S::name));
CAUSEWAY_FIELDS(EndpointHints, f("forZones", &S::for_zones), f("forNodes", &S::for_nodes));
CAUSEWAY_FIELDS(SliceEndpoint, always("addresses", &S::addresses), f("conditions", &S::conditions),
                f("hostname", &S::hostname), f("targetRef", &S::target_ref), f("nodeName", &S::node_name),
                f("zone", &S::zone), f("hints", &S::hints));
CAUSEWAY_FIELDS(EndpointPort, f("name", &S::name), f("protocol", &S::protocol), f("port", &S::port),
                f("appProtocol", &S::app_protocol));
CAUSEWAY_FIELDS(EndpointSlice, always("metadata", &S::metadata), always("addressType", &S::address_type),
                always("endpoints", &S::endpoints), always("ports", &S::ports));
CAUSEWAY_FIELDS(EndpointAddress, always("ip", &S::ip), f("hostname", &S::hostname), f("nodeName", &S::node_name),
                f("targetRef", &S::target_ref));
CAUSEWAY_FIELDS(SubsetPort, f("name", &S::name), always("port", &S::port), f("protocol", &S::protocol),
                f("appProtocol", &S::app_protocol));
CAUSEWAY_FIELDS(EndpointSubset, f("addresses", &S::addresses), f("notReadyAddresses", &S::not_ready_addresses),
                f("ports", &S::ports));
CAUSEWAY_FIELDS(Endpoints, always("metadata", &S::metadata), f("subsets", &S::subsets));
CAUSEWAY_FIELDS(ServiceCidrSpec, f("cidrs", &S::cidrs));
CAUSEWAY_FIELDS(ServiceCidrStatus, f("conditions", &S::conditions));
CAUSEWAY_FIELDS(ServiceCidr, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));
CAUSEWAY_FIELDS(ParentReference, f("group", &S::group), f("resource", &S::resource), f("namespace", &S::ns),
                f("name", &S::name));
CAUSEWAY_FIELDS(IpAddressSpec, f("parentRef", &S::parent_ref));
CAUSEWAY_FIELDS(IpAddress, always("metadata", &S::metadata), f("spec", &S::spec));

// --- policy.h
CAUSEWAY_FIELDS(IpBlock, always("cidr", &S::cidr), f("except", &S::except));
CAUSEWAY_FIELDS(NetworkPolicyPeer, f("podSelector", &S::pod_selector), f("namespaceSelector", &S::namespace_selector),
                f("ipBlock", &S::ip_block));
CAUSEWAY_FIELDS(NetworkPolicyPort, f("protocol", &S::protocol), f("port", &S::port), f("endPort", &S::end_port));
CAUSEWAY_FIELDS(NetworkPolicyIngressRule, f("ports", &S::ports), f("from", &S::from));
CAUSEWAY_FIELDS(NetworkPolicyEgressRule, f("ports", &S::ports), f("to", &S::to));
CAUSEWAY_FIELDS(NetworkPolicySpec, always("podSelector", &S::pod_selector), f("ingress", &S::ingress),
                f("egress", &S::egress), f("policyTypes", &S::policy_types));
CAUSEWAY_FIELDS(NetworkPolicy, always("metadata", &S::metadata), f("spec", &S::spec));

// --- config.h
CAUSEWAY_FIELDS(ConfigMap, always("metadata", &S::metadata), f("immutable", &S::immutable), f("data", &S::data),
                f("binaryData", &S::binary_data));
CAUSEWAY_FIELDS(Secret, always("metadata", &S::metadata), f("immutable", &S::immutable), f("data", &S::data),
                f("type", &S::type));

// --- workload.h
CAUSEWAY_FIELDS(ReplicaSetSpec, f("replicas", &S::replicas), f("minReadySeconds", &S::min_ready_seconds),
                always("selector", &S::selector), f("template", &S::pod_template));
CAUSEWAY_FIELDS(ReplicaSetStatus, always("replicas", &S::replicas),
                f("fullyLabeledReplicas", &S::fully_labeled_replicas), f("readyReplicas", &S::ready_replicas),
                f("availableReplicas", &S::available_replicas), f("observedGeneration", &S::observed_generation),
                f("conditions", &S::conditions));
CAUSEWAY_FIELDS(ReplicaSet, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));
CAUSEWAY_FIELDS(RollingUpdateDeployment, f("maxUnavailable", &S::max_unavailable), f("maxSurge", &S::max_surge));
CAUSEWAY_FIELDS(DeploymentStrategy, f("type", &S::type), f("rollingUpdate", &S::rolling_update));
CAUSEWAY_FIELDS(DeploymentSpec, f("replicas", &S::replicas), always("selector", &S::selector),
                f("template", &S::pod_template), f("strategy", &S::strategy),
                f("minReadySeconds", &S::min_ready_seconds), f("revisionHistoryLimit", &S::revision_history_limit),
                f("paused", &S::paused), f("progressDeadlineSeconds", &S::progress_deadline_seconds));
CAUSEWAY_FIELDS(DeploymentStatus, f("observedGeneration", &S::observed_generation), f("replicas", &S::replicas),
                f("updatedReplicas", &S::updated_replicas), f("readyReplicas", &S::ready_replicas),
                f("availableReplicas", &S::available_replicas), f("unavailableReplicas", &S::unavailable_replicas),
                f("conditions", &S::conditions), f("collisionCount", &S::collision_count));
CAUSEWAY_FIELDS(Deployment, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));
CAUSEWAY_FIELDS(RollingUpdateStatefulSet, f("partition", &S::partition), f("maxUnavailable", &S::max_unavailable));
CAUSEWAY_FIELDS(StatefulSetUpdateStrategy, f("type", &S::type), f("rollingUpdate", &S::rolling_update));
CAUSEWAY_FIELDS(StatefulSetOrdinals, f("start", &S::start));
CAUSEWAY_FIELDS(VolumeClaimTemplate, always("metadata", &S::metadata));
CAUSEWAY_FIELDS(StatefulSetSpec, f("replicas", &S::replicas), always("selector", &S::selector),
                f("template", &S::pod_template), f("volumeClaimTemplates", &S::volume_claim_templates),
                always("serviceName", &S::service_name), f("podManagementPolicy", &S::pod_management_policy),
                f("updateStrategy", &S::update_strategy), f("revisionHistoryLimit", &S::revision_history_limit),
                f("minReadySeconds", &S::min_ready_seconds), f("ordinals", &S::ordinals));
CAUSEWAY_FIELDS(StatefulSetStatus, f("observedGeneration", &S::observed_generation), always("replicas", &S::replicas),
                f("readyReplicas", &S::ready_replicas), f("currentReplicas", &S::current_replicas),
                f("updatedReplicas", &S::updated_replicas), f("currentRevision", &S::current_revision),
                f("updateRevision", &S::update_revision), f("collisionCount", &S::collision_count),
                f("conditions", &S::conditions), always("availableReplicas", &S::available_replicas));
CAUSEWAY_FIELDS(StatefulSet, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));
CAUSEWAY_FIELDS(RollingUpdateDaemonSet, f("maxUnavailable", &S::max_unavailable), f("maxSurge", &S::max_surge));
CAUSEWAY_FIELDS(DaemonSetUpdateStrategy, f("type", &S::type), f("rollingUpdate", &S::rolling_update));
CAUSEWAY_FIELDS(DaemonSetSpec, always("selector", &S::selector), f("template", &S::pod_template),
                f("updateStrategy", &S::update_strategy), f("minReadySeconds", &S::min_ready_seconds),
                f("revisionHistoryLimit", &S::revision_history_limit));
CAUSEWAY_FIELDS(DaemonSetStatus, always("currentNumberScheduled", &S::current_number_scheduled),
                always("numberMisscheduled", &S::number_misscheduled),
                always("desiredNumberScheduled", &S::desired_number_scheduled), always("numberReady", &S::number_ready),
                f("observedGeneration", &S::observed_generation),
                f("updatedNumberScheduled", &S::updated_number_scheduled), f("numberAvailable", &S::number_available),
                f("numberUnavailable", &S::number_unavailable), f("collisionCount", &S::collision_count),
                f("conditions", &S::conditions));
CAUSEWAY_FIELDS(DaemonSet, always("metadata", &S::metadata), f("spec", &S::spec), f("status", &S::status));
CAUSEWAY_FIELDS(ControllerRevision, always("metadata", &S::metadata), f("data", &S::data),
                always("revision", &S::revision));

// --- event.h
CAUSEWAY_FIELDS(EventSource, f("component", &S::component), f("host", &S::host));
CAUSEWAY_FIELDS(EventSeries, f("count", &S::count), micro("lastObservedTime", &S::last_observed_time));
CAUSEWAY_FIELDS(Event, always("metadata", &S::metadata), always("involvedObject", &S::involved_object),
                f("reason", &S::reason), f("message", &S::message), f("source", &S::source),
                f("firstTimestamp", &S::first_timestamp), f("lastTimestamp", &S::last_timestamp), f("count", &S::count),
                f("type", &S::type), micro("eventTime", &S::event_time), f("series", &S::series),
                f("action", &S::action), f("related", &S::related), f("reportingComponent", &S::reporting_component),
                f("reportingInstance", &S::reporting_instance));
CAUSEWAY_FIELDS(LeaseSpec, f("holderIdentity", &S::holder_identity),
                f("leaseDurationSeconds", &S::lease_duration_seconds), micro("acquireTime", &S::acquire_time),
                micro("renewTime", &S::renew_time), f("leaseTransitions", &S::lease_transitions));
CAUSEWAY_FIELDS(Lease, always("metadata", &S::metadata), f("spec", &S::spec));

#undef CAUSEWAY_FIELDS

template <class T>
concept Kind = requires { T::kKind; };

}  // namespace causeway::kube::codec
