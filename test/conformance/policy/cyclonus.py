"""cyclonus' 230 generated cases, made anew: one base policy, varied in who it is about, whom it admits and on which ports; pairs of policies
that contradict each other; objects that come, change and go. What is expected is the oracle's, as cyclonus' own verdicts have two defects
(NotIn rejects objects without the key; matchLabels with an empty value accepts them), which would be seen in none of these cases."""
import itertools

from cases import Case

GROUPS = {'targets': 6, 'rules': 4, 'peers': 112, 'ports': 70, 'example': 1, 'actions': 6, 'conflicts': 16, 'namespaces': 2, 'upstream': 13}
TOTAL = 230
WAYS = {'ingress': 'from', 'egress': 'to'}
DNS = {'ports': [{'protocol': 'UDP', 'port': 53}, {'protocol': 'TCP', 'port': 53}]}


def labels(**pairs):
    return {'matchLabels': pairs}


def among(key, *values, operator='In'):
    return {'matchExpressions': [{'key': key, 'operator': operator, 'values': list(values)}]}


def base(way=None, namespace='x', selector=None, **rule):
    """x/a takes TCP 80 of b and c in x and y, and opens TCP 80 of a and b in y and z, and DNS; `rule` replaces parts of that rule of `way`."""
    spec = {
        'podSelector': labels(pod='a') if selector is None else selector, 'policyTypes': ['Ingress', 'Egress'],
        'ingress': [{'ports': [{'port': 80, 'protocol': 'TCP'}],
                     'from': [{'podSelector': among('pod', 'b', 'c'), 'namespaceSelector': among('ns', 'x', 'y')}]}],
        'egress': [{'ports': [{'port': 80, 'protocol': 'TCP'}],
                    'to': [{'podSelector': among('pod', 'a', 'b'), 'namespaceSelector': among('ns', 'y', 'z')}]}, DNS]}
    if 'peers' in rule:
        spec[way][0][WAYS[way]] = rule['peers']
    if 'ports' in rule:
        spec[way][0]['ports'] = rule['ports']
    if 'rules' in rule:
        spec[way] = rule['rules']
    return {f'{namespace}/base': spec}


def step(**changes):
    return {**changes, 'expect': 'oracle'}


def one(name, policies, *tags):
    return Case('cyclonus', name, 'letters', [step(apply=policies)], tags=tags)


def targets():
    for namespace in 'xyz':
        yield one(f'set namespace to {namespace}', base(namespace=namespace), 'target-namespace')
    for text, selector in (('everything', {}), ('pod=a', labels(pod='a')), ('pod in (a, b)', among('pod', 'a', 'b'))):
        yield one(f'set pod selector to {text}', base(selector=selector), 'target-pod-selector')


def rules():
    for way in ('egress', 'ingress'):
        yield one(f'{way}: deny all', base(way, rules=[]), way, 'deny-all')
        yield one(f'{way}: allow all', base(way, rules=[{}]), way, 'allow-all')


PEERS = {
    'empty pods + nil ns': {'podSelector': {}},
    'pods by label + nil ns': {'podSelector': labels(pod='c')},
    'nil pods + empty ns': {'namespaceSelector': {}},
    'empty pods + empty ns': {'podSelector': {}, 'namespaceSelector': {}},
    'pods by label + empty ns': {'podSelector': labels(pod='c'), 'namespaceSelector': {}},
    'nil pods + ns by label': {'namespaceSelector': labels(ns='x')},
    'empty pods + ns by label': {'podSelector': {}, 'namespaceSelector': labels(ns='x')},
    'pods by label + ns by label': {'podSelector': labels(pod='c'), 'namespaceSelector': labels(ns='x')},
    'simple ipblock': {'ipBlock': {'cidr': 'block(z/c, 24)'}},
    'ipblock with except': {'ipBlock': {'cidr': 'block(z/c, 24)', 'except': ['block(z/c, 28)']}},
}


def peers():
    for way in ('ingress', 'egress'):
        yield one(f'{way}: empty peers', base(way, peers=[]), way, 'any-peer')
    for way in ('ingress', 'egress'):
        for text, peer in PEERS.items():
            yield one(f'{way}: {text}', base(way, peers=[peer]), way, 'peer')
    for way in ('ingress', 'egress'):
        for (first, peer), (second, other) in itertools.combinations(PEERS.items(), 2):
            yield one(f'{way}, 2-peer: {first}, {second}', base(way, peers=[peer, other]), way, 'multi-peer')


def port(protocol=None, number=None, end=None):
    return {key: value for key, value in (('protocol', protocol), ('port', number), ('endPort', end)) if value is not None}


def text_of(entry):
    return f'{entry.get("protocol", "any protocol")} {entry.get("port", "any port")}' + (f'-{entry["endPort"]}' if 'endPort' in entry else '')


SINGLE_PORTS = ([port(protocol, number) for protocol in (None, 'TCP', 'UDP', 'SCTP') for number in (None, 80, 81)]
                + [port(protocol, f'serve-{number}-{protocol.lower()}') for protocol in ('TCP', 'UDP', 'SCTP') for number in (80, 81)]
                + [port(protocol, 53, end) for protocol in ('TCP', 'UDP', 'SCTP') for end in (80, 84)])
STRANGE_PORTS = {"a named port that doesn't match its protocol": port('TCP', 'serve-81-udp'),
                 "a named port that isn't served": port('TCP', 'serve-7981-udp'), "a numbered port that isn't served": port('TCP', 7981)}
PORT_PAIRS = [[port(), port(number=80)], [port(), port(number='serve-80-tcp')], [port(), port('UDP')], [port(number=80), port(number=81)],
              [port(number=80), port(number='serve-81-tcp')], [port(number=80), port('UDP', 'serve-81-udp')],
              [port('UDP', 80), port('UDP', 'serve-81-udp')]]


def ports():
    for way in ('egress', 'ingress'):
        yield one(f'{way}: empty port/protocol', base(way, ports=[]), way, 'any-port-protocol')
    for way in ('egress', 'ingress'):
        for entry in SINGLE_PORTS:
            yield one(f'{way}: {text_of(entry)}', base(way, ports=[entry]), way, 'port')
        for text, entry in STRANGE_PORTS.items():
            yield one(f'{way}: open {text}', base(way, ports=[entry]), way, 'pathological')
    for way in ('egress', 'ingress'):
        for pair in PORT_PAIRS:
            yield one(f'{way}: {", ".join(map(text_of, pair))}', base(way, ports=pair), way, 'multi-port/protocol')


def all_groups():
    import cyclonus_more as more
    return {'targets': targets, 'rules': rules, 'peers': peers, 'ports': ports, 'example': more.example, 'actions': more.actions,
            'conflicts': more.conflicts, 'namespaces': more.namespaces, 'upstream': more.upstream}


def cases():
    """All 230, named by group and number; refuses to be any other count."""
    out, count = [], itertools.count(1)
    for group, make in all_groups().items():
        made = list(make())
        if len(made) != GROUPS[group]:
            raise AssertionError(f'cyclonus has {GROUPS[group]} cases of {group}, not {len(made)}')
        for case in made:
            case.name = f'{next(count):03} {group}: {case.name}'
        out += made
    assert len(out) == TOTAL
    return out
