"""The harness itself, on the reference stack: made, used, killed, repaired, rebooted, and gone without a trace.

Usage: harness_test.py [ipv4|ipv6|dual]. Needs ./dev peers cluster. Each case stands on the ones before it.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from harness import cgroups, cluster as clusters  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.plan import Refused  # noqa: E402

NAME, SECOND = 'harness', 'harness-2'
FAMILY = sys.argv[1] if len(sys.argv) > 1 else 'ipv4'
IMAGE = 'registry.k8s.io/e2e-test-images/agnhost:2.63.0'


def trace():
    """What a cluster must not leave behind, as this machine shows it now."""
    def lines(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    names = (NAME, SECOND)
    processes = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            text = open(f'/proc/{pid}/cgroup').read()
        except OSError:
            continue
        # What is dead and not yet reaped by the machine's init holds nothing.
        if any(f'/{clusters.cgroups.TOP}/{n}/' in text for n in names) and cgroups.alive(int(pid)):
            processes.append(pid)
    tops = [cgroups.v2(), *cgroups.v1().values(), clusters.BASE]
    return {'links': sorted(re.sub(r'^\d+: ', '', line).split()[0] for line in lines('ip', '-o', 'link')),
            'mounts': sorted(line.split()[1] for line in open('/proc/self/mounts') if clusters.BASE.name in line),
            'namespaces': sorted(os.listdir('/run/netns')) if os.path.isdir('/run/netns') else [],
            'folders': sorted(str(top / n) for top in tops for n in names if (top / n).exists()), 'processes': processes}


def command(*words):
    return [sys.executable, '-m', 'harness', *words]


def run(*words, check=True):
    done = subprocess.run(command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600,
                          env={**os.environ, 'PYTHONPATH': str(HERE)})
    if check and done.returncode:
        raise AssertionError(f'./dev cluster {" ".join(words)}: exit {done.returncode}: {done.stdout[-500:]}{done.stderr}')
    return done


def up():
    run('up', '--name', NAME, '--ip-family', FAMILY)
    return Cluster.load(NAME)


def case_up_gives_ready_nodes_pods_services_and_names():
    there = up()
    pod = {'image': IMAGE, 'name': 'c', 'args': ['netexec']}
    there.kubectl('apply', '-f', '-', text=json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': [
        *({'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': f'p{i}', 'labels': {'pod': f'p{i}'}},
           'spec': {'nodeName': f'node{i}', 'terminationGracePeriodSeconds': 0, 'containers': [pod]}} for i in (1, 2)),
        {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'p2'}, 'spec': {
            'ipFamilyPolicy': 'PreferDualStack', 'selector': {'pod': 'p2'}, 'ports': [{'port': 80, 'targetPort': 8080}]}}]}))
    there.kubectl('wait', '--for=condition=Ready', 'pod/p1', 'pod/p2', '--timeout=60s')
    reaches(there)


def reaches(there):
    """By Service and name from node to node, and from the API server to a Pod. A Service's rules may be a moment late."""
    for flag in {'ipv4': ('-4',), 'ipv6': ('-6',), 'dual': ('-4', '-6')}[FAMILY]:
        there.wait_for(f'p1 reaches p2 by the name of its Service ({flag})', lambda f=flag: there.kubectl(
            'exec', 'p1', '--', 'curl', f, '-s', '-m', '3', 'http://p2.default.svc.cluster.local/hostname', check=False) == 'p2', 60)
    assert there.kubectl('get', '--raw', '/api/v1/namespaces/default/pods/p2:8080/proxy/hostname') == 'p2'


def case_up_again_changes_nothing():
    def pids():
        there = Cluster.load(NAME)
        return {(m.name, p): m.running(p) for m in (there.control.machine, *(n.machine for n in there.nodes())) for p in cgroups.names(NAME, m.name)}
    before = pids()
    up()
    assert pids() == before and any(before.values()), (before, pids())


def case_up_repairs_what_was_killed():
    there = Cluster.load(NAME)
    for machine, program in (('control', 'etcd'), ('control', 'kube-apiserver'), ('control', 'kube-scheduler'), ('node1', 'containerd'),
                             ('node1', 'kubelet'), ('node2', 'kube-proxy')):
        there.any_machine(machine).kill(program)
    os.kill(there.any_machine('node2').up(), signal.SIGKILL)  # all of the node goes with its pid 1
    reaches(up())


def case_containers_outlive_their_containerd():
    there = Cluster.load(NAME)
    node = there.node('node1')
    before = json.loads(there.kubectl('get', 'pod', 'p1', '-o', 'json'))['status']['containerStatuses'][0]['containerID']
    node.machine.kill('containerd')
    node.start_containerd()
    there.wait_ready()
    after = json.loads(there.kubectl('get', 'pod', 'p1', '-o', 'json'))['status']['containerStatuses'][0]['containerID']
    assert before == after, (before, after)


def case_a_rebooted_node_comes_back():
    run('reboot', '--name', NAME, 'node1')
    there = Cluster.load(NAME)
    there.connect()
    there.wait_ready()
    reaches(there)


def case_other_options_on_the_same_name_are_refused():
    done = run('up', '--name', NAME, '--ip-family', 'ipv6' if FAMILY != 'ipv6' else 'ipv4', check=False)
    assert done.returncode == 1 and 'take it down first' in done.stderr and done.stderr.count('\n') == 1, done.stderr
    done = run('kubectl', '--name', 'nobody', 'get', 'pods', check=False)
    assert done.returncode == 1 and 'there is no cluster nobody' in done.stderr and done.stderr.count('\n') == 1, done.stderr


def case_down_after_a_killed_up():
    for seconds in (0.3, 1.5, 6):
        process = subprocess.Popen(command('up', '--name', SECOND), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, 'PYTHONPATH': str(HERE)})
        time.sleep(seconds)
        process.kill()
        process.wait()
        run('down', '--name', SECOND)
        left = [f for f in trace()['folders'] if f.endswith(SECOND)]
        assert not left, left


def case_down_leaves_nothing():
    run('down', '--name', NAME)
    now = trace()
    assert now == BEFORE, {k: (BEFORE[k], now[k]) for k in now if now[k] != BEFORE[k]}
    assert run('down', '--name', NAME).stdout == f'{NAME}: there is nothing of it\n'


def main():
    global BEFORE
    for name in (NAME, SECOND):
        clusters.down(name)  # what a killed run left
    BEFORE = trace()
    passed = failed = 0
    for name, function in [(n[5:].replace('_', ' '), f) for n, f in globals().items() if n.startswith('case_')]:
        start = time.monotonic()
        try:
            function()
            passed += 1
            print(f'ok   {name} ({time.monotonic() - start:.0f} s)', flush=True)
        except Exception as error:
            failed += 1
            print(f'FAIL {name} ({time.monotonic() - start:.0f} s)\n{error if isinstance(error, Refused) else traceback.format_exc()}', flush=True)
    for name in (NAME, SECOND):
        clusters.down(name)
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
