"""The real kube-apiserver with its etcd, in the namespaces of alone.sh, and what tests ask of it."""
import collections
import json
import os
import pathlib
import ssl
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADDRESS, PORT = '10.77.0.1', 6443
AGENT = 'system:serviceaccount:causeway:causeway-agent'


def peer(name):
    done = subprocess.run([ROOT / 'tools/dev/peer-path', name], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f'{done.stderr}0 passed, 1 failed')
    return done.stdout.strip()


def until(what, seconds, question, why=lambda: ''):
    """The first truthy answer; asked again until the deadline, then a failure that names what was awaited."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f'not in {seconds} s: {what}\n{why()}')
        time.sleep(0.05)


class ApiError(Exception):
    def __init__(self, code, body):
        super().__init__(f'{code}: {body}')
        self.code, self.body = code, body


class Kubernetes:
    """Alone on its machine, so every port is free and nothing must be cleaned up."""

    def __init__(self):
        self.folder = pathlib.Path('/run/kubernetes')
        self.folder.mkdir()
        self.programs = {name: peer(name) for name in ('etcd', 'kube-apiserver', 'kubectl-1.36')}
        (self.folder / 'tokens.csv').write_text('secret,admin,admin,"system:masters"\n')
        (self.folder / 'audit.yaml').write_text(
            'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n')
        subprocess.run(['openssl', 'genrsa', '-out', self.folder / 'account.key', '2048'], check=True, stderr=subprocess.DEVNULL)
        self.etcd = self._spawn('etcd', '--data-dir', self.folder / 'etcd', '--unsafe-no-fsync', '--log-level', 'warn')
        self.server = None
        self.start()

    def _spawn(self, name, *arguments):
        log = open(self.folder / f'{name}.log', 'ab')
        return subprocess.Popen([self.programs[name], *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self):
        self.server = self._spawn(
            'kube-apiserver', '--etcd-servers', 'http://127.0.0.1:2379', '--bind-address', ADDRESS, '--advertise-address', ADDRESS,
            '--secure-port', PORT, '--service-account-issuer', 'https://kubernetes.default.svc',
            '--service-account-key-file', self.folder / 'account.key',
            '--service-account-signing-key-file', self.folder / 'account.key', '--token-auth-file', self.folder / 'tokens.csv',
            '--authorization-mode', 'RBAC', '--service-cluster-ip-range', '10.96.0.0/16', '--allow-privileged',
            # No controller manager makes the ServiceAccounts that this one wants.
            '--disable-admission-plugins', 'ServiceAccount', '--cert-dir', self.folder,
            '--audit-policy-file', self.folder / 'audit.yaml', '--audit-log-path', self.folder / 'audit.log',
            '--audit-log-mode', 'blocking')
        until('kube-apiserver ready', 90, self.is_ready, lambda: (self.folder / 'kube-apiserver.log').read_text()[-4000:])

    # Asked to end it would wait a minute for the watches.
    def stop(self):
        self.server.kill()
        self.server.wait(60)

    def is_ready(self):
        assert self.server.poll() is None, (self.folder / 'kube-apiserver.log').read_text()[-4000:]
        try:
            return self.ask('GET', '/readyz', raw=True) == 'ok'
        except (OSError, ApiError):
            return False

    # It makes a certificate for itself, which is its own authority.
    @property
    def ca(self):
        return self.folder / 'apiserver.crt'

    def ask(self, method, path, body=None, content_type='application/json', token='secret', raw=False):
        tls = ssl.create_default_context(cafile=self.ca)
        request = urllib.request.Request(f'https://{ADDRESS}:{PORT}{path}', method=method, headers={'Authorization': f'Bearer {token}'})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header('Content-Type', content_type)
        try:
            with urllib.request.urlopen(request, context=tls, timeout=30) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, error.read().decode()) from None
        return text if raw else json.loads(text)

    def patch(self, path, body, kind='merge', token='secret'):
        return self.ask('PATCH', path, body, f'application/{kind}-patch+json', token)

    def delete(self, path):
        return self.ask('DELETE', path, {'kind': 'DeleteOptions', 'apiVersion': 'v1', 'gracePeriodSeconds': 0})

    def kubectl(self, *arguments):
        """The finished process of the real kubectl, as the administrator."""
        done = subprocess.run([self.programs['kubectl-1.36'], '--server', f'https://{ADDRESS}:{PORT}', '--token', 'secret',
                               '--certificate-authority', self.ca, *map(str, arguments)], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, env={**os.environ, 'HOME': '/run'})
        assert done.returncode == 0, f'kubectl {arguments}: {done.stdout}{done.stderr}'
        return done

    # ---- objects

    def make_node(self, name, address, cidrs=()):
        self.ask('POST', '/api/v1/nodes', {'apiVersion': 'v1', 'kind': 'Node', 'metadata': {'name': name},
                                           'spec': {'podCIDR': cidrs[0], 'podCIDRs': list(cidrs)} if cidrs else {}})
        self.patch(f'/api/v1/nodes/{name}/status', {'status': {'addresses': [{'type': 'InternalIP', 'address': address}]}})

    def give_cidrs(self, name, *cidrs):
        self.patch(f'/api/v1/nodes/{name}', {'spec': {'podCIDR': cidrs[0], 'podCIDRs': list(cidrs)}})

    def condition(self, node):
        """(status, reason, message) of NetworkUnavailable; None without it."""
        for condition in self.ask('GET', f'/api/v1/nodes/{node}')['status'].get('conditions', []):
            if condition['type'] == 'NetworkUnavailable':
                return condition['status'], condition['reason'], condition['message']
        return None

    def events(self, about):
        items = self.ask('GET', f'/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={about}')['items']
        return [(e['type'], e['reason'], e['message']) for e in items]

    def token_of(self, account, node, pod):
        """A token as the kubelet mounts it: bound to a Pod of that ServiceAccount on that node."""
        made = self.ask('POST', '/api/v1/namespaces/causeway/pods', {
            'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': pod},
            'spec': {'serviceAccountName': account, 'nodeName': node, 'hostNetwork': True, 'containers': [{'name': 'c', 'image': 'none'}]}})
        return self.ask('POST', f'/api/v1/namespaces/causeway/serviceaccounts/{account}/token', {
            'apiVersion': 'authentication.k8s.io/v1', 'kind': 'TokenRequest',
            'spec': {'boundObjectRef': {'apiVersion': 'v1', 'kind': 'Pod', 'name': pod, 'uid': made['metadata']['uid']}}})['status']['token']

    def requests(self, user):
        """What a user asked, from the audit log: [(verb, resource, code)], in order, watches when they end."""
        asked = []
        for line in open(self.folder / 'audit.log'):
            entry = json.loads(line)
            if entry['user'].get('username') == user:
                what = entry.get('objectRef', {})
                resource = what.get('resource', entry['requestURI']) + ('/' + what['subresource'] if 'subresource' in what else '')
                asked.append((entry['verb'], resource, entry['responseStatus']['code'], entry['stage']))
        return asked

    def summary(self, user):
        """{"watch nodes 200": 2} of what began."""
        return collections.Counter(f'{verb} {resource} {code}' for verb, resource, code, stage in self.requests(user)
                                   if not (verb == 'watch' and stage == 'ResponseComplete' and code == 200))
