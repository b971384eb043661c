"""What a cluster shall be, as values: options and every address. Pure; nothing here touches the machine."""
import dataclasses
import ipaddress
import re

STACKS = ('stock', 'cni', 'noproxy', 'causeway')
PLANES = ('bpf', 'netfilter')
FABRICS = ('vxlan', 'host-gw', 'auto')
FAMILIES = ('ipv4', 'ipv6', 'dual')
LINES = ('1.34', '1.35', '1.36')
MAX_NODES = 20

_RANGES = {  # family: underlay, Pods, Services
    'ipv4': ('172.30.0.0/24', '10.244.0.0/16', '10.96.0.0/16'),
    'ipv6': ('fd00:172:30::/64', 'fd00:10:244::/56', 'fd00:10:96::/112'),
}


class Refused(Exception):
    """What was asked cannot be done; the message is one sentence for the user."""


@dataclasses.dataclass(frozen=True)
class Options:
    name: str = 'cluster'
    nodes: int = 2
    ip_family: str = 'ipv4'
    stack: str = 'stock'
    plane: str = ''   # of the stacks with Causeway
    fabric: str = ''  # the same
    kubernetes: str = '1.36'

    @property
    def families(self):
        return ('ipv4', 'ipv6') if self.ip_family == 'dual' else (self.ip_family,)

    @property
    def proxy(self):
        """Whether kube-proxy runs."""
        return self.stack in ('stock', 'cni')

    @property
    def own_dns(self):
        """Whether cluster DNS is Causeway's; else CoreDNS runs."""
        return self.stack == 'causeway'


def checked(options):
    """The options with defaults filled in; Refused names what contradicts itself or does not exist yet."""
    if not re.fullmatch(r'[a-z]([a-z0-9-]{0,18}[a-z0-9])?', options.name):
        raise Refused(f'--name "{options.name}": a lower-case letter, then at most 19 letters, digits and hyphens')
    if not 1 <= options.nodes <= MAX_NODES:
        raise Refused(f'--nodes {options.nodes}: from 1 to {MAX_NODES}')
    for flag, value, known in (('--ip-family', options.ip_family, FAMILIES), ('--stack', options.stack, STACKS),
                               ('--kubernetes', options.kubernetes, LINES)):
        if value not in known:
            raise Refused(f'{flag} "{value}": one of {", ".join(known)}')
    if options.stack == 'stock':
        for flag, value in (('--plane', options.plane), ('--fabric', options.fabric)):
            if value:
                raise Refused(f'{flag} {value} means nothing to --stack stock, which runs the reference plugins; choose cni, noproxy or causeway')
        return options
    plane = options.plane or ('netfilter' if options.stack == 'cni' else 'bpf')
    fabric = options.fabric or 'auto'
    if plane not in PLANES:
        raise Refused(f'--plane "{plane}": one of {", ".join(PLANES)}')
    if fabric not in FABRICS:
        raise Refused(f'--fabric "{fabric}": one of {", ".join(FABRICS)}')
    if options.stack == 'cni' and plane == 'bpf':
        raise Refused('--stack cni runs kube-proxy, whose rules packets of the bpf plane never meet; choose --plane netfilter, '
                      'or --stack noproxy')
    return dataclasses.replace(options, plane=plane, fabric=fabric)


class Addresses:
    """Every address of a cluster. Clusters never meet, so all of them have the same."""

    def __init__(self, families):
        self.families = tuple(families)
        nets = [tuple(map(ipaddress.ip_network, _RANGES[f])) for f in self.families]
        self.underlay = [n[0] for n in nets]
        self.pods = [n[1] for n in nets]
        self.services = [n[2] for n in nets]

    def of(self, number):
        """The addresses of a machine on the underlay: gateway 1, control plane 2, node N 10 + N."""
        return [net[number] for net in self.underlay]

    gateway = property(lambda self: self.of(1))
    control = property(lambda self: self.of(2))
    dns = property(lambda self: [net[10] for net in self.services])
    kubernetes_service = property(lambda self: [net[1] for net in self.services])

    def node(self, name):
        return self.of(10 + node_number(name))


def node_names(count):
    return [f'node{i}' for i in range(1, count + 1)]


def node_number(name):
    match = re.fullmatch(r'node([1-9][0-9]?)', name)
    if not match or int(match.group(1)) > MAX_NODES:
        raise Refused(f'"{name}" is no node: nodes are node1 to node{MAX_NODES}')
    return int(match.group(1))


def comma(values):
    return ','.join(map(str, values))


def host(address):
    """An address as it stands in a URL."""
    return f'[{address}]' if address.version == 6 else str(address)
