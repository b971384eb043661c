"""Where the programs of others are that a cluster runs (./dev peers)."""
import pathlib
import subprocess

from .plan import Refused

ROOT = pathlib.Path(__file__).resolve().parents[3]
KUBERNETES = ('kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kubectl', 'kube-proxy')
PLUGINS = ('bridge', 'host-local', 'portmap', 'loopback')
OTHERS = ('etcd', 'containerd', 'containerd-shim-runc-v2', 'ctr', *PLUGINS)


def path(name):
    """The path of a built peer; Refused says how to build it."""
    done = subprocess.run([ROOT / 'tools/dev/peer-path', name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Refused(done.stderr.strip().removeprefix('peer-path: '))
    return pathlib.Path(done.stdout.strip())


class Peers:
    """The programs of one line of Kubernetes. All are looked up at once, so that what lacks is known before anything starts."""

    def __init__(self, line):
        self.line = line
        self.of, missing = {}, []
        for name in (*KUBERNETES, *OTHERS):
            wanted = name if name in OTHERS or (line == '1.36' and name != 'kubectl') else f'{name}-{line}'
            try:
                self.of[name] = path(wanted)
            except Refused:
                missing.append(wanted)
        if missing:
            flag = '' if line == '1.36' else f' --kubernetes {line}'
            raise Refused(f'not built: {" ".join(missing)}; run ./dev peers cluster{flag}')

    def __getitem__(self, name):
        return self.of[name]
