"""A node: containerd, kubelet and, where the stack has it, kube-proxy, on the paths of a production machine."""
from . import node_config
from .plan import comma

CONTAINERD = '/run/containerd/containerd.sock'


class Node:
    def __init__(self, machine, peers, authority, addresses, proxy):
        self.machine, self.peers, self.authority, self.addresses, self.proxy = machine, peers, authority, addresses, proxy
        self.name = machine.name
        self.own = addresses.node(machine.name)

    @property
    def programs(self):
        return ('containerd', 'kubelet', *(('kube-proxy',) if self.proxy else ()))

    def prepare(self):
        """Writes what its programs read. The files in /etc are in memory: a reboot has them written again."""
        machine, control = self.machine, self.addresses.control[0]
        # No search domain: kubelet hands this file to Pods. Nobody listens there, so a name outside of the cluster fails at once.
        machine.write('/etc/resolv.conf', f'nameserver {control}\n')
        machine.write('/etc/containerd/config.toml', node_config.containerd())
        machine.write('/etc/kubernetes/ca.crt', self.authority.certificate.read_text())
        kubeconfig = self.authority.kubeconfig(self.name, control, f'system:node:{self.name}', ['system:nodes'])
        machine.write('/etc/kubernetes/kubelet.kubeconfig', kubeconfig.read_text(), 0o600)
        machine.write('/etc/kubernetes/kubelet.yaml', node_config.kubelet(self.addresses, CONTAINERD))
        for path in ('/etc/cni/net.d', '/opt/cni/bin'):
            machine.path(path).mkdir(parents=True, exist_ok=True)
        self.install_plugin('loopback')  # containerd itself needs it, whatever the network is
        if self.proxy:
            kubeconfig = self.authority.kubeconfig('kube-proxy', control, 'system:kube-proxy')
            machine.write('/etc/kubernetes/kube-proxy.kubeconfig', kubeconfig.read_text(), 0o600)
            machine.write('/etc/kubernetes/kube-proxy.yaml', node_config.kube_proxy(self.name, self.own, self.addresses))

    def install_plugin(self, name):
        target = self.machine.path(f'/opt/cni/bin/{name}')
        if not target.exists():
            new = target.with_name(f'.{name}.new')
            new.write_bytes(self.peers[name].read_bytes())
            new.chmod(0o755)
            new.rename(target)

    def command(self, program):
        return [self.peers[program], *{
            'containerd': ['--config', '/etc/containerd/config.toml'],
            'kubelet': ['--config=/etc/kubernetes/kubelet.yaml', '--kubeconfig=/etc/kubernetes/kubelet.kubeconfig',
                        f'--hostname-override={self.name}', f'--node-ip={comma(self.own)}'],
            'kube-proxy': ['--config=/etc/kubernetes/kube-proxy.yaml'],
        }[program]]

    def start(self, program):
        # containerd finds its shim in PATH.
        shims = self.peers['containerd-shim-runc-v2'].parent
        self.machine.start(program, self.command(program), {'PATH': f'{shims}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}.items())

    def ctr(self, *words, check=True, timeout=300):
        return self.machine.run([self.peers['ctr'], '-a', CONTAINERD, '-n', 'k8s.io', *words], check=check, timeout=timeout)

    def start_containerd(self):
        self.start('containerd')
        self.machine.wait('ready', 'containerd', lambda: self.ctr('version', check=False).returncode == 0, 30)

    def import_images(self, archives):
        """Imports OCI archives that this node has not yet, and returns them; what they are called inside is what Pods ask for."""
        new = []
        for archive in archives:
            # The name of what was imported holds the archive's size and time: a new build is imported again.
            status = archive.stat()
            mark = self.machine.path(f'/var/lib/containerd/imported/{archive.name}-{status.st_size}-{status.st_mtime_ns}')
            if mark.exists():
                continue
            with open(archive, 'rb') as source:
                self.machine.run([self.peers['ctr'], '-a', CONTAINERD, '-n', 'k8s.io', 'images', 'import', '-'], stdin=source, timeout=600)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
            new.append(archive)
        return new

    def kubelet_ready(self):
        return self.machine.net(['curl', '-s', '-m', '5', 'http://127.0.0.1:10248/healthz'], check=False).stdout == 'ok'
