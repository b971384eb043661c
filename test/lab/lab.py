"""What the lab tests share: one lab under a name of its own, its API, its processes, and a small runner."""
import base64
import glob
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

CAUSEWAY = os.environ.get('CAUSEWAY') or sys.argv[1]
ROOT = pathlib.Path(__file__).resolve().parents[2]
# How many times longer than usual everything may take: on an emulated machine.
PATIENCE = float(os.environ.get('CAUSEWAY_PATIENCE', '1'))


def run(*arguments, check=True, timeout=120 * PATIENCE, **options):
    """causeway ARGUMENTS; the finished process, output as text."""
    done = subprocess.run([CAUSEWAY, *map(str, arguments)], stdin=options.pop('stdin', subprocess.DEVNULL), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f'causeway {" ".join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}')
    return done


def until(what, seconds, question):
    """The first truthy answer; asked again until the deadline, then a failure that names what was awaited."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f'not in {seconds * PATIENCE:g} s: {what}')
        time.sleep(0.02)


class ApiError(Exception):
    def __init__(self, code, status):
        super().__init__(f'{code}: {status.get("message")}')
        self.code, self.status = code, status


class Lab:
    def __init__(self, name, *options):
        self.name, self.options = name, options
        run('lab', 'down', '--name', name, check=False)

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        run('lab', 'down', '--name', self.name, check=False)

    def up(self):
        run('lab', 'up', '--name', self.name, *self.options)
        text = run('lab', 'kubeconfig', '--name', self.name).stdout
        self.server = re.search(r'server: "?([^"\s]+)', text).group(1)
        self.token = re.search(r'token: "?([^"\s]+)', text).group(1)
        ca = base64.b64decode(re.search(r'certificate-authority-data: "?([^"\s]+)', text).group(1)).decode()
        self.tls = ssl.create_default_context(cadata=ca)

    def exec(self, target, *command, container=None, check=True, timeout=60 * PATIENCE):
        where = ['-c', container] if container else []
        return run('lab', 'exec', '--name', self.name, *where, target, '--', *command, check=check, timeout=timeout)

    def logs(self, target, *options, check=True):
        return run('lab', 'logs', '--name', self.name, target, *options, check=check)

    # ---- the API

    def api(self, method, path, body=None, content_type='application/json', raw=False):
        request = urllib.request.Request(self.server + path, method=method, headers={'Authorization': f'Bearer {self.token}'})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header('Content-Type', content_type)
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=30 * PATIENCE) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, json.loads(error.read() or b'{}')) from None
        return text if raw else json.loads(text)

    def create_pod(self, name, containers=None, ns='default', labels=None, **spec):
        containers = containers or [{'ports': [{'containerPort': 8080}]}]
        for i, container in enumerate(containers):
            container.setdefault('name', f'c{i}')
            container.setdefault('image', 'none')
        return self.api('POST', f'/api/v1/namespaces/{ns}/pods', {
            'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'labels': labels or {}},
            'spec': {'containers': containers, **spec}})

    def pod(self, name, ns='default'):
        try:
            return self.api('GET', f'/api/v1/namespaces/{ns}/pods/{name}')
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def delete_pod(self, name, ns='default', grace=None):
        options = {'kind': 'DeleteOptions', 'apiVersion': 'v1'}
        if grace is not None:
            options['gracePeriodSeconds'] = grace
        self.api('DELETE', f'/api/v1/namespaces/{ns}/pods/{name}', options)

    def wait_pod(self, name, question, what, seconds=20, ns='default'):
        def ask():
            try:
                pod = self.pod(name, ns)
            except (OSError, ApiError):
                return None
            return pod if pod and question(pod) else None
        try:
            return until(f'Pod {name} {what}', seconds, ask)
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.told_of(name, ns)}') from None

    def told_of(self, name, ns='default'):
        """What a failure about a Pod says besides: its status, its Events, and what its node and who starts all there logged last."""
        try:
            events = self.api('GET', f'/api/v1/namespaces/{ns}/events?fieldSelector=involvedObject.name={name}')['items']
            pod = self.pod(name, ns) or {}
        except (OSError, ApiError) as error:
            return str(error)
        told = [f'at {time.strftime("%H:%M:%S", time.gmtime())}', json.dumps(pod.get('status'))]
        told += [f'{e["reason"]} ({e.get("count", 1)} times, last {e.get("lastTimestamp")}): {e["message"]}' for e in events]
        for log in ('keeper', pod.get('spec', {}).get('nodeName')):
            told += [f'{log}: {line}' for line in (self.logs(log, '--tail', 40, check=False).stdout.splitlines() if log else [])]
        return '\n'.join(told)

    def wait_ready(self, name, seconds=20, ns='default'):
        return self.wait_pod(name, ready, 'Ready', seconds, ns)

    def cordon(self, node, yes):
        self.api('PATCH', f'/api/v1/nodes/{node}', {'spec': {'unschedulable': yes or None}}, 'application/merge-patch+json')

    def wait_gone(self, name, seconds=20, ns='default'):
        until(f'Pod {name} gone', seconds, lambda: self.pod(name, ns) is None)

    # ---- processes

    @property
    def cgroup(self):
        for line in open('/proc/self/mounts'):
            fields = line.split()
            if fields[2] == 'cgroup2':
                return f'{fields[1]}/causeway-lab/{self.name}'
        raise AssertionError('no cgroup2')

    def pids(self, path):
        try:
            return [int(line) for line in open(f'{self.cgroup}/{path}/cgroup.procs')]
        except FileNotFoundError:
            return []

    def kill(self, path):
        """kill -9 of what runs in a cgroup of the lab; returns the pid."""
        pid = until(f'a process in {path}', 10, lambda: self.pids(path))[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def sandbox(self, pod):
        return f'nodes/{pod["spec"]["nodeName"]}/kubepods/pod{pod["metadata"]["uid"]}/.sandbox'


def ready(pod):
    return any(c['type'] == 'Ready' and c['status'] == 'True' for c in pod.get('status', {}).get('conditions', []))


def addresses(pod):
    return [entry['ip'] for entry in pod['status']['podIPs']]


def host_port(ip, port=8080):
    return f'[{ip}]:{port}' if ':' in ip else f'{ip}:{port}'


def container(pod, name='c0'):
    return next((c for c in pod['status'].get('containerStatuses', []) if c['name'] == name), {})


def machine():
    """What a lab must not leave behind, as this machine shows it now."""
    def lines(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return {
        'links': sorted(re.sub(r'^\d+: ', '', line).split()[0] for line in lines('ip', '-o', 'link')),
        'addresses': sorted(' '.join(line.split()[1:4]) for line in lines('ip', '-o', 'addr')),
        'routes': sorted(lines('ip', 'route') + lines('ip', '-6', 'route')),
        'mounts': sorted(line.split()[1] for line in open('/proc/self/mounts')),
        'named namespaces': sorted(os.listdir('/run/netns')) if os.path.isdir('/run/netns') else [],
    }


def leftovers(name):
    """What there still is of a lab that is down."""
    found = glob.glob(f'/run/causeway-lab/{name}*') + glob.glob(f'/sys/fs/cgroup/**/causeway-lab/{name}', recursive=True)
    for status in glob.glob('/proc/[0-9]*/cgroup'):
        try:
            text = open(status).read()
        except OSError:
            continue
        # A dead process that the machine's init has not yet reaped holds nothing.
        if f'/causeway-lab/{name}/' in text and ' (deleted)' not in text:
            found.append(status)
    return found


def main(module):
    """Runs every test_ function of the module in the order of the file."""
    passed = failed = 0
    for name, function in list(vars(module).items()):
        if not name.startswith('test_') or not callable(function):
            continue
        start = time.monotonic()
        try:
            function()
            passed += 1
            print(f'ok   {name[5:].replace("_", " ")} ({time.monotonic() - start:.1f} s)', flush=True)
        except Exception:
            failed += 1
            print(f'FAIL {name[5:].replace("_", " ")} ({time.monotonic() - start:.1f} s)\n{traceback.format_exc()}', flush=True)
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed else 0)
