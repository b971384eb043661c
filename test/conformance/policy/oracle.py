"""Who may open what to whom under NetworkPolicies (networking.k8s.io/v1): the API's text read object by object, policy by policy. It shares
nothing with src/policy, and is slow on purpose. Numbers in brackets are the statements of docs/policy.md's list or of the API's text
(k8s.io/api/networking/v1 types.go); selectors are those of apimachinery (labels/selector.go)."""
import dataclasses
import ipaddress


@dataclasses.dataclass
class Pod:
    namespace: str
    name: str
    labels: dict
    ips: dict  # {4: address, 6: address}
    ports: dict  # {(name, protocol): number}, protocols in lower case

    @property
    def key(self):
        return f'{self.namespace}/{self.name}'


@dataclasses.dataclass
class World:
    namespaces: dict  # name -> labels
    pods: dict  # 'namespace/name' -> Pod
    policies: dict  # 'namespace/name' -> spec


def requirement_holds(requirement, labels):
    key, values = requirement['key'], requirement.get('values', [])
    match requirement['operator']:
        case 'In':
            return key in labels and labels[key] in values
        case 'NotIn':  # also of an object without the key
            return key not in labels or labels[key] not in values
        case 'Exists':
            return key in labels
        case 'DoesNotExist':
            return key not in labels
    raise ValueError(f'operator {requirement["operator"]}')


def selects(selector, labels):
    """An empty selector selects everything; all parts must hold; the empty value is a value, so the key must be there."""
    return (all(key in labels and labels[key] == value for key, value in (selector.get('matchLabels') or {}).items())
            and all(requirement_holds(requirement, labels) for requirement in selector.get('matchExpressions') or []))


def in_block(block, address):
    ip, net = ipaddress.ip_address(address), ipaddress.ip_network(block['cidr'])
    if ip.version != net.version or ip not in net:  # a family for itself
        return False
    return not any(ip in hole for hole in map(ipaddress.ip_network, block.get('except') or []) if hole.version == ip.version)


def peer_matches(peer, policy_namespace, world, pod, family):
    if 'ipBlock' in peer:
        return in_block(peer['ipBlock'], pod.ips[family])
    if 'namespaceSelector' in peer:
        if not selects(peer['namespaceSelector'], world.namespaces[pod.namespace]):
            return False
    elif pod.namespace != policy_namespace:  # podSelector alone: its own namespace
        return False
    return selects(peer.get('podSelector') or {}, pod.labels)


def port_matches(port, destination, protocol, number):
    if port.get('protocol', 'TCP').lower() != protocol:
        return False
    if 'port' not in port:
        return True
    if isinstance(port['port'], str):  # a name of the destination's, with its protocol
        return destination.ports.get((port['port'], protocol)) == number
    return port['port'] <= number <= port.get('endPort', port['port'])


def types_of(spec):
    """Absent policyTypes: Ingress, and Egress where there is an egress rule."""
    return spec.get('policyTypes') or ['Ingress'] + (['Egress'] if spec.get('egress') else [])


def admits(world, direction, subject, other, destination, protocol, number, family):
    """Whether `subject` is not isolated in this direction, or some rule of a policy that selects it admits `other`."""
    rules_key, peers_key = ('ingress', 'from') if direction == 'Ingress' else ('egress', 'to')
    isolated = False
    for key, spec in world.policies.items():
        namespace = key.split('/')[0]
        if namespace != subject.namespace or direction not in types_of(spec) or not selects(spec.get('podSelector') or {}, subject.labels):
            continue
        isolated = True
        for rule in spec.get(rules_key) or []:
            peers, ports = rule.get(peers_key) or [], rule.get('ports') or []
            if ((not peers or any(peer_matches(peer, namespace, world, other, family) for peer in peers))
                    and (not ports or any(port_matches(port, destination, protocol, number) for port in ports))):
                return True
    return not isolated


def allowed(world, source, target, protocol, number, family):
    """Whether `source` may open protocol/number of `target` (keys of Pods). A Pod reaches itself."""
    if source == target:
        return True
    client, server = world.pods[source], world.pods[target]
    return (admits(world, 'Egress', client, server, server, protocol, number, family)
            and admits(world, 'Ingress', server, client, server, protocol, number, family))
