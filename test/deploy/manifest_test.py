#!/usr/bin/env python3
"""ctest `manifest`: what deploy/*.yaml sets are flags of our programs, and its image is the one that `./dev image` builds.

usage: manifest_test.py CAUSEWAY
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

from node import main  # noqa: E402  (the runner only)

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAUSEWAY = sys.argv[1]
DOCUMENTS = [d for name in ('causeway.yaml', 'controller.yaml') for d in yaml.safe_load_all((ROOT / 'deploy' / name).read_text())]
# Those that an administrator adds are in comments.
COMMENTED = re.findall(r'\b(CAUSEWAY_[A-Z0-9_]+)', ''.join((ROOT / 'deploy' / n).read_text() for n in ('causeway.yaml', 'controller.yaml', 'README.md')))


def one(kind, name=None):
    found = [d for d in DOCUMENTS if d['kind'] == kind and name in (None, d['metadata']['name'])]
    assert len(found) == 1, f'{kind} {name}: {len(found)}'
    return found[0]


def containers():
    for kind in ('DaemonSet', 'Deployment'):
        spec = one(kind)['spec']['template']['spec']
        yield from spec.get('initContainers', []) + spec['containers']


def flags(command):
    text = subprocess.run([CAUSEWAY, command, '--help'], check=True, text=True, stdout=subprocess.PIPE).stdout
    return set(re.findall(r'--[a-z0-9][a-z0-9-]*', text)), set(re.findall(r'CAUSEWAY_[A-Z0-9_]+', text))


def test_every_setting_is_a_flag_of_a_program():
    known = set()
    for command in ('agent', 'controller', 'install-cni'):
        known |= flags(command)[1]
    settings = {k for k in one('ConfigMap')['data'] if k.startswith('CAUSEWAY_')} | set(COMMENTED) - {'CAUSEWAY_SOME_FLAG', 'CAUSEWAY_SETTINGS'}
    assert 'CAUSEWAY_FABRIC' in settings and settings <= known, settings - known


def test_every_argument_is_a_flag_of_its_command():
    for container in containers():
        command, *arguments = container['args']
        names, variables = flags(command)
        assert {a.split('=')[0] for a in arguments} <= names, (command, arguments)
        assert {e['name'] for e in container.get('env', [])} <= variables | {'CAUSEWAY_SETTINGS'}, container['env']


def test_the_programs_take_the_settings_from_the_environment():
    for variable, text in (('CAUSEWAY_FABRIC', 'no such fabric'), ('CAUSEWAY_CLUSTER_CIDR', 'nonsense')):
        done = subprocess.run([CAUSEWAY, 'agent'], env={variable: text}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode != 0 and text in done.stdout, done.stdout


def test_the_programs_take_the_settings_from_a_folder():
    """As kubelet mounts a ConfigMap: links to ..data, which is a link to a folder."""
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / '..2026'
        data.mkdir()
        (data / 'CAUSEWAY_FABRIC').write_text('no such fabric\n')
        (data / 'README.md').write_text('no variable')
        (pathlib.Path(folder) / '..data').symlink_to('..2026')
        for name in ('CAUSEWAY_FABRIC', 'README.md'):
            (pathlib.Path(folder) / name).symlink_to(f'..data/{name}')

        def agent(**environment):
            return subprocess.run([CAUSEWAY, 'agent'], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        done = agent(CAUSEWAY_SETTINGS=folder)
        assert done.returncode != 0 and 'no such fabric' in done.stdout, done.stdout
        done = agent(CAUSEWAY_SETTINGS=folder, CAUSEWAY_FABRIC='another one')  # what the container itself says wins
        assert 'another one' in done.stdout, done.stdout
        done = agent(CAUSEWAY_SETTINGS=folder + '/nowhere')
        assert done.returncode == 1 and folder + '/nowhere' in done.stdout, done.stdout


def test_every_container_reads_the_configmap_from_a_volume():
    """With envFrom kubelet cannot start a container again while the API server is away."""
    for kind in ('DaemonSet', 'Deployment'):
        spec = one(kind)['spec']['template']['spec']
        volumes = {v['name']: v for v in spec['volumes']}
        for container in spec.get('initContainers', []) + spec['containers']:
            assert 'envFrom' not in container, container['name']
            (path,) = [e['value'] for e in container['env'] if e['name'] == 'CAUSEWAY_SETTINGS']
            (mount,) = [m for m in container['volumeMounts'] if m['mountPath'] == path]
            assert volumes[mount['name']]['configMap']['name'] == one('ConfigMap')['metadata']['name']


def test_the_image_is_the_one_that_is_built():
    name = subprocess.run(['bash', ROOT / 'tools/dev/image.sh', '--name'], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    assert {c['image'] for c in containers()} == {name}, name


def test_the_probes_ask_where_the_programs_answer():
    for container in containers():
        names = {'agent': 9470, 'controller': 9471}
        for probe in ('livenessProbe', 'readinessProbe'):
            if probe in container:
                assert container[probe]['httpGet']['port'] == names[container['name']]
                assert container[probe]['httpGet']['host'] == '127.0.0.1'
    text = subprocess.run([CAUSEWAY, 'agent', '--help'], check=True, text=True, stdout=subprocess.PIPE).stdout
    assert '127.0.0.1:9470' in text


def test_every_account_that_a_pod_uses_is_made_and_bound():
    for kind in ('DaemonSet', 'Deployment'):
        name = one(kind)['spec']['template']['spec']['serviceAccountName']
        one('ServiceAccount', name)
        for binding in (d for d in DOCUMENTS if d['kind'] in ('ClusterRoleBinding', 'RoleBinding') and d['metadata']['name'] == name):
            assert binding['subjects'] == [{'kind': 'ServiceAccount', 'name': name, 'namespace': 'causeway'}]
            role = binding['roleRef']
            assert any(d['kind'] == role['kind'] and d['metadata']['name'] == role['name'] and
                       d['metadata'].get('namespace') == binding['metadata'].get('namespace') for d in DOCUMENTS), binding


if __name__ == '__main__':
    main(sys.modules[__name__])
