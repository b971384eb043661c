"""The configuration files of a node's programs, as text. Pure."""
from .plan import comma

SANDBOX = 'registry.k8s.io/pause:3.10.2'


def containerd():
    """Version 3; what is not said is containerd's default."""
    return f'''version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[metrics]
  address = "127.0.0.1:1338"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{SANDBOX}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE nobody may lower an oom_score_adj, and every sandbox would fail.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/opt/cni/bin"]
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    SystemdCgroup = false
'''


def kubelet(addresses, runtime):
    """The node is root of its cgroup namespace, hence no cgroupRoot. Its disk is the real machine's, so no Pod is evicted for what others fill."""
    return f'''apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{runtime}
clusterDomain: cluster.local
clusterDNS: [{", ".join(f'"{a}"' for a in addresses.dns[:1])}]
resolvConf: /etc/resolv.conf
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: /etc/kubernetes/ca.crt}}
authorization: {{mode: Webhook}}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: true
volumeStatsAggPeriod: 10s
evictionHard:
  memory.available: "0%"
  nodefs.available: "0%"
  nodefs.inodesFree: "0%"
  imagefs.available: "0%"
  imagefs.inodesFree: "0%"
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
makeIPTablesUtilChains: false
maxPods: 120
# Fault tests kill what runs again and again; minutes of back-off would be all that they see.
featureGates: {{KubeletCrashLoopBackOffMax: true}}
crashLoopBackOff: {{maxContainerRestartPeriod: 2s}}
'''


def kube_proxy(name, own, addresses):
    """Block YAML: a file that begins with a brace would be read as JSON. Conntrack's sizes belong to the real machine."""
    return f'''apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: {name}
clientConnection:
  kubeconfig: /etc/kubernetes/kube-proxy.kubeconfig
clusterCIDR: "{comma(addresses.pods)}"
bindAddress: "{'0.0.0.0' if own[0].version == 4 else '::'}"
conntrack:
  maxPerCore: 0
  min: 0
'''
