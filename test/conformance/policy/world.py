"""The world of a suite in a lab: its Pods once, their Services, a prober in each; objects as steps change them, by the API; and the word of the
agents that what was written is in the kernel."""
import itertools
import pathlib
import re
from concurrent.futures import ThreadPoolExecutor

import cases
import lab
from place import SCTP_PACKETS, Place

PROBER = SCTP_PACKETS + (pathlib.Path(__file__).resolve().parent / 'prober.py').read_text()
POLICIES = '/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies'
CLUSTER_POLICIES = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies'
MERGE = 'application/merge-patch+json'
OWN = 'causeway.test/pod'  # what Services select by: a step may take a Pod's other labels away
FEED = re.compile(r'^watch (\S+): .*resourceVersion (\d+)', re.M)
ACKNOWLEDGED = re.compile(r'^(?:policy|service|fabric) acknowledged (\d+) of (\d+)', re.M)


def settled(page, wanted):
    """Whether an agent has heard of resourceVersions {kind: number}, and its kernel has all that it heard of."""
    heard = {kind: int(version) for kind, version in FEED.findall(page)}
    if missing := set(wanted) - set(heard):
        raise AssertionError(f'the agent watches no {", ".join(sorted(missing))}:\n{page}')
    acknowledged = ACKNOWLEDGED.findall(page)
    return bool(acknowledged) and all(have == all_ for have, all_ in acknowledged) and all(heard[kind] >= wanted[kind] for kind in wanted)


def path_of(policy):
    namespace, _, name = policy.rpartition('/')
    return f'{POLICIES.format(namespace) if namespace else CLUSTER_POLICIES}/{name}'


class World:
    def __init__(self, one, name, nodes):
        """`one`: a Lab that is up, of two families; `name`: of worlds.yaml."""
        self.lab, self.name, self.data, self.nodes = one, name, cases.worlds()[name], nodes
        self.places, self.agents, self.ips, self.services, self.numbers = {}, {}, {}, {}, {}
        self.sentinel = f'sentinel-{name}'  # objects that are changed last, so that the watches show how far they are
        self.turns, self.pool = itertools.count(1), ThreadPoolExecutor(32)

    def up(self):
        for namespace, labels in {**self.data['namespaces'], self.sentinel: {}}.items():
            self.make_namespace(namespace, labels)
        self.put_policy(f'{self.sentinel}/{self.sentinel}', {'podSelector': {}}, False)
        if self.data.get('cluster_policies'):
            nobody = {'namespaces': {'matchLabels': {'kubernetes.io/metadata.name': self.sentinel}}}
            self.put_policy(self.sentinel, {'tier': 'Admin', 'priority': 1000, 'subject': nobody}, False)
        self.add_pods(self.data['pods'])
        for number in range(1, self.nodes + 1):
            self.agents[f'node-{number}'] = Place(lab.CAUSEWAY, self.lab.name, f'node-{number}', PROBER)
            self.agents[f'node-{number}'].start()

    def down(self):
        self.pool.shutdown(wait=False, cancel_futures=True)
        for place in (*self.places.values(), *self.agents.values()):
            place.end()

    # ---- objects

    def make_namespace(self, name, labels):
        self.lab.api('POST', '/api/v1/namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': name, 'labels': labels}})

    def add_pods(self, pods):
        """Made, ready, answering, and behind a Service each."""
        for key, labels in pods.items():
            namespace, name = key.split('/')
            number = self.numbers.setdefault(key, len(self.numbers) + 1)
            self.lab.create_pod(name, [{'command': ['sleep', 'infinity'], 'ports': [
                {'name': text, 'containerPort': port, 'protocol': protocol.upper()} for text, (protocol, port) in self.ports_of(key).items()]}],
                ns=namespace, labels={**labels, OWN: key.replace('/', '-')}, nodeName=f'node-{number % self.nodes + 1}',
                terminationGracePeriodSeconds=0, hostNetwork=key in self.data['host_network'])
        for key in pods:
            namespace, name = key.split('/')
            pod = self.lab.wait_ready(name, ns=namespace)
            self.ips[key] = {6 if ':' in entry['ip'] else 4: entry['ip'] for entry in pod['status']['podIPs']}
            self.places[key] = Place(lab.CAUSEWAY, self.lab.name, key, PROBER)
            if key not in self.data['host_network']:
                self.make_service(key, self.data['ports'])
        for key in pods:
            self.places[key].start()
            self.places[key].ask('serve', name=key, number=self.numbers[key], ports=list(self.ports_of(key).values()))

    def ports_of(self, key):
        return self.data['host_ports' if key in self.data['host_network'] else 'ports']

    def make_service(self, key, ports):
        namespace, name = key.split('/')
        made = self.lab.api('POST', f'/api/v1/namespaces/{namespace}/services', {
            'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': name}, 'spec': {
                'selector': {OWN: key.replace('/', '-')}, 'ipFamilyPolicy': 'RequireDualStack',
                'ports': [{'name': text, 'port': port, 'protocol': protocol.upper()} for text, (protocol, port) in ports.items()]}})
        self.services[key] = {6 if ':' in ip else 4: ip for ip in made['spec']['clusterIPs']}

    def relabel(self, key, labels, before):
        """Just these labels, besides those that are not the case's."""
        patch = {'metadata': {'labels': {**{gone: None for gone in before if gone not in labels}, **labels}}}
        namespace, _, name = key.partition('/')
        self.lab.api('PATCH', f'/api/v1/namespaces/{namespace}' + (f'/pods/{name}' if name else ''), patch, MERGE)

    def put_policy(self, key, spec, there):
        """A NetworkPolicy (NS/NAME) or ClusterNetworkPolicy (NAME)."""
        namespace, _, name = key.rpartition('/')
        kind = ('networking.k8s.io/v1', 'NetworkPolicy') if namespace else ('policy.networking.k8s.io/v1alpha2', 'ClusterNetworkPolicy')
        body = {'apiVersion': kind[0], 'kind': kind[1], 'metadata': {'name': name}, 'spec': spec}
        if there:
            body['metadata']['resourceVersion'] = self.lab.api('GET', path_of(key))['metadata']['resourceVersion']
        self.lab.api(*(('PUT', path_of(key)) if there else ('POST', path_of(key).rpartition('/')[0])), body)

    def delete_policy(self, key):
        try:
            self.lab.api('DELETE', path_of(key))
        except lab.ApiError as error:
            if error.code != 404:
                raise

    def remove(self, key):
        namespace, _, name = key.partition('/')
        gone = [pod for pod in self.places if pod == key or pod.startswith(namespace + '/') and not name]
        for pod in gone:
            self.places.pop(pod).end()
            self.services.pop(pod)
        if not name:
            self.lab.api('DELETE', f'/api/v1/namespaces/{namespace}')
            lab.until(f'namespace {namespace} gone', 20, lambda: self.absent(f'/api/v1/namespaces/{namespace}'))
            return
        self.lab.api('DELETE', f'/api/v1/namespaces/{namespace}/services/{name}')
        self.lab.delete_pod(name, namespace, 0)
        self.lab.wait_gone(name, ns=namespace)

    def absent(self, path):
        try:
            self.lab.api('GET', path)
        except lab.ApiError as error:
            return error.code == 404
        return False

    def enact(self, step, state, family):
        """The step's changes, at the API and in `state`, in the order that README.md gives them."""
        before = state.objects
        for key, labels in step.get('add', {}).items():
            if '/' not in key:
                self.make_namespace(key, labels)
        self.add_pods({key: labels for key, labels in step.get('add', {}).items() if '/' in key})
        for key, labels in step.get('label', {}).items():
            old = before.pods[key].labels if '/' in key else before.namespaces[key]
            self.relabel(key, labels, [name for name in old if name != 'kubernetes.io/metadata.name'])
        there = {*before.policies, *state.cluster}
        state.enact(step, family)
        for key in step.get('apply', {}):
            self.put_policy(key, state.objects.policies[key], key in there)
        for name in step.get('cluster', {}):
            self.put_policy(name, state.cluster[name], name in there)
        for key in step.get('delete', []):
            self.delete_policy(key)
        for key in step.get('remove', []):
            self.remove(key)

    def restore(self, state):
        """As it was before the case, whatever the case did."""
        for key in (*state.objects.policies, *state.cluster):
            self.delete_policy(key)
        for key in [pod for pod in self.places if pod not in self.data['pods']]:
            self.remove(key)
        for name, labels in state.objects.namespaces.items():
            if name not in self.data['namespaces']:
                self.remove(name)
            elif labels != {**self.data['namespaces'][name], 'kubernetes.io/metadata.name': name}:
                self.relabel(name, self.data['namespaces'][name], [label for label in labels if label != 'kubernetes.io/metadata.name'])
        for key, labels in self.data['pods'].items():
            if state.objects.pods[key].labels != labels:
                self.relabel(key, labels, state.objects.pods[key].labels)

    # ---- what the agents say

    def settle(self):
        """Every node has in its kernel what was written until now. Each watch is in order, so the last change of each kind tells."""
        patch = {'metadata': {'annotations': {'causeway.test/turn': str(next(self.turns))}}}
        pod = next(iter(self.data['pods'])).replace('/', '/pods/')
        last = {'networkpolicies': path_of(f'{self.sentinel}/{self.sentinel}'), 'pods': f'/api/v1/namespaces/{pod}',
                'namespaces': f'/api/v1/namespaces/{self.sentinel}'}
        if self.data.get('cluster_policies'):
            last['clusternetworkpolicies'] = path_of(self.sentinel)
        wanted = {kind: int(self.lab.api('PATCH', path, patch, MERGE)['metadata']['resourceVersion']) for kind, path in last.items()}
        for node, place in self.agents.items():
            lab.until(f'the agent of {node} has {wanted} in its kernel', 20, lambda: settled(place.ask('page', path='/feed'), wanted))

    def pages(self):
        return '\n'.join(f'---- {node} {path}\n{place.ask("page", path=path)}' for node, place in self.agents.items() for path in ('/feed', '/policy'))

    # ---- packets

    def probe(self, questions, timeout):
        """Asks [(number, source, protocol, host, port), ...] from all Pods at once; ({number: outcome}, numbers that reached some Pod)."""
        by_source = {}
        for number, source, *question in questions:
            by_source.setdefault(source, []).append([number, *question])
        asked = [self.pool.submit(self.places[source].ask, 'probe', questions=mine, timeout=timeout) for source, mine in by_source.items()]
        outcomes = {int(number): outcome for one in asked for number, outcome in one.result().items()}
        heard = [self.pool.submit(place.ask, 'reached') for place in self.places.values()]
        return outcomes, {number for one in heard for number in one.result()}
