#!/usr/bin/env python3
"""Prints the table of src/kube/api/schema_table.cc from the Go types of Kubernetes.

usage: kube_schema.py API_MODULE APIMACHINERY_MODULE
       (the folders of k8s.io/api and k8s.io/apimachinery of one release in the Go module cache)

Takes names, types and tags of the fields only; run it when a new release adds fields, and read the difference.
"""
import re
import sys

API, MACHINERY = sys.argv[1:3]
PACKAGES = {
    'core': f'{API}/core/v1/types.go',
    'apps': f'{API}/apps/v1/types.go',
    'networking': f'{API}/networking/v1/types.go',
    'discovery': f'{API}/discovery/v1/types.go',
    'coordination': f'{API}/coordination/v1/types.go',
    'events': f'{API}/events/v1/types.go',
    'autoscaling': f'{API}/autoscaling/v1/types.go',
    'meta': f'{MACHINERY}/pkg/apis/meta/v1/types.go',
}
ALIASES = {'v1': 'core', 'metav1': 'meta', 'corev1': 'core'}
ROOTS = [('core', k) for k in ('Pod', 'Node', 'Namespace', 'Service', 'ConfigMap', 'Secret', 'Event', 'Binding',
                               'Endpoints')] + \
        [('apps', k) for k in ('Deployment', 'ReplicaSet', 'DaemonSet', 'StatefulSet', 'ControllerRevision')] + \
        [('networking', k) for k in ('NetworkPolicy', 'ServiceCIDR', 'IPAddress')] + [('discovery', 'EndpointSlice'), ('coordination', 'Lease'),
         ('events', 'Event'), ('autoscaling', 'Scale'), ('meta', 'Status'), ('meta', 'DeleteOptions')]
SCALARS = {'string': 'string', 'bool': 'bool', 'int32': 'int32', 'int64': 'int64', 'int': 'int32',
           'resource.Quantity': 'quantity', 'intstr.IntOrString': 'intorstring', 'runtime.RawExtension': 'any',
           'Time': 'time', 'MicroTime': 'microtime', 'FieldsV1': 'any', 'types.UID': 'string', 'uint8': 'bytes',
           'types.NodeName': 'string'}

structs, aliases, enums = {}, {}, {}


def load(package, path):
    comment, current, marked_enum = [], None, False
    constants_of = None
    for line in open(path):
        text = line.strip()
        if text.startswith('//'):
            comment.append(text[2:].strip())
            continue
        if current is None:
            if m := re.match(r'type (\w+) struct \{(\})?', text):
                structs[(package, m[1])] = []
                current = None if m[2] else (package, m[1])
            elif m := re.match(r'type (\w+) (map\[\w+\][\w.]+|\[\]\w+|[\w.]+)$', text):
                aliases[(package, m[1])] = m[2]
                if any(c.startswith('+enum') for c in comment):
                    enums[(package, m[1])] = []
            elif m := re.match(r'\w+\s+(\w+)\s*=\s*"([^"]*)"', text):
                enums.get((package, m[1]), []).append(m[2])
        elif text == '}':
            current = None
        elif m := re.match(r'(?:(\w+)\s+)?([\w.\[\]\*]+)\s+`(.*)`', text):
            structs[current].append((m[1], m[2], m[3], list(comment)))
        if text or current is None:
            comment = [] if text else comment
        if not text:
            comment = []


for package, path in PACKAGES.items():
    load(package, path)


def resolve(package, go_type):
    """(container prefix, scalar or struct key, enum values)"""
    go_type = go_type.lstrip('*')
    if go_type.startswith('[]'):
        if go_type == '[]byte':
            return '', 'bytes', []
        prefix, element, enum = resolve(package, go_type[2:])
        return '[]' + prefix, element, enum
    if go_type.startswith('map['):
        prefix, element, enum = resolve(package, go_type[go_type.index(']') + 1:])
        return '{}' + prefix, element, enum
    if go_type in SCALARS:
        return '', SCALARS[go_type], []
    if '.' in go_type:
        alias, name = go_type.split('.')
        if name in SCALARS:
            return '', SCALARS[name], []
        package = ALIASES[alias]
    else:
        name = go_type
    if (package, name) in structs:
        return '', (package, name), []
    prefix, element, _ = resolve(package, aliases[(package, name)])
    return prefix, element, enums.get((package, name), [])


def name_of(key):
    package, name = key
    return name if package in ('core', 'meta') else f'{package}.{name}'


done, queue = set(), list(ROOTS)
while queue:
    key = queue.pop(0)
    if key in done:
        continue
    done.add(key)
    lines = []

    def fields(key):
        for name, go_type, tags, comment in structs[key]:
            tag = re.search(r'json:"([^"]*)"', tags)
            if not tag:
                continue
            json_name, *options = tag[1].split(',')
            prefix, element, enum = resolve(key[0], go_type)
            if 'inline' in options or (not json_name and name is None):
                if element != ('meta', 'TypeMeta'):
                    fields(element)
                else:
                    lines.append(' apiVersion string')
                    lines.append(' kind string')
                continue
            required = 'omitempty' not in options and 'omitzero' not in options and \
                not any(c.startswith('+optional') for c in comment)
            text = f' {json_name} {prefix}' + (name_of(element) if isinstance(element, tuple) else element)
            if required:
                text += ' required'
            if enum:
                text += ' enum=' + '|'.join(enum)
            strategy = re.search(r'patchStrategy:"([^"]*)"', tags)
            merge_key = re.search(r'patchMergeKey:"([^"]*)"', tags)
            if strategy and 'merge' in strategy[1]:
                text += ' merge' + (f'={merge_key[1]}' if merge_key else '')
            if strategy and 'retainKeys' in strategy[1]:
                text += ' retainkeys'
            keys = [c.split('=')[1] for c in comment if c.startswith('+listMapKey=')]
            if keys:
                text += ' keys=' + ','.join(keys)
            elif any(c.startswith('+listType=set') for c in comment):
                text += ' set'
            lines.append(text)
            if isinstance(element, tuple):
                queue.append(element)

    fields(key)
    print(name_of(key))
    print('\n'.join(lines))
