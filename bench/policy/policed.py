"""A lab with so many policies and Pods as a figure wants, the programs of the bench in its Pods, and the compiler without a lab."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import subprocess
import sys
import threading
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.argv[1:] = [os.environ.get('CAUSEWAY') or str(ROOT / 'build/release/apps/causeway'), *sys.argv[1:]]
sys.path[:0] = [str(ROOT / 'test/lab')]
import lab  # noqa: E402

PROBE = ROOT / 'build/release/bench/policy/bench_policy'
COLD = PROBE.with_name('bench_policy_cold')
POLICIES = '/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies'
PORT = 7200
WRITERS = 4


class BenchError(Exception):
    pass


def check_call(done, what):
    if done.returncode:
        raise BenchError(f'{what}: exit {done.returncode}: {done.stdout}{done.stderr}')
    return done.stdout


def parts(*arguments):
    """What it costs an agent, part by part and without a lab: {name: milliseconds of CPU, or megabytes}."""
    done = subprocess.run([COLD, *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False)
    lines = check_call(done, f'bench_policy_cold {" ".join(map(str, arguments))}').splitlines()
    return {line[:40].strip(): float(line[40:]) for line in lines}


class Link:
    """A connection to the API server that stays open."""

    def __init__(self, one):
        where = urllib.parse.urlsplit(one.server)
        self.token, self.link = one.token, http.client.HTTPSConnection(where.hostname, where.port, context=one.tls, timeout=120)

    def ask(self, method, path, body=None, content_type='application/json'):
        self.link.request(method, path, body and json.dumps(body), {'Authorization': f'Bearer {self.token}', 'Content-Type': content_type})
        answer = self.link.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise BenchError(f'{method} {path}: {answer.status} {text[:300]}')
        return json.loads(text)


class Cluster(lab.Lab):
    def __init__(self, name, plane, nodes):
        super().__init__(f'bpol-{name}-{plane[:3]}', '--nodes', str(nodes), '--plane', plane)
        self.programs = []

    def __exit__(self, *_):
        for program in self.programs:
            program.kill()
        super().__exit__()

    def write(self, requests):
        """[(method, path, body)] by a few connections."""
        def some(part):
            link = Link(self)
            for method, path, body in part:
                link.ask(method, path, body, 'application/merge-patch+json' if method == 'PATCH' else 'application/json')
        with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(some, [requests[i::WRITERS] for i in range(WRITERS)]))

    def make_namespace(self, name):
        self.api('POST', '/api/v1/namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': name}})

    def fill(self, ns, policies, pods):
        """Policies for every Pod of the namespace, each from a Pod of its own; Pods on a node that the lab does not have."""
        self.write([('POST', f'/api/v1/namespaces/{ns}/pods', {
            'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': f'far-{i}', 'labels': {'app': f'n{i}'}},
            'spec': {'nodeName': 'elsewhere', 'containers': [{'name': 'c', 'image': 'none'}]}}) for i in range(pods)])
        self.write([('PATCH', f'/api/v1/namespaces/{ns}/pods/far-{i}/status', {'status': {
            'phase': 'Running', 'podIP': ip, 'podIPs': [{'ip': ip}]}}) for i in range(pods) for ip in [f'10.{200 + (i >> 16)}.{i >> 8 & 255}.{i & 255}']])
        self.write([('POST', POLICIES.format(ns), policy(f'for-{i:05}', [{'podSelector': {'matchLabels': {'app': f'n{i}'}}}]))
                    for i in range(policies)])

    def pod_ip(self, ns, name, node, labels=None):
        self.create_pod(name, ns=ns, nodeName=node, labels=labels)
        return self.wait_ready(name, 60, ns)['status']['podIP']

    def start(self, ns, pod, *command, **options):
        program = subprocess.Popen([lab.CAUSEWAY, 'lab', 'exec', '--name', self.name, f'{ns}/{pod}', '--', PROBE, *map(str, command)],
                                   text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options)
        self.programs.append(program)
        return program

    def serve(self, ns, pod, how='serve'):
        program = self.start(ns, pod, how, PORT)
        if program.stdout.readline() != 'serving\n':
            raise BenchError(f'{pod} does not serve')
        return program

    def probe(self, ns, pod, *arguments):
        return check_call(self.exec(f'{ns}/{pod}', PROBE, *map(str, arguments), check=False, timeout=300), f'{pod}: {" ".join(map(str, arguments))}')

    def metric(self, node, text):
        out = self.exec(node, 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock', 'http://x/metrics', timeout=20).stdout
        return next((float(line.rsplit(' ', 1)[1]) for line in out.splitlines() if line.startswith(text + ' ')), 0)

    def has_rows(self, node, count, seconds=300):
        lab.until(f'{node} has {count} verdicts', seconds, lambda: self.metric(node, 'causeway_policy_rows{table="verdicts"}') >= count)


def policy(name, peers, subject=None):
    return {'apiVersion': 'networking.k8s.io/v1', 'kind': 'NetworkPolicy', 'metadata': {'name': name}, 'spec': {
        'podSelector': subject or {}, 'policyTypes': ['Ingress'], 'ingress': [{'from': peers}] if peers else []}}


class Listener:
    """The gaps of what a Pod hears: [(last before, first after)] in seconds of CLOCK_MONOTONIC."""

    def __init__(self, program):
        self.gaps = []
        self.thread = threading.Thread(target=self.read, args=(program,), daemon=True)
        self.thread.start()

    def read(self, program):
        for line in program.stdout:
            self.gaps.append(tuple(int(word) / 1e9 for word in line.split()))
