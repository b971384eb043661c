"""cyclonus' cases of more than one policy or step: what contradicts, what changes, and its own copies of upstream's."""
from cases import Case
from cyclonus import DNS, among, base, labels, one, step

NOBODY = {'ipBlock': {'cidr': '0.0.0.0/31'}}
NO_POD = {'namespaceSelector': labels(**{'this-will-never-happen': 'qrs123'})}
EVERYWHERE, EVERY_POD = {'ipBlock': {'cidr': '0.0.0.0/0'}}, {'namespaceSelector': {}}


def case(name, *steps, tags=()):
    return Case('cyclonus', name, 'letters', list(steps), tags=tags)


def policy(way, pod, rules):
    return {'podSelector': labels(pod=pod), 'policyTypes': [way.capitalize()], way: rules}


def admitting(way, *peers):
    return [{'to' if way == 'egress' else 'from': list(peers)}]


def conflicts():
    """cyclonus says of some that they are about who is asked, and applies them to x/b like the others."""
    dns = {'x/allow-dns': policy('egress', 'b', [DNS])}
    yield one('deny all from source, allow all to dest',
              {'x/deny-all-egress': policy('egress', 'b', []), 'y/allow-all-ingress': policy('ingress', 'c', [{}]), **dns}, 'conflict')
    yield one('allow all from source, deny all to dest',
              {'x/allow-all-egress': policy('egress', 'b', [{}]), 'y/deny-all-ingress': policy('ingress', 'c', []), **dns}, 'conflict')
    yield one('deny all + allow all from same source',
              {'x/deny-all-egress': policy('egress', 'b', []), 'x/allow-all-egress': policy('egress', 'b', [{}]), **dns}, 'conflict')
    yield one('deny all + allow all to same dest',
              {'y/deny-all-ingress': policy('ingress', 'c', []), 'y/allow-all-ingress': policy('ingress', 'c', [{}])}, 'conflict')
    for way in ('egress', 'ingress'):
        more = dns if way == 'egress' else {}
        for text, first, second in (('deny all + allow all by pod', [], EVERY_POD), ('deny all + allow all by IP', [], EVERYWHERE),
                                    ('deny all by IP + allow all by pod', admitting(way, NOBODY), EVERY_POD),
                                    ('deny all by pod + allow all by IP', admitting(way, NO_POD), EVERYWHERE)):
            yield one(f'{way}: {text}', {f'x/deny-all-{way}': policy(way, 'b', first),
                                         f'x/allow-all-{way}': policy(way, 'b', admitting(way, second)), **more}, 'conflict')
    for way in ('egress', 'ingress'):
        more = dns if way == 'egress' else {}
        for text, peer in (('IP', NOBODY), ('pod', NO_POD)):
            yield one(f'{way}: deny all by {text}', {f'x/deny-all-{way}': policy(way, 'b', admitting(way, peer)), **more}, 'conflict')


def namespaces():
    for way in ('ingress', 'egress'):
        yield one(f'{way}: select namespace by default label',
                  base(way, peers=[{'namespaceSelector': labels(**{'kubernetes.io/metadata.name': 'z'})}]), way)


def actions():
    yield case('create/delete policy', step(apply=base()), step(delete=['x/base']))
    yield case('create/update policy', step(apply=base()),
               step(apply=base('ingress', ports=[{'protocol': 'UDP', 'port': 'serve-81-udp'}])))
    yield case('create/delete namespace', step(apply=base()), step(add={'y-2': {'ns': 'y'}, 'y-2/a': {'pod': 'a'}, 'y-2/b': {'pod': 'b'}}),
               step(remove=['y-2']))
    yield case('update namespace so that policy applies, then again so it no longer applies',
               step(apply=base('ingress', peers=[{'namespaceSelector': labels(**{'new-ns': 'qrs'})}])),
               step(label={'y': {'ns': 'y', 'new-ns': 'qrs'}}), step(label={'y': {'ns': 'y'}}))
    yield case('create/delete pod', step(apply=base()), step(add={'x/d': {'pod': 'd'}}), step(remove=['x/d']))
    yield case('update pod so that policy applies, then again so it no longer applies',
               step(apply=base('ingress', peers=[{'podSelector': labels(**{'new-label': 'abc'}), 'namespaceSelector': among('ns', 'y', 'z')}])),
               step(label={'y/b': {'pod': 'b', 'new-label': 'abc'}}), step(label={'y/b': {'pod': 'b'}}))


def ingress(selector, *rules):
    return {'podSelector': selector, 'policyTypes': ['Ingress'], 'ingress': list(rules)}


def example():
    yield case('should allow ingress access on one named port',
               step(apply={'x/allow-all': ingress({}, {'ports': [{'port': 'serve-81-tcp'}]})}), step(add={'w': {'ns': 'w'}, 'w/a': {'pod': 'a'}}),
               step(remove=['w/a']), step(remove=['w']), step(), step(), step())


def upstream():
    a, both = labels(pod='a'), {'policyTypes': ['Ingress', 'Egress']}
    of_y = {'from': [{'namespaceSelector': labels(ns='y')}]}
    of_x_a = {'from': [{'namespaceSelector': labels(ns='x'), 'podSelector': a}]}
    yield one("should support a 'default-deny-ingress' policy", {'x/deny-ingress': ingress({})})
    yield one("should support a 'default-deny-all' policy", {'x/deny-all-allow-dns': {'podSelector': {}, **both, 'ingress': [], 'egress': [DNS]}})
    yield one('should enforce policy based on Multiple PodSelectors and NamespaceSelectors', {'x/allow-ns-y-z-pod-b-c': ingress(
        a, {'from': [{'namespaceSelector': among('ns', 'x', operator='NotIn'), 'podSelector': among('pod', 'b', 'c')}]})})
    yield case('should enforce multiple, stacked policies with overlapping podSelectors',
               step(apply={'x/allow-81': ingress(a, {**of_y, 'ports': [{'port': 81, 'protocol': 'TCP'}]})}), step(),
               step(apply={'x/allow-80': ingress(a, {**of_y, 'ports': [{'port': 80, 'protocol': 'TCP'}]})}))
    yield case('should support allow-all policy', step(apply={'x/allow-all': ingress({'matchLabels': {}}, {})}), step())
    yield case('should allow ingress access on one named port',
               step(apply={'x/allow-all': ingress({'matchLabels': {}}, {'ports': [{'port': 'serve-81-tcp'}]})}), step())
    yield case('should enforce updated policy', step(apply={'x/mutate': ingress({'matchLabels': {}}, {})}),
               step(apply={'x/mutate': ingress({'matchLabels': {}})}))
    yield case('should allow ingress access from updated namespace',
               step(apply={'x/allow': ingress(a, {'from': [{'namespaceSelector': labels(ns2='updated')}]})}),
               step(label={'y': {'ns': 'y', 'ns2': 'updated'}}))
    yield case('should allow ingress access from updated pod',
               step(apply={'x/allow': ingress(a, {'from': [{'podSelector': labels(pod='b', pod2='updated')}]})}),
               step(label={'x/b': {'pod': 'b', 'pod2': 'updated'}}))
    yield case('should deny ingress access to updated pod', step(apply={'x/deny': ingress(labels(target='isolated'))}),
               step(label={'x/a': {'target': 'isolated'}}))
    yield case('should work with Ingress, Egress specified together', step(apply={'x/allow': {
        'podSelector': a, **both, 'ingress': [{'from': [{'podSelector': labels(pod='b')}]}],
        'egress': [{'ports': [{'port': 80}, {'protocol': 'UDP', 'port': 53}]}]}}), step())
    yield one('should support denying of egress traffic on the client side (even if the server explicitly allows this traffic)', {
        'x/allow-to-ns-y-pod-a': {'podSelector': a, 'policyTypes': ['Egress'], 'egress': [
            {'to': [{'namespaceSelector': labels(ns='y'), 'podSelector': a}]}, {'ports': [{'protocol': 'UDP', 'port': 53}]}]},
        'y/allow-from-xa-on-ya': ingress(a, of_x_a), 'y/allow-from-xa-on-yb': ingress(labels(pod='b'), of_x_a)})
    yield case('should stop enforcing policies after they are deleted',
               step(apply={'x/deny-all': {'podSelector': {}, **both, 'ingress': [], 'egress': []}}), step(delete=['x/deny-all']))
