"""The control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler in the machine `control`."""
import json

from .plan import comma, host

PKI = '/etc/kubernetes/pki'  # in the machine
PROGRAMS = ('etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler')


class ControlPlane:
    def __init__(self, machine, peers, authority, addresses):
        self.machine, self.peers, self.authority, self.addresses = machine, peers, authority, addresses

    def prepare(self):
        """Certificates and kubeconfigs, made once; the machine gets those that its programs read."""
        authority, control = self.authority, self.addresses.control
        authority.create()
        names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'localhost']
        authority.issue('kube-apiserver', 'kube-apiserver', names=names,
                        addresses=[*control, *self.addresses.kubernetes_service, '127.0.0.1', '::1'])
        authority.issue('kubelet-client', 'kube-apiserver-kubelet-client', groups=['system:masters'])
        authority.kubeconfig('admin', control[0], 'admin', ['system:masters'])
        for program in PROGRAMS[2:]:
            authority.kubeconfig(program, control[0], f'system:{program}')
        for file in ('ca.crt', 'ca.key', 'account.key', 'kube-apiserver.crt', 'kube-apiserver.key', 'kubelet-client.crt', 'kubelet-client.key',
                     *(f'{program}.kubeconfig' for program in PROGRAMS[2:])):
            self.machine.write(f'{PKI}/{file}', (authority.folder / file).read_text(), 0o600)

    def command(self, program):
        addresses = self.addresses
        services, pods = comma(addresses.services), comma(addresses.pods)
        kubeconfig = f'{PKI}/{program}.kubeconfig'
        return [self.peers[program], *{
            # A test's etcd need not survive the power: without fsync the control plane is ready in a second.
            'etcd': ['--data-dir=/var/lib/etcd', '--unsafe-no-fsync', '--log-level=warn',
                     '--listen-client-urls=http://127.0.0.1:2379', '--advertise-client-urls=http://127.0.0.1:2379',
                     '--listen-peer-urls=http://127.0.0.1:2380', '--initial-advertise-peer-urls=http://127.0.0.1:2380',
                     '--initial-cluster=default=http://127.0.0.1:2380'],
            'kube-apiserver': [
                '--etcd-servers=http://127.0.0.1:2379', f'--advertise-address={addresses.control[0]}',
                f'--bind-address={"0.0.0.0" if addresses.control[0].version == 4 else "::"}',
                f'--service-cluster-ip-range={services}', '--allow-privileged', '--authorization-mode=Node,RBAC',
                '--enable-admission-plugins=NodeRestriction', f'--client-ca-file={PKI}/ca.crt',
                f'--tls-cert-file={PKI}/kube-apiserver.crt', f'--tls-private-key-file={PKI}/kube-apiserver.key',
                f'--kubelet-client-certificate={PKI}/kubelet-client.crt', f'--kubelet-client-key={PKI}/kubelet-client.key',
                # Else it resolves node names by DNS, and exec and logs fail.
                '--kubelet-preferred-address-types=InternalIP',
                '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
                f'--service-account-key-file={PKI}/account.key', f'--service-account-signing-key-file={PKI}/account.key',
                '--cert-dir=/var/lib/kube-apiserver', '--profiling=false'],
            'kube-controller-manager': [
                f'--kubeconfig={kubeconfig}', '--leader-elect=false', '--secure-port=0', '--allocate-node-cidrs',
                f'--cluster-cidr={pods}', f'--service-cluster-ip-range={services}', '--use-service-account-credentials',
                f'--service-account-private-key-file={PKI}/account.key', f'--root-ca-file={PKI}/ca.crt',
                f'--cluster-signing-cert-file={PKI}/ca.crt', f'--cluster-signing-key-file={PKI}/ca.key'],
            'kube-scheduler': [f'--kubeconfig={kubeconfig}', '--leader-elect=false', '--secure-port=0'],
        }[program]]

    def start(self, program):
        self.machine.start(program, self.command(program))

    def up(self):
        """All four run and answer; what runs already is left alone."""
        for program in PROGRAMS[:2]:
            self.start(program)
        self.machine.wait('ready', 'kube-apiserver', self.ready, 90)
        for program in PROGRAMS[2:]:
            self.start(program)

    def ready(self):
        done = self.machine.net(['curl', '-sk', '-m', '5', f'https://{host(self.addresses.control[0])}:6443/readyz'], check=False)
        return done.stdout == 'ok'

    # ---- what kubectl does for us

    def kubectl(self, *words, text=None, check=True, timeout=180):
        """kubectl as administrator; returns what it printed."""
        options = {'input': text} if text is not None else {}
        command = [self.peers['kubectl'], '--kubeconfig', self.authority.folder / 'admin.kubeconfig', *words]
        return self.machine.net(command, check=check, timeout=timeout, **options).stdout

    def get(self, *words):
        """The items that kubectl get finds, as dictionaries."""
        return json.loads(self.kubectl('get', *words, '-o', 'json') or '{"items": []}')['items']
