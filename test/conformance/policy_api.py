"""The conformance suite of network-policy-api (ClusterNetworkPolicy), a Go test binary: its tests, and how they are run."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import cluster_handle
import ginkgo

PEER = 'network-policy-api'
MODULE = 'sigs.k8s.io/network-policy-api'
CRD = 'config/crd/experimental/policy.networking.k8s.io_clusternetworkpolicies.yaml'
TEST = 'TestConformance'
WATCHED = 'has ClusterNetworkPolicies: they are watched'  # an agent's log
# The binary names its tests only while it runs them. A name that it does not know runs nothing, and is missed by the verdict.
SPECS = sorted([*(f'CNP{tier}Tier{test}' for tier in ('Admin', 'Baseline') for test in (
    'EgressInlineCIDRPeers', 'EgressNamedPort', 'EgressNodePeers', 'EgressSCTP', 'EgressTCP', 'EgressUDP', 'Gress', 'IngressNamedPort',
    'IngressSCTP', 'IngressTCP', 'IngressUDP')), 'CNPAdminTierIntegration', 'CNPAdminTierPriorityField'])
BEGUN = re.compile(rf'^=== RUN +{TEST}/([^/\s]+)')
ENDED = re.compile(rf'^ *--- (PASS|FAIL|SKIP): {TEST}(?:/([^/\s]+))? \((\d+\.\d+)s\)$')
STATES = {'PASS': 'passed', 'FAIL': 'failed', 'SKIP': 'skipped'}


def crd():
    """Where the CRD is, in the module that the suite is built from."""
    done = subprocess.run(['go', '-C', str(cluster_handle.ROOT / 'test/peers/network-policy-api'), 'mod', 'download', '-json', MODULE],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, 'GOTOOLCHAIN': 'local', 'GOFLAGS': '-mod=readonly'})
    if done.returncode:
        raise cluster_handle.ClusterError(f'the CRD of ClusterNetworkPolicy: {(done.stderr or done.stdout).strip()}')
    return os.path.join(json.loads(done.stdout)['Dir'], CRD)


def read(lines):
    """(Outcome of each test that ended, what failed outside tests) of the binary's output with -test.v."""
    said, outcomes, outside, current = {}, [], [], ''
    for line in lines:
        if begun := BEGUN.match(line):
            current = begun[1]
        said.setdefault(current, []).append(line)
        if not (ended := ENDED.match(line)):
            continue
        state, name, seconds = STATES[ended[1]], ended[2], float(ended[3])
        if name:
            output = ''.join(text for text in said.get(name, []))
            wrong = [text.strip() for text in output.splitlines() if 'FAILED' in text or 'Error:' in text or 'Skipping' in text]
            outcomes.append(ginkgo.Outcome(name, state, seconds, '\n'.join(wrong[-8:]) if state != 'passed' else '', output=output))
        elif state == 'failed':
            outside.append(ginkgo.Outcome(TEST, state, seconds, 'it failed before or behind its tests', output=''.join(said.get('', []))))
    # A test that failed fails the whole too, which is told first.
    return outcomes, [] if any(outcome.state == 'failed' for outcome in outcomes) else outside


class Runner:
    """As runner.Runner: one process, as the tests share their Pods."""

    def __init__(self, handle, folder, _procs, timeout):
        self.handle, self.folder, self.timeout = handle, pathlib.Path(folder), timeout

    def wait_for_agents(self):
        """An agent asks twice a minute whether a cluster without the kind has it by now; the suite gives a policy ten seconds."""
        deadline = time.monotonic() + 90
        for agent in self.handle.kubectl('-n', 'causeway', 'get', 'pods', '-l', 'app.kubernetes.io/component=agent', '-o', 'name').split():
            while WATCHED not in self.handle.kubectl('-n', 'causeway', 'logs', agent):
                if time.monotonic() > deadline:
                    raise cluster_handle.ClusterError(f'{agent} does not say that it watches ClusterNetworkPolicies')
                time.sleep(0.5)

    def run(self, specs):
        self.handle.kubectl('apply', '--server-side', '-f', crd())
        self.handle.kubectl('wait', '--for=condition=Established', '--timeout=60s', 'crd/clusternetworkpolicies.policy.networking.k8s.io')
        self.wait_for_agents()
        command = self.handle.inside(cluster_handle.peer(PEER), '-test.v', f'-test.timeout={self.timeout}s', '-all-features',
                                     f'-test.run=^{TEST}$/^({"|".join(specs)})$')
        log = self.folder / 'policy-api.log'
        lines, start = [], time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors='replace', start_new_session=True, env={**os.environ, 'KUBECONFIG': str(self.handle.kubeconfig)})
        try:
            with open(log, 'w') as file:
                for line in process.stdout:
                    lines.append(line)
                    file.write(line)
                    file.flush()
                    # A test is told when all of them have ended; that it is under way is told by the next.
                    if begun := BEGUN.match(line.rstrip('\n')):
                        if line.count('/') == 1:
                            print(f'{time.monotonic() - start:6.1f} s  {begun[1]}', flush=True)
            process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(60)
        outcomes, outside = read(lines)
        if process.returncode and not outside and not any(outcome.state == 'failed' for outcome in outcomes):
            outside.append(ginkgo.Outcome(TEST, 'aborted', 0, f'it ended with exit code {process.returncode}', str(log), ''.join(lines[-200:])))
        return outcomes, outside
