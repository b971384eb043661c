"""Cases as data: what README.md describes, read, checked, and painted to what is expected of each pair of Pods and port."""
import copy
import dataclasses
import ipaddress
import pathlib
import re

import yaml

import oracle

HERE = pathlib.Path(__file__).resolve().parent
BITS = {4: 32, 6: 128}
STEP = {'add', 'label', 'apply', 'cluster', 'delete', 'remove', 'expect', 'probe'}
STROKE = re.compile(r'^(allow|deny) (\S+) -> (\S+)$')
PROBE = re.compile(r'^(allow|deny) (\S+) -> (\S+) (\S+)$')
BLOCK = re.compile(r'^block\(([^,)]+)(?:, *(\d+))?\)$')


class Bad(Exception):
    """The data cannot be right; the sentence names the place."""


@dataclasses.dataclass
class Case:
    suite: str
    name: str
    world: str
    steps: list
    api: str = ''  # a function of api_cases.py instead of steps
    tags: tuple = ()

    @property
    def families_differ(self):
        """Whether its policies name addresses, so that it is another case in each family."""
        return 'block(' in str(self.steps)


def worlds():
    """{name: {'ports': {name: (protocol, number)}, 'namespaces': {name: labels}, 'pods': {'ns/name': labels}, and of those of the host's network
    'host_network': ['ns/name'], 'host_ports'}}"""
    out = yaml.safe_load((HERE / 'worlds.yaml').read_text())
    for world in out.values():
        for table in ('ports', 'host_ports'):
            world[table] = {name: port_of(text) for name, text in world.get(table, {}).items()}
        world.setdefault('host_network', [])
        for pod in world['pods']:
            if pod.split('/')[0] not in world['namespaces']:
                raise Bad(f'worlds.yaml: {pod} is in no namespace of its world')
    return out


def port_of(text):
    """'80/tcp' -> ('tcp', 80)"""
    number, _, protocol = text.partition('/')
    if protocol not in ('tcp', 'udp', 'sctp') or not number.isdigit():
        raise Bad(f'{text}: wanted NUMBER/tcp, /udp or /sctp')
    return protocol, int(number)


def load(suite):
    """The cases of the files of folder `suite`, in the order of their names."""
    out, known = [], worlds()
    for path in sorted((HERE / suite).glob('*.yaml')):
        where = f'{suite}/{path.name}'
        data = yaml.safe_load(path.read_text())
        if data.get('world') not in known:
            raise Bad(f'{where}: there is no world {data.get("world")}')
        for entry in data['cases']:
            case = Case(suite, f'{data["context"]} {entry["name"]}', data['world'], entry.get('steps', []), entry.get('api', ''))
            check(case, known[case.world], f'{where}: {entry["name"]}')
            out.append(case)
    if len({case.name for case in out}) != len(out):
        raise Bad(f'{suite}: two cases have one name')
    return out


def check(case, world, where):
    if not case.steps and not case.api:
        raise Bad(f'{where}: no steps')
    for step in case.steps:
        if unknown := set(step) - STEP:
            raise Bad(f'{where}: a step has no {", ".join(sorted(unknown))}')
        if 'expect' not in step and 'probe' not in step:
            raise Bad(f'{where}: a step expects nothing')
        try:
            known = {*world['ports'].values(), *world['host_ports'].values()}
            for _, _, port in painted(step, world['pods'], world['ports'].values()):
                if port not in known:
                    raise Bad(f'{port[1]}/{port[0]} is no port of the world')
        except Bad as error:
            raise Bad(f'{where}: {error}') from None


def matching(pattern, pods):
    """`*`, `NS/*` or `NS/POD`."""
    found = [pod for pod in pods if pattern in ('*', pod) or (pattern.endswith('/*') and pod.startswith(pattern[:-1]))]
    if not found:
        raise Bad(f'{pattern} is no Pod of the world')
    return found


def painted(step, pods, ports):
    """{(source, target, port): reached} of what the data itself expects; nothing of a step that leaves it to the oracle. A port of `expect`
    begins with everybody allowed, except a Pod to itself, which is not judged; later strokes paint over earlier ones."""
    out = {}
    if step.get('expect') == 'oracle':
        return out
    for text, strokes in (step.get('expect') or {}).items():
        port = port_of(text)
        if port not in ports:
            raise Bad(f'{text} is no port of the world')
        out.update({(source, target, port): True for source in pods for target in pods if source != target})
        for stroke in strokes:
            if not (parts := STROKE.match(stroke)):
                raise Bad(f'{stroke}: wanted "allow|deny FROM -> TO"')
            for source in matching(parts[2], pods):
                for target in matching(parts[3], pods):
                    if source != target:
                        out[source, target, port] = parts[1] == 'allow'
    for probe in step.get('probe') or []:
        if not (parts := PROBE.match(probe)):
            raise Bad(f'{probe}: wanted "allow|deny FROM -> TO PORT/PROTOCOL"')
        for source in matching(parts[2], pods):
            for target in matching(parts[3], pods):
                out[source, target, port_of(parts[4])] = parts[1] == 'allow'
    return out


def with_addresses(value, pods, family):
    """The value with each "block(POD[, LENGTH])" replaced by the block that holds the Pod's address: the address alone without a length; up to
    16 it is that of either family; above, it is IPv4's, and IPv6's leaves as many bits free."""
    if isinstance(value, dict):
        return {key: with_addresses(entry, pods, family) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_addresses(entry, pods, family) for entry in value]
    if isinstance(value, str) and (parts := BLOCK.match(value)):
        length = int(parts[2] or BITS[4])
        if length > 16:
            length += BITS[family] - BITS[4]
        return str(ipaddress.ip_network(f'{pods[parts[1]].ips[family]}/{length}', strict=False))
    return value


class State:
    """The objects that a case has made so far: what the oracle judges by."""

    def __init__(self, world, ips):
        """`ips`: {'ns/pod': {family: address}}, added to as Pods are."""
        self.ports = {(name, protocol): number for name, (protocol, number) in world['ports'].items()}
        self.ips = ips
        self.objects = oracle.World({}, {}, {})
        self.cluster = {}  # ClusterNetworkPolicies by name; what is expected under them is in the data
        for name, labels in world['namespaces'].items():
            self.namespace(name, labels)
        for key, labels in world['pods'].items():
            self.pod(key, labels)

    def namespace(self, name, labels):
        self.objects.namespaces[name] = {**labels, 'kubernetes.io/metadata.name': name}

    def pod(self, key, labels):
        namespace, name = key.split('/')
        self.objects.pods[key] = oracle.Pod(namespace, name, dict(labels), self.ips[key], self.ports)

    def enact(self, step, family):
        """The step's changes, in the order that README.md gives them; a Pod's address must be in `ips` by now."""
        for key, labels in {**step.get('add', {}), **step.get('label', {})}.items():
            self.pod(key, labels) if '/' in key else self.namespace(key, labels)
        for key, spec in step.get('apply', {}).items():
            self.objects.policies[key] = with_addresses(copy.deepcopy(spec), self.objects.pods, family)
        for name, spec in step.get('cluster', {}).items():
            self.cluster[name] = with_addresses(copy.deepcopy(spec), self.objects.pods, family)
        for key in step.get('delete', []):
            del self.objects.policies[key]
        for key in step.get('remove', []):
            if '/' in key:
                del self.objects.pods[key]
                continue
            del self.objects.namespaces[key]
            for table in (self.objects.pods, self.objects.policies):
                for gone in [entry for entry in table if entry.startswith(key + '/')]:
                    del table[gone]

    def expected(self, step, family):
        """{(source, target, port): reached}: of the data, or of the oracle for every pair and port."""
        pods, ports = self.objects.pods, [(protocol, number) for (_, protocol), number in self.ports.items()]
        if step.get('expect') != 'oracle':
            return painted(step, pods, ports)
        return self.judged(((source, target, port) for source in pods for target in pods for port in ports), family)

    def judged(self, cells, family):
        return {(source, target, port): oracle.allowed(self.objects, source, target, *port, family) for source, target, port in cells}
