#!/usr/bin/env bash
# ./dev conformance SUITE --stack stock|cni|noproxy|causeway [OPTION…]: runs a suite of upstream's on a real Kubernetes.
# ./dev conformance cni [--focus RE] [--list] [--record]: cnitool, libcni and the CNI plugins' integration suite judge our plugin.
# ./dev conformance policy-data [--plane bpf|netfilter] [--family 4|6] [--suite SUITE] [--only RE]: others' NetworkPolicy cases as data.
#
# SUITE: sig-network (the network tests of Kubernetes' own e2e.test), netpol (those of them that are about NetworkPolicies),
# policy-api (the suite of network-policy-api, about ClusterNetworkPolicies). Brings a cluster up (./dev cluster), runs the suite beside
# its control plane, takes the cluster down. Without --focus every spec of the suite is run, or skipped by a line of
# test/conformance/SUITE.skip, or the run fails; docs/conformance.md gets the result. Exit code 1: something failed.
#
#   --plane P, --fabric F, --ip-family I, --nodes N   the cluster's (--nodes: 3, with --focus 2)
#   --focus RE      only specs whose name matches the (Python) regular expression RE; '\[Conformance\]' are the 47
#   --name NAME     the cluster's name (conformance); one of that name that is up is used as it is, and stays up
#   --keep          leave the cluster up
#   --procs N       specs at once (2); serial ones run alone at the end
#   --timeout M     minutes that the suite may take (150)
#   --record        write a run with --focus to docs/conformance.md too
#   --list          print the specs with what would become of each, and run nothing
#
# policy-data sends packets between Pods of a lab (no real Kubernetes): upstream's 50 Netpol cases, cyclonus' 230 and
# the ClusterNetworkPolicy suite's 24, to Pod addresses and cluster IPs; without --plane and --family on both planes and families. Further: --part K/N (every Nth case from the Kth), --nodes N (2),
# --name NAME, --causeway PROGRAM, --record, --list. Exit code 1: a case failed or did not run.
#
# build/conformance/RUN/: junit.xml, summary.txt, failed/*.log (one for each failed spec, with all that it printed), e2e-*.log.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
case "${1:-}" in -h | --help) help_of "${BASH_SOURCE[0]}"; exit 0 ;; esac
bash tools/dev/setup.sh --quiet
if [[ ${1:-} == cni ]]; then shift; exec python3 test/conformance/cni.py "$@"; fi
if [[ ${1:-} == policy-data ]]; then
  shift
  [[ " $* " == *" --list "* || " $* " == *" --causeway "* ]] || bash tools/dev/build.sh release product
  exec python3 test/conformance/policy/run.py "$@"
fi
exec python3 test/conformance/run.py "$@"
