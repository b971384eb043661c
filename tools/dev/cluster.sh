#!/usr/bin/env bash
# ./dev cluster COMMAND: a real Kubernetes on this machine, each node a set of namespaces with containerd and kubelet.
#
#   up [--name cluster] [--nodes 2] [--ip-family ipv4|ipv6|dual] [--kubernetes 1.34|1.35|1.36] [--stack STACK]
#      [--plane bpf|netfilter] [--fabric vxlan|host-gw|auto]     makes, completes or repairs the cluster
#        stock      reference plugins (bridge, host routes), kube-proxy (nftables), CoreDNS
#        cni        Causeway as the Pod network on its netfilter plane, beside kube-proxy and CoreDNS
#        noproxy    Causeway without kube-proxy (plane bpf, or netfilter), CoreDNS beside it
#        causeway   Causeway alone: Pods, Services and DNS by deploy/causeway.yaml and nothing else
#   down [--name N | --all]          leaves nothing
#   ls                               clusters, machines, what runs in them
#   kubectl [--name N] ARGUMENT…     as administrator
#   node MACHINE [--name N] [-- COMMAND]     in a machine's namespaces: control, switch, node1, node2 …
#   logs MACHINE [PROGRAM]           what a program said
#   env                              the same as JSON, for programs
#   add [NODE] | remove NODE | reboot NODE | cut NODE | join NODE
#   start | stop | kill MACHINE PROGRAM      containerd kubelet kube-proxy; on control: etcd kube-apiserver …
#
# Needs ./dev peers cluster; stacks with Causeway need ./dev image. docs/cluster.md says how it is made.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case "${1:-}" in
  "" | -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;;
esac
[[ $1 != up ]] || bash "$root/tools/dev/setup.sh" --quiet --with cluster
# No cd: kubectl's -f FILE is relative to where the user is.
export PYTHONPATH=$root/test/cluster PYTHONDONTWRITEBYTECODE=1
exec python3 -m harness "$@"
