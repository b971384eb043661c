"""The cluster that the fault cases break: Pods on it, traffic between them, its agents, and what must not be left behind."""
import ipaddress
import json
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import cgroups  # noqa: E402
from harness.plan import Refused, host  # noqa: E402

IMAGE = 'registry.k8s.io/e2e-test-images/agnhost:2.63.0'
PORT = 8080


class Failed(Exception):
    pass


def until(what, seconds, question, why=lambda: ''):
    """The first truthy answer; after the deadline a failure that names what was awaited, and why it is not so."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer, trouble = question(), ''
        except Refused as refused:  # the API server may be away
            answer, trouble = None, str(refused)
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f'not in {seconds} s: {what} {trouble or why()}')
        time.sleep(0.2)


def ready(item):
    return any(c['type'] == 'Ready' and c['status'] == 'True' for c in item['status'].get('conditions', []))


class World:
    def __init__(self, cluster):
        self.cluster = cluster
        self.kubectl, self.get = cluster.kubectl, cluster.control.get

    def machine(self, node):
        return self.cluster.node(node).machine

    # ---- Pods

    def create(self, *names, node):
        self.kubectl('create', '-f', '-', text=json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': [{
            'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'namespace': 'default', 'labels': {'fault': 'pod'}},
            'spec': {'nodeName': node, 'terminationGracePeriodSeconds': 0, 'automountServiceAccountToken': False,
                     'tolerations': [{'operator': 'Exists'}],
                     'containers': [{'name': 'agnhost', 'image': IMAGE, 'args': ['netexec', f'--http-port={PORT}'],
                                     'readinessProbe': {'httpGet': {'path': '/healthz', 'port': PORT}, 'periodSeconds': 1}}]}}
            for name in names]}))

    def pods(self):
        return {p['metadata']['name']: p for p in self.get('pods', '-n', 'default', '-l', 'fault=pod')}

    def wait_ready(self, *names, seconds=120):
        """Their addresses, once all are Ready."""
        def question():
            pods = self.pods()
            return all(n in pods and ready(pods[n]) for n in names) and [pods[n]['status']['podIP'] for n in names]
        return until(f'{" ".join(names)} Ready', seconds, question, self.states)

    def states(self):
        return '; '.join(f'{n}: {p["status"].get("phase")}' for n, p in self.pods().items() if not ready(p)) + ' ' + self.events()[-1000:]

    def events(self, of=''):
        """What Warnings say, of one object or of all."""
        found = [e for e in self.get('events', '-A') if e.get('type') == 'Warning' and of in ('', e['involvedObject']['name'])]
        return ' | '.join(sorted({e.get('message', '') for e in found}))

    def delete(self, *names):
        self.kubectl('delete', 'pod', '-n', 'default', '--wait=true', *names)

    def delete_all(self):
        self.kubectl('delete', 'pod', '-n', 'default', '-l', 'fault=pod', '--wait=true', '--ignore-not-found')

    # ---- traffic

    def dial(self, source, target, seconds=3):
        """Whether the Pod at `source` gets an answer from the Pod at `target`; both are asked through the control plane's wire."""
        at = host(ipaddress.ip_address(source))
        url = f'http://{at}:{PORT}/dial?host={target}&port={PORT}&protocol=http&request=hostname&tries=1'
        done = self.cluster.control.machine.net(['curl', '-sg', '-m', str(seconds), url], check=False)
        return '"responses"' in done.stdout

    def wait_dial(self, source, target, seconds=30):
        until(f'{source} reaches {target}', seconds, lambda: self.dial(source, target))

    # ---- agents

    def agent(self, node):
        return self.process(node, 'agent')

    def process(self, node, command):
        """The pid of the node's `causeway COMMAND`, as the real machine numbers it."""
        for pid in cgroups.pids(self.cluster.name, node):
            try:
                words = open(f'/proc/{pid}/cmdline').read().split('\0')
            except OSError:
                continue
            if os.path.basename(words[0]) == 'causeway' and words[1:2] == [command] and cgroups.alive(pid):
                return pid
        return None

    def kill_agent(self, node):
        pid = until(f'an agent on {node}', 90, lambda: self.agent(node))
        os.kill(pid, signal.SIGKILL)
        return pid

    def page(self, node, path):
        """A page of the node's agent; what it says of itself, with the HTTP status first."""
        done = self.machine(node).net(['curl', '-s', '-m', '5', '-w', '%{http_code}', f'http://127.0.0.1:9470{path}'], check=False)
        return f'{done.stdout[-3:]} {done.stdout[:-3]}'

    def agent_ready(self, node):
        return self.page(node, '/readyz').startswith('200')

    def wait_agent(self, node, seconds=120):
        until(f'the agent of {node} ready', seconds, lambda: self.agent_ready(node), lambda: self.page(node, '/readyz'))

    def agent_log(self, node, previous=False):
        names = [p['metadata']['name'] for p in self.get('pods', '-n', 'causeway') if p['spec'].get('nodeName') == node]
        return ''.join(self.kubectl('logs', '-n', 'causeway', n, *(['-p'] if previous else []), check=False) for n in names)

    def node_condition(self, node, kind):
        for item in self.get('nodes'):
            if item['metadata']['name'] == node:
                return next((c for c in item['status']['conditions'] if c['type'] == kind), {})
        return {}

    def node_ready(self, node):
        return self.node_condition(node, 'Ready').get('status') == 'True'

    def wait_node(self, node, up=True, seconds=120):
        until(f'{node} {"Ready" if up else "not Ready"}', seconds, lambda: self.node_ready(node) == up)

    # ---- what must not stay

    def attached(self, node):
        """(links, namespaces) of Pods on the node, as its kernel has them."""
        machine = self.machine(node)
        links = [line for line in machine.net(['ip', '-o', 'link', 'show', 'type', 'veth']).stdout.splitlines() if ' eth0@' not in line]
        spaces = machine.run(['sh', '-c', 'ls /run/netns 2>/dev/null']).stdout.split()
        return len(links), len(spaces)

    def pods_with_network(self, node):
        return [p for p in self.get('pods', '-A') if p['spec'].get('nodeName') == node and not p['spec'].get('hostNetwork')
                and p['status'].get('phase') in ('Pending', 'Running')]

    def wait_nothing_leaked(self, node, seconds=90):
        """As many links and namespaces as Pods, and no address twice."""
        def wanted():
            return len(self.pods_with_network(node))
        until(f'one link and one namespace for each Pod of {node}', seconds, lambda: self.attached(node) == (wanted(), wanted()),
              lambda: f'links, namespaces {self.attached(node)}, Pods {wanted()}')
        addresses = [a['ip'] for p in self.get('pods', '-A') if not p['spec'].get('hostNetwork') for a in p['status'].get('podIPs', [])
                     if p['status'].get('phase') == 'Running']
        if len(addresses) != len(set(addresses)):
            raise Failed(f'an address was given twice: {sorted(addresses)}')


class Traffic:
    """Asks without end while it is entered; afterwards `failed` of `asked`."""

    def __init__(self, world, source, target):
        self.world, self.source, self.target = world, source, target
        self.asked = self.failed = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            self.asked += 1
            self.failed += not self.world.dial(self.source, self.target)
            self.stop.wait(0.1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def check(self):
        if not self.asked or self.failed:
            raise Failed(f'{self.failed} of {self.asked} requests from {self.source} to {self.target} failed')
