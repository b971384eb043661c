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


def pods():
    """The Pod templates' specs."""
    return [d['spec']['template']['spec'] for d in DOCUMENTS if d['kind'] in ('DaemonSet', 'Deployment')]


def containers():
    for spec in pods():
        yield from spec.get('initContainers', []) + spec['containers']


def of_dns():
    return one('DaemonSet', 'causeway-dns')['spec']['template']['spec']['containers'][0]


def flags(command):
    text = subprocess.run([CAUSEWAY, command, '--help'], check=True, text=True, stdout=subprocess.PIPE).stdout
    return set(re.findall(r'--[a-z0-9][a-z0-9-]*', text)), set(re.findall(r'CAUSEWAY_[A-Z0-9_]+', text))


def test_every_setting_is_a_flag_of_a_program():
    known = set()
    for command in ('agent', 'controller', 'install-cni'):
        known |= flags(command)[1]
    settings = {k for k in one('ConfigMap', 'causeway')['data'] if k.startswith('CAUSEWAY_')} | set(COMMENTED) - {'CAUSEWAY_SOME_FLAG', 'CAUSEWAY_SETTINGS'}
    assert 'CAUSEWAY_FABRIC' in settings and settings <= known, settings - known


def test_every_argument_is_a_flag_of_its_command():
    for container in containers():
        command, *arguments = container['args']
        names, variables = flags(command)
        assert {a.split('=')[0] for a in arguments} <= names, (command, arguments)
        assert {e['name'] for e in container.get('env', [])} <= variables | {'CAUSEWAY_SETTINGS', 'HOST_IPS'}, container['env']


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
    for spec in pods():
        volumes = {v['name']: v for v in spec['volumes']}
        for container in spec.get('initContainers', []) + spec['containers']:
            assert 'envFrom' not in container, container['name']
            if container['name'] == 'dns':  # its settings are the Corefile, in a volume too
                assert volumes['corefile']['configMap']['name'] == one('ConfigMap', 'causeway-dns')['metadata']['name']
                continue
            (path,) = [e['value'] for e in container['env'] if e['name'] == 'CAUSEWAY_SETTINGS']
            (mount,) = [m for m in container['volumeMounts'] if m['mountPath'] == path]
            assert volumes[mount['name']]['configMap']['name'] == one('ConfigMap', 'causeway')['metadata']['name']


def test_the_image_is_the_one_that_is_built():
    name = subprocess.run(['bash', ROOT / 'tools/dev/image.sh', '--name'], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    assert {c['image'] for c in containers()} == {name}, name


def test_the_probes_ask_where_the_programs_answer():
    for container in containers():
        names = {'agent': (9470, 9470), 'controller': (9471, 9471), 'dns': (9472, 9473)}
        for i, probe in enumerate(('livenessProbe', 'readinessProbe')):
            if probe in container:
                assert container[probe]['httpGet']['port'] == names[container['name']][i]
                assert container[probe]['httpGet']['host'] == '127.0.0.1'
    text = subprocess.run([CAUSEWAY, 'agent', '--help'], check=True, text=True, stdout=subprocess.PIPE).stdout
    assert '127.0.0.1:9470' in text


def test_every_account_that_a_pod_uses_is_made_and_bound():
    for spec in pods():
        name = spec.get('serviceAccountName')
        if not name:
            assert spec['automountServiceAccountToken'] is False, 'a Pod with rights that nobody looked at'
            continue
        one('ServiceAccount', name)
        for binding in (d for d in DOCUMENTS if d['kind'] in ('ClusterRoleBinding', 'RoleBinding') and d['metadata']['name'] == name):
            assert binding['subjects'] == [{'kind': 'ServiceAccount', 'name': name, 'namespace': 'causeway'}]
            role = binding['roleRef']
            assert any(d['kind'] == role['kind'] and d['metadata']['name'] == role['name'] and
                       d['metadata'].get('namespace') == binding['metadata'].get('namespace') for d in DOCUMENTS), binding


def test_cluster_dns_is_one_address_of_the_service_range():
    service = one('Service', 'kube-dns')
    listen = next(a for a in of_dns()['args'] if a.startswith('--listen=')).removeprefix('--listen=').split(',')
    assert listen[:2] == ['$(HOST_IPS)', service['spec']['clusterIP']] and service['spec']['clusterIP'].endswith('.0.10')
    labels = one('DaemonSet', 'causeway-dns')['spec']['template']['metadata']['labels']
    assert service['spec']['selector'].items() <= labels.items() and service['metadata']['namespace'] == 'kube-system'
    settings = one('ConfigMap', 'causeway')['data']
    assert settings['CAUSEWAY_DNS'] == 'true' and settings['CAUSEWAY_CLUSTER_DNS'] == service['spec']['clusterIP']


def test_the_part_that_is_cluster_dns_can_be_left_out_by_its_label():
    part = [(d['kind'], d['metadata']['name']) for d in DOCUMENTS if d['metadata'].get('labels', {}).get('app.kubernetes.io/component') == 'dns']
    assert part == [('ConfigMap', 'causeway-dns'), ('Service', 'kube-dns'), ('DaemonSet', 'causeway-dns')], part


def test_causeway_dns_takes_the_corefile_and_answers_its_probes():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'Corefile'
        path.write_text(one('ConfigMap', 'causeway-dns')['data']['Corefile'])
        command = f'ip link set lo up && exec {CAUSEWAY} dns --corefile {path} --listen 127.0.0.1 --feed "" --snapshot "" --observe unix:{folder}/observe'
        with subprocess.Popen(['unshare', '-n', 'sh', '-c', command], text=True, stderr=subprocess.PIPE) as program:
            said = ''
            while 'answering at' not in said:
                line = program.stderr.readline()
                assert line, f'it ended: {said}'
                said += line
            ask = ['nsenter', '-t', str(program.pid), '-n', 'curl', '-s', '-m', '5']
            answers = [subprocess.run([*ask, f'http://{at}'], text=True, stdout=subprocess.PIPE).stdout
                       for at in ('127.0.0.1:9472/health', '127.0.0.1:9473/ready', '127.0.0.1:9153/metrics', '[::1]:9153/metrics')]
            program.terminate()
            program.kill()
    assert answers[0] == 'OK' and 'no list of Services' in answers[1], answers[:2]
    assert all('coredns_build_info' in a or 'causeway_dns_names' in a for a in answers[2:]), answers[2:]


if __name__ == '__main__':
    main(sys.modules[__name__])
