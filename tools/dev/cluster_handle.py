"""A cluster of ./dev cluster, as suites and benches use it: from the outside, by the command line that people have too."""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


class ClusterError(Exception):
    """`./dev cluster` refused; the text is its last words."""


class Handle:
    """What `./dev cluster env` says of a cluster that is up."""

    def __init__(self, facts):
        self.facts = facts
        self.name = facts['name']
        self.kubeconfig = facts['kubeconfig']
        self.netns = facts['netns']
        self.nodes = facts['nodes']

    def inside(self, *command):
        """The command in the control plane's network, with this machine's files: from there the API server, nodes and Pods are reached.
        By nsenter, as `ip netns exec` would mount another /sys."""
        return ['nsenter', f'--net={self.netns}', *map(str, command)]

    def on_node(self, node, *command):
        return ['nsenter', f'--net={node["netns"]}', *map(str, command)]

    def kubectl(self, *arguments, stdin=None):
        """stdout of a kubectl that has to succeed."""
        done = subprocess.run(self.inside(peer('kubectl-1.36'), '--kubeconfig', self.kubeconfig, *arguments), input=stdin, text=True,
                              capture_output=True, timeout=120)
        if done.returncode:
            raise ClusterError(f'kubectl {" ".join(arguments)}: {done.stderr.strip()}')
        return done.stdout


def peer(name):
    """The path of a program of ./dev peers."""
    done = subprocess.run([ROOT / 'tools/dev/peer-path', name], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(done.stderr.strip().removeprefix('peer-path: '))
    return done.stdout.strip()


def dev(*arguments, quiet=True):
    """./dev ARGUMENT…; its output goes to stderr unless it is wanted."""
    done = subprocess.run([ROOT / 'dev', *map(str, arguments)], cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE if quiet else sys.stderr, stderr=subprocess.PIPE if quiet else sys.stderr)
    if done.returncode:
        last = (done.stderr or '').strip().splitlines() if quiet else []
        raise ClusterError(last[-1] if last else f'./dev {" ".join(map(str, arguments))} ended with exit code {done.returncode}')
    return done.stdout or ''


def find(name):
    """The cluster of that name, or None when it is not up."""
    done = subprocess.run([ROOT / 'dev', 'cluster', 'env', '--name', name], cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True)
    if done.returncode:
        return None
    try:
        return Handle(json.loads(done.stdout))
    except (ValueError, KeyError) as error:
        raise ClusterError(f'./dev cluster env --name {name}: {type(error).__name__}: {error}') from error


def up(name, options):
    """Brings a cluster up; `options`: {option without dashes: value}, values that are None are left to ./dev cluster."""
    if options.get('stack') != 'stock':
        dev('image', quiet=False)  # the cluster runs what is in this tree
    arguments = [word for key, value in options.items() if value is not None for word in (f'--{key}', value)]
    dev('cluster', 'up', '--name', name, *arguments, quiet=False)
    handle = find(name)
    if handle is None:
        raise ClusterError(f'./dev cluster up --name {name} succeeded, and ./dev cluster env --name {name} knows no such cluster')
    return handle


def down(name):
    dev('cluster', 'down', '--name', name, quiet=False)
