"""Workloads of the shapes that Kubernetes' tutorials use, in a lab: order, identity, surge bounds, and what gates what."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import lab
from lab import Lab, container, until

MANIFESTS = pathlib.Path(__file__).parent / 'workloads'
APPS = '/apis/apps/v1/namespaces/default'


class Watch:
    """Every change of the Pods of one app, in the API's order."""

    def __init__(self, app):
        self.app, self.pods, self.faults, self.order, self.checks = app, {}, [], [], []
        start = one.api('GET', f'/api/v1/namespaces/default/pods?labelSelector=app%3D{app}')
        for pod in start['items']:
            self.pods[pod['metadata']['name']] = pod
        path = f'/api/v1/namespaces/default/pods?watch=true&labelSelector=app%3D{app}&resourceVersion={start["metadata"]["resourceVersion"]}'
        request = urllib.request.Request(one.server + path, headers={'Authorization': f'Bearer {one.token}'})
        self.stream = urllib.request.urlopen(request, context=one.tls, timeout=300)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            for line in self.stream:
                event = json.loads(line)
                name = event['object']['metadata']['name']
                if event['type'] in ('ADDED', 'DELETED'):
                    self.order.append((event['type'], name, self.ready()))
                if event['type'] == 'DELETED':
                    self.pods.pop(name, None)
                else:
                    self.pods[name] = event['object']
                for check in self.checks:
                    if fault := check(self):
                        self.faults.append(fault)
        except Exception as error:  # noqa: BLE001: what is not seen is not asserted
            self.faults.append(f'the watch broke: {error!r}')
        self.faults.append('the watch has ended')

    def alive(self):
        return [p for p in list(self.pods.values()) if 'deletionTimestamp' not in p['metadata']]

    def ready(self):
        return sorted(p['metadata']['name'] for p in self.alive() if lab.ready(p))

    def names(self, kind):
        return [name for what, name, _ in self.order if what == kind]


def apply(name):
    return lab.run('lab', 'apply', '--name', one.name, '-f', MANIFESTS / name).stdout


def patch(kind, name, body, how='application/strategic-merge-patch+json'):
    return one.api('PATCH', f'{APPS}/{kind}/{name}', body, how)


def status(kind, name):
    """What its controller says of the object as it is now; nothing while that is of an earlier generation."""
    found = one.api('GET', f'{APPS}/{kind}/{name}')
    said = found.get('status', {})
    return said if said.get('observedGeneration') == found['metadata']['generation'] else {}


def events(name):
    found = one.api('GET', f'/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name}')
    return [f'{e["reason"]}: {e["message"]}' for e in found['items']]


def pods(app):
    found = one.api('GET', f'/api/v1/namespaces/default/pods?labelSelector=app%3D{app}')
    return {p['metadata']['name']: p for p in found['items'] if 'deletionTimestamp' not in p['metadata']}


def test_a_stateful_set_comes_in_order_with_names_of_its_own():
    watch = Watch('db')
    apply('ordered.yaml')
    until('three peers Ready', 60, lambda: status('statefulsets', 'db').get('readyReplicas') == 3 and len(watch.ready()) == 3)
    added = [(name, ready) for what, name, ready in watch.order if what == 'ADDED']
    assert added == [('db-0', []), ('db-1', ['db-0']), ('db-2', ['db-0', 'db-1'])] and not watch.faults, (watch.order, watch.faults)
    for name, pod in pods('db').items():
        labels = pod['metadata']['labels']
        assert labels['statefulset.kubernetes.io/pod-name'] == name and labels['apps.kubernetes.io/pod-index'] == name[3:], labels
        assert one.exec(name, 'hostname').stdout.strip() == name
        assert f'{pod["status"]["podIP"]}\t{name}.peers.default.svc.cluster.local\t{name}' in one.exec(name, 'cat', '/etc/hosts').stdout
    slices = one.api('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dpeers')
    named = sorted(e.get('hostname') for s in slices['items'] for e in s['endpoints'])
    assert named == ['db-0', 'db-1', 'db-2'], named
    assert any('volumeClaimTemplates (data): there are no persistent volumes' in e for e in events('db')), events('db')


def test_a_stateful_set_shrinks_from_its_end_and_updates_above_its_partition():
    watch = Watch('db')
    patch('statefulsets', 'db', {'spec': {'replicas': 1}})
    until('one peer', 30, lambda: len(watch.pods) == 1)
    assert watch.names('DELETED') == ['db-2', 'db-1'], watch.order
    patch('statefulsets', 'db', {'spec': {'replicas': 3}})
    until('three peers', 60, lambda: status('statefulsets', 'db').get('readyReplicas') == 3)
    watch = Watch('db')
    watch.checks.append(lambda w: f'{w.ready()} are Ready' if len(w.ready()) < 2 else None)
    patch('statefulsets', 'db', {'spec': {'updateStrategy': {'rollingUpdate': {'partition': 1}},
                                          'template': {'metadata': {'annotations': {'step': 'two'}}}}})
    until('two updated peers', 60, lambda: status('statefulsets', 'db').get('updatedReplicas') == 2 and len(watch.names('DELETED')) == 2
          and len(watch.ready()) == 3)
    assert watch.names('DELETED') == ['db-2', 'db-1'] and not watch.faults, (watch.order, watch.faults)
    steps = {name: pod['metadata'].get('annotations', {}).get('step') for name, pod in pods('db').items()}
    assert steps == {'db-0': None, 'db-1': 'two', 'db-2': 'two'}, steps
    revisions = one.api('GET', f'{APPS}/controllerrevisions')['items']
    assert sorted(r['revision'] for r in revisions) == [1, 2], revisions


def test_a_front_waits_for_the_service_behind_it():
    # The Service's address is in the environment of what starts after it, as in Kubernetes.
    one.api('POST', '/api/v1/namespaces/default/services', {
        'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'back'},
        'spec': {'selector': {'app': 'back'}, 'ports': [{'port': 9000, 'targetPort': 'http'}]}})
    apply('shop.yaml')
    until('the front waits', 30, lambda: len(pods('front')) == 3 and all(
        p.get('status', {}).get('initContainerStatuses', [{}])[0].get('state', {}).get('running') for p in pods('front').values()))
    for pod in pods('front').values():
        assert pod['status']['phase'] == 'Pending' and not any(
            s['state'].get('running') for s in pod['status']['containerStatuses'] + pod['status']['initContainerStatuses'][1:]), pod['status']
    apply('back.yaml')
    until('the front is Ready', 60, lambda: status('deployments', 'front').get('readyReplicas') == 3)
    for name, pod in pods('front').items():
        first, courier = pod['status']['initContainerStatuses']
        assert first['state']['terminated']['exitCode'] == 0 and courier['state'].get('running') and courier['started'], pod['status']
        log = until('its log', 10, lambda: one.logs(name, '-c', 'front').stdout)
        assert log.startswith('blue s3cret listen 8080 front 1234:0\n'), log
        pulled = [e for e in events(name) if e.startswith('Pulled')]
        assert any('registry.example/front:1" is not pulled: this machine' in e for e in pulled), pulled


def test_a_rolling_update_keeps_to_its_surge_bounds_and_probes_gate_the_service():
    watch = Watch('front')
    watch.checks.append(lambda w: f'{len(w.alive())} Pods' if len(w.alive()) > 4 else None)
    watch.checks.append(lambda w: f'only {w.ready()} Ready' if len(w.ready()) < 3 else None)
    before = set(pods('front'))
    patch('deployments', 'front', {'spec': {'template': {'metadata': {'labels': {'release': 'two'}}}}})
    until('the update', 90, lambda: (lambda s: s.get('updatedReplicas') == 3 and s.get('availableReplicas') == 3 and s.get('replicas') == 3)(status('deployments', 'front')))
    until('the old ones to go', 30, lambda: not before & set(watch.pods))
    assert not watch.faults, watch.faults
    # What is not Ready is no endpoint.
    victim = sorted(pods('front'))[0]
    address = pods('front')[victim]['status']['podIP']

    def endpoints():
        slices = one.api('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dfront')
        return [e['addresses'][0] for s in slices['items'] for e in s['endpoints'] if e['conditions']['ready']]
    assert address in endpoints()
    one.exec(victim, 'rm', '/tmp/ready', container='front')
    until('the endpoint to go', 30, lambda: address not in endpoints() and len(endpoints()) == 2)
    one.exec(victim, 'touch', '/tmp/ready', container='front')
    until('the endpoint to come back', 30, lambda: len(endpoints()) == 3)


def test_config_map_volumes_follow_their_object():
    name = sorted(pods('front'))[0]
    one.api('PATCH', '/api/v1/namespaces/default/configmaps/settings', {'data': {'front.conf': 'listen 9090\n', 'more': 'x'}},
            'application/merge-patch+json')
    until('the new file', 30, lambda: one.exec(name, 'cat', '/etc/front/front.conf', container='front').stdout == 'listen 9090\n')
    assert one.exec(name, 'ls', '/etc/front', container='front').stdout.split() == ['COLOUR', 'front.conf', 'more']


def test_a_daemon_set_runs_on_tainted_nodes_only_if_it_tolerates_them():
    one.api('PATCH', '/api/v1/nodes/node-2', {'spec': {'taints': [{'key': 'dedicated', 'value': 'db', 'effect': 'NoSchedule'}]}},
            'application/merge-patch+json')
    one.api('PATCH', '/api/v1/nodes/node-3', {'spec': {'taints': [{'key': 'broken', 'effect': 'NoSchedule'}]}},
            'application/merge-patch+json')
    apply('agent.yaml')
    until('the agents', 60, lambda: (lambda s: s.get('numberAvailable') == 2 and s.get('desiredNumberScheduled') == 2)(status('daemonsets', 'agent')))
    assert sorted(p['spec']['nodeName'] for p in pods('agent').values()) == ['node-1', 'node-2']
    assert one.exec('node-2', 'cat', '/run/agent-of-tests/agent').stdout == 'node-2\n'
    one.api('PATCH', '/api/v1/nodes/node-3', {'spec': {'taints': None}}, 'application/merge-patch+json')
    until('the third agent', 60, lambda: status('daemonsets', 'agent').get('numberAvailable') == 3)
    watch = Watch('agent')
    watch.checks.append(lambda w: f'only {w.ready()} Ready' if len(w.ready()) < 2 else None)
    patch('daemonsets', 'agent', {'spec': {'template': {'metadata': {'annotations': {'step': 'two'}}}}})
    until('the update', 90, lambda: (lambda s: s.get('updatedNumberScheduled') == 3 and s.get('numberAvailable') == 3)(status('daemonsets', 'agent')))
    until('three old agents to go', 30, lambda: len(watch.names('DELETED')) == 3)
    assert not watch.faults, watch.faults


# Asks another Pod for an echo by a raw socket, and by one of those that any user may have (as under containerd 2).
ECHO = """import socket, struct, sys
def ask(kind):
    try:
        asks = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
    except OSError as error:
        return error.strerror
    asks.settimeout(1)
    for number in range(30):
        asks.sendto(struct.pack('!BBHHH', 8, 0, ~(0x800 + 7 + number) & 0xffff, 7, number), (sys.argv[1], 0))
        try:
            while True:
                answer = asks.recv(2048)
                if answer[(answer[0] & 15) * 4 if kind == socket.SOCK_RAW else 0] == 0:
                    return 'answered'
        except TimeoutError:
            pass
    return 'no answer'
print(ask(socket.SOCK_RAW))
print(ask(socket.SOCK_DGRAM))
"""


def test_raw_sockets_work_or_are_refused_as_the_security_context_says():
    one.create_pod('asked')
    address = one.wait_ready('asked')['status']['podIP']
    cases = {'raw': ({}, 'answered'), 'only-raw': ({'capabilities': {'drop': ['ALL'], 'add': ['NET_RAW']}}, 'answered'),
             'no-raw': ({'capabilities': {'drop': ['NET_RAW']}}, 'Operation not permitted'),
             'nothing': ({'capabilities': {'drop': ['ALL']}}, 'Operation not permitted'),
             'user': ({'runAsUser': 1000}, 'Operation not permitted')}
    for name, (security, _) in cases.items():
        one.create_pod(name, [{'command': ['python3', '-c', ECHO, address], 'securityContext': security}], restartPolicy='Never')
    for name, (_, expected) in cases.items():
        one.wait_pod(name, lambda pod: pod['status'].get('phase') == 'Succeeded', 'Succeeded', 60)
        assert one.logs(name).stdout.splitlines() == [expected, 'answered'], (name, one.logs(name).stdout)


def test_users_groups_and_a_root_that_cannot_be_written():
    one.create_pod('careful', [{'command': ['/bin/sh', '-c', 'id -u; id -G; touch /usr/x 2>/dev/null || echo ro; touch /data/x && ls -n /data | tail -1; pwd; exec sleep 1000'],
                                'workingDir': '/srv/work', 'securityContext': {'readOnlyRootFilesystem': True, 'allowPrivilegeEscalation': False},
                                'volumeMounts': [{'name': 'data', 'mountPath': '/data'}]}],
                   securityContext={'runAsUser': 1000, 'runAsGroup': 2000, 'fsGroup': 3000}, volumes=[{'name': 'data', 'emptyDir': {}}])
    one.wait_ready('careful')
    lines = until('the log', 10, lambda: (lambda t: t.splitlines() if t.count('\n') >= 5 else None)(one.logs('careful').stdout))
    assert lines[0] == '1000' and '2000' in lines[1] and '3000' in lines[1] and lines[2] == 'ro' and '1000 3000' in lines[3] and lines[4] == '/srv/work', lines
    # lab exec is who the container is, where it works; its set-user-ID programs give nothing.
    said = one.exec('careful', 'sh', '-c', 'id -u; id -G; pwd; touch /data/by-exec && stat -c %u:%g /data/by-exec; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status').stdout.splitlines()
    assert said[0] == '1000' and '2000' in said[1] and '3000' in said[1], said
    assert said[2:4] == ['/srv/work', '1000:3000'] and said[4].split()[1].strip('0') == '' and said[5].split()[1] == '1', said
    one.create_pod('bare', [{'securityContext': {'capabilities': {'drop': ['ALL']}}}])
    one.wait_ready('bare')
    effective = one.exec('bare', 'sh', '-c', 'grep CapEff /proc/self/status').stdout.split()[1]
    assert effective.strip('0') == '', effective


def test_scheduling_gates_hold_a_pod_back_until_the_last_is_removed():
    one.create_pod('gated', [{}], schedulingGates=[{'name': 'example.com/quota'}])
    one.create_pod('free', [{}])
    one.wait_ready('free')  # the scheduler has seen both
    pod = one.pod('gated')
    assert 'nodeName' not in pod['spec'] and [c['reason'] for c in pod['status']['conditions']] == ['SchedulingGated'], pod
    one.api('PATCH', '/api/v1/namespaces/default/pods/gated', {'spec': {'schedulingGates': []}}, 'application/merge-patch+json')
    one.wait_ready('gated')


def test_what_is_not_done_is_said():
    one.create_pod('claims', [{'volumeMounts': [{'name': 'v', 'mountPath': '/v'}]}],
                   volumes=[{'name': 'v', 'persistentVolumeClaim': {'claimName': 'data'}}])
    until('the Event', 20, lambda: any('FailedMount: MountVolume.SetUp failed for volume "v" : persistentvolumeclaim "data" not found' in e for e in events('claims')))
    assert one.pod('claims')['status']['phase'] == 'Pending'
    one.create_pod('grpc', [{'livenessProbe': {'grpc': {'port': 1}}}])
    pod = one.wait_pod('grpc', lambda pod: container(pod).get('state', {}).get('waiting', {}).get('reason') == 'CreateContainerConfigError', 'refused')
    assert 'the lab does not ask by gRPC' in container(pod)['state']['waiting']['message']
    for kind, group in (('jobs', 'batch/v1'), ('cronjobs', 'batch/v1')):
        try:
            one.api('GET', f'/apis/{group}/namespaces/default/{kind}')
            raise AssertionError(f'{kind} are served, but nobody runs them')
        except lab.ApiError as error:
            assert error.code == 404


def image_archive(folder, text):
    """A docker archive and an OCI archive of an image with one program, as skopeo writes them."""
    root = folder / 'root'
    (root / 'bin').mkdir(parents=True)
    (root / 'etc').mkdir()
    subprocess.run(['cp', '/usr/bin/busybox', root / 'bin/busybox'], check=True)
    for name in ('sh', 'cat', 'id', 'sleep', 'ls', 'pwd', 'httpd'):
        os.symlink('busybox', root / 'bin' / name)
    (root / 'etc/passwd').write_text('root:x:0:0::/root:/bin/sh\nweb:x:101:102::/srv:/bin/sh\n')
    (root / 'etc/group').write_text('root:x:0:\nweb:x:102:\nextra:x:77:web\n')
    (root / 'greeting').write_text(text)
    layout = folder / 'layout'
    tool = lambda *words: subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL)  # noqa: E731
    tool('umoci', 'init', '--layout', layout)
    tool('umoci', 'new', '--image', f'{layout}:one')
    tool('umoci', 'insert', '--image', f'{layout}:one', root, '/')
    tool('umoci', 'config', '--image', f'{layout}:one', '--config.entrypoint', '/bin/sh', '--config.entrypoint=-c',
         '--config.cmd', 'cat /greeting; id -u; id -G; pwd; echo $FLAVOUR; exec sleep 1000', '--config.user', 'web',
         '--config.workingdir', '/srv/app', '--config.env', 'FLAVOUR=plain')
    tool('skopeo', '--insecure-policy', 'copy', '--quiet', f'oci:{layout}:one', f'docker-archive:{folder}/docker.tar:registry.example/greeter:1')
    tool('skopeo', '--insecure-policy', 'copy', '--quiet', f'oci:{layout}:one', f'oci-archive:{folder}/oci.tar')
    return folder / 'docker.tar', folder / 'oci.tar'


def test_images_are_loaded_once_and_run_as_they_say():
    with tempfile.TemporaryDirectory() as name:
        docker, oci = image_archive(pathlib.Path(name), f'hello {time.time_ns()}\n')
        text = lab.run('lab', 'load', '--name', one.name, docker).stdout
        assert text.startswith('registry.example/greeter:1 sha256:') and 'before' not in text, text
        digest = text.split()[1]
        text = lab.run('lab', 'load', '--name', one.name, '--as', 'greeter', oci).stdout
        assert text.startswith('docker.io/library/greeter:latest sha256:'), text
        nameless = lab.run('lab', 'load', '--name', one.name, oci, check=False)
        assert nameless.returncode == 1 and '--as NAME' in nameless.stderr, nameless.stderr
        for bad, word in ((__file__, 'no tar archive'), ('/no/such/file', 'there is no file')):
            refused = lab.run('lab', 'load', '--name', one.name, bad, check=False)
            assert refused.returncode == 1 and word in refused.stderr, refused.stderr
        half = pathlib.Path(name) / 'half.tar'
        half.write_bytes(docker.read_bytes()[:-20000])
        refused = lab.run('lab', 'load', '--name', one.name, '--as', 'half', half, check=False)
        assert refused.returncode == 1 and 'half' not in lab.run('lab', 'load', '--name', one.name, '--list').stdout, refused
    store = pathlib.Path('/var/lib/causeway-lab/images')
    assert not list(store.glob('.load-*')), list(store.iterdir())
    one.create_pod('greeter', [{'image': 'registry.example/greeter:1'}])
    pod = one.wait_ready('greeter')
    expected = ['web', '101', '102 77', '/srv/app', 'plain']
    lines = until('its words', 10, lambda: (lambda t: t.splitlines() if t.count('\n') >= 5 else None)(one.logs('greeter').stdout))
    assert lines[0].startswith('hello ') and lines[1:] == expected[1:], lines
    assert container(pod)['imageID'] == digest, container(pod)
    assert any(f'already present on machine ({digest})' in e for e in events('greeter')), events('greeter')
    one.create_pod('other', [{'image': 'greeter', 'args': ['echo $FLAVOUR $0; exec sleep 1000', 'zero'], 'env': [{'name': 'FLAVOUR', 'value': 'sweet'}],
                              'securityContext': {'runAsUser': 0}}])
    one.wait_ready('other')
    until('its words', 10, lambda: one.logs('other').stdout == 'sweet zero\n')


with Lab('twork', '--nodes', '3') as one:
    lab.main(sys.modules[__name__])
