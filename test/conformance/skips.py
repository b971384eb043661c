"""The skip list of a suite: which specs are not run on which cluster, and why.

A line is `CLASS [KEY=VALUE,…]… :: PATTERN :: REASON`. PATTERN is a regular expression that is searched in a spec's full name;
KEY is one of `stack`, `plane`, `fabric`, `ip_family`, `nodes`: the line then counts only on clusters with one of the values. A line
that matches no spec of the suite is an error: names change with Kubernetes' versions, and a skip must not outlive its spec.
"""
import dataclasses
import re

# Why a spec may be skipped at all. What a suite finds in our network is not a reason: it is mended.
CLASSES = {
    'sctp': 'needs SCTP sockets, which the kernel of a test machine need not have',
    'internet': 'needs the Internet',
    'cloud-load-balancer': 'needs the load balancer of a cloud',
    'gce': 'needs Google\'s cloud',
    'control-plane': 'needs SSH to a node, or restarts the control plane as Pods',
    'iptables-only': 'reads what only kube-proxy\'s iptables mode has',
    'more-nodes': 'needs more than three nodes',
    'close-wait': 'reads the kernel\'s own connection table for a connection of a Pod',
    'network-policy': 'needs NetworkPolicy, which the reference plugins do not have, and Causeway had not when they were skipped',
    'coredns-configmap': 'rewrites CoreDNS\' ConfigMap',
    'not-ours': 'judges plugins of the CNI project with none of ours among them',
    'optional-feature': 'judges an optional part of an API that is not there yet',
    'ip-family': 'needs another IP family, and is judged by the run with it',
}
KEYS = ('stack', 'plane', 'fabric', 'ip_family', 'nodes')


class Bad(Exception):
    """The list cannot be right; the sentence names the line."""


@dataclasses.dataclass(frozen=True)
class Skip:
    line: int
    reason_class: str
    conditions: tuple  # ((key, (value, …)), …)
    pattern: re.Pattern
    reason: str

    def applies(self, cluster):
        """`cluster`: {key: value} with the keys of KEYS."""
        return all(str(cluster.get(key)) in values for key, values in self.conditions)


def parse(text, name):
    skips = []
    for number, line in enumerate(text.split('\n'), 1):
        if not line.strip() or line.startswith('#'):
            continue
        where = f'{name}:{number}'
        parts = [part.strip() for part in line.split(' :: ')]
        if len(parts) != 3 or not all(parts):
            raise Bad(f'{where}: wanted "CLASS [KEY=VALUE,…]… :: PATTERN :: REASON"')
        reason_class, *conditions = parts[0].split()
        if reason_class not in CLASSES:
            raise Bad(f'{where}: there is no class {reason_class} ({" ".join(CLASSES)})')
        parsed = []
        for condition in conditions:
            key, equals, values = condition.partition('=')
            if key not in KEYS or not equals or not values:
                raise Bad(f'{where}: wanted KEY=VALUE,… with a KEY of {" ".join(KEYS)}, not {condition}')
            parsed.append((key, tuple(values.split(','))))
        try:
            pattern = re.compile(parts[1])
        except re.error as error:
            raise Bad(f'{where}: {parts[1]} is no regular expression: {error}') from error
        skips.append(Skip(number, reason_class, tuple(parsed), pattern, parts[2]))
    return skips


def split(specs, skips, cluster, name):
    """(specs to run, {spec: Skip}) of all specs of a suite on this cluster; refuses a list with a line that matches nothing."""
    for skip in skips:
        if not any(skip.pattern.search(spec) for spec in specs):
            raise Bad(f'{name}:{skip.line}: no spec of the suite matches {skip.pattern.pattern}')
    skipped = {}
    for spec in specs:
        for skip in skips:
            if skip.applies(cluster) and skip.pattern.search(spec):
                skipped[spec] = skip
                break
    return [spec for spec in specs if spec not in skipped], skipped
