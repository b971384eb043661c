"""A cluster: made, repaired, changed and taken down. What runs is read from the machine; only the options are kept in a file."""
import concurrent.futures
import contextlib
import dataclasses
import ipaddress
import json
import os
import pathlib
import shutil
import socket
import time

from . import cgroups, stacks, underlay
from .control_plane import PROGRAMS as CONTROL_PROGRAMS, ControlPlane
from .machine import Machine
from .node import Node
from .peers import Peers
from .pki import Authority
from .plan import Addresses, Options, Refused, checked, node_names, node_number

PROGRAMS = ('runc', 'openssl', 'nft', 'ip', 'curl', 'nsenter', 'unshare')  # of Debian's packages
BASE = pathlib.Path('/var/lib/causeway-cluster')


@contextlib.contextmanager
def locked(name):
    """One command at a time changes a cluster. The lock is a name of an abstract socket: it goes with its process, and is no file."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f'\0causeway-cluster/{name}')
        except OSError:
            raise Refused(f'another command is at work on cluster {name}') from None
        yield


def known():
    """Names of all clusters of which anything is left."""
    folders = [e.name for e in os.scandir(BASE) if e.is_dir()] if BASE.is_dir() else []
    return sorted({*folders, *cgroups.names()})


class Cluster:
    def __init__(self, options, nodes, say=lambda text: None):
        self.options, self.node_names, self.say = options, list(nodes), say
        self.name, self.folder = options.name, BASE / options.name
        self.addresses = Addresses(options.families)
        self.peers = Peers(options.kubernetes)
        self.authority = Authority(self.folder / 'pki')
        self.kubeconfig = self.authority.folder / 'admin.kubeconfig'
        self.switch = self.machine(underlay.SWITCH)
        self.control = ControlPlane(self.machine('control'), self.peers, self.authority, self.addresses)

    @staticmethod
    def load(name='cluster', say=lambda text: None):
        """The cluster that `up` made."""
        try:
            kept = json.loads((BASE / name / 'cluster.json').read_text())
        except (OSError, ValueError):
            raise Refused(f'there is no cluster {name} ({", ".join(known()) or "none"} is there): run ./dev cluster up --name {name}') from None
        return Cluster(Options(**kept['options']), kept['nodes'], say)

    def save(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / 'cluster.json.new'
        new.write_text(json.dumps({'options': dataclasses.asdict(self.options), 'nodes': self.node_names}, indent=1))
        new.rename(self.folder / 'cluster.json')

    def machine(self, name):
        return Machine(self.name, name, self.folder)

    def node(self, name):
        node_number(name)
        if name not in self.node_names:
            raise Refused(f'cluster {self.name} has no {name}: {", ".join(self.node_names)}')
        return Node(self.machine(name), self.peers, self.authority, self.addresses, self.options.proxy)

    def nodes(self):
        return [self.node(name) for name in self.node_names]

    def kubectl(self, *words, **options):
        return self.control.kubectl(*words, **options)

    # ---- up

    def up(self):
        """Makes what is not there and starts what does not run; what is well is left alone."""
        missing = [program for program in PROGRAMS if not shutil.which(program)]
        if missing:
            raise Refused(f'this machine has no {", ".join(missing)}: run ./dev setup --with cluster')
        archives = stacks.images(self.options)
        self.save()
        start = time.monotonic()
        self.say('machines')
        enough_inotify(self.say)
        if not self.switch.pid():
            self.switch.start_machine()
            underlay.make_switch(self.switch, self.addresses)
        self.bring_up(self.control.machine, self.addresses.control)
        self.control.prepare()
        for node in self.nodes():
            self.bring_up(node.machine, node.own)
            node.prepare()
        self.say('control plane, container runtimes, images')
        _, *imported = self.parallel(self.control.up, *[lambda n=node: self.runtime(n, archives) for node in self.nodes()])
        self.say('kubelets' + (', kube-proxies' if self.options.proxy else ''))
        for node in self.nodes():
            for program in node.programs:
                node.start(program)
        self.say(f'network: {self.options.stack}')
        if self.options.stack != 'stock':
            stacks.install_causeway(self.control, self.options, self.addresses, any(stacks.OUR_IMAGE in new for new in imported))
        self.connect()
        if not self.options.own_dns:
            stacks.install_coredns(self.control, self.options, self.addresses)
        self.wait_ready()
        self.say(f'up in {time.monotonic() - start:.0f} s')

    def bring_up(self, machine, own):
        if not machine.pid():
            machine.start_machine()
        if not underlay.is_plugged_in(self.switch, machine):
            underlay.plug_in(self.switch, machine, own, self.addresses)

    @staticmethod
    def runtime(node, archives):
        node.start_containerd()
        return node.import_images(archives)

    @staticmethod
    def parallel(*tasks):
        with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
            return [task.result() for task in [pool.submit(task) for task in tasks]]

    def connect(self, seconds=60):
        """What the harness itself does for the network: routes to the Pods; in stock, the nodes' plugins."""
        cidrs = self.wait_for('a Pod CIDR on every node', self.pod_cidrs, seconds)
        if self.options.stack == 'stock':
            for node in self.nodes():
                stacks.stock_node(node, cidrs[node.name], self.addresses.pods)
        ranges = {}
        for node in self.nodes():
            for cidr in cidrs[node.name]:
                version = ipaddress.ip_network(cidr).version
                ranges.setdefault(str(next(a for a in node.own if a.version == version)), []).append(cidr)
        stacks.route_pods(self, ranges)

    def pod_cidrs(self):
        """{node: Pod CIDRs}, once every node of ours has them."""
        found = {n['metadata']['name']: n['spec'].get('podCIDRs', []) for n in self.control.get('nodes')}
        return found if all(found.get(name) for name in self.node_names) else None

    def wait_ready(self, seconds=180):
        """Every node Ready, every Pod Running and ready (or finished)."""
        for name in self.node_names:
            self.wait_for(f'{name} Ready', lambda n=name: self.is_ready(n), seconds)
        self.wait_for('every Pod Running', lambda: not self.unready_pods(), seconds, self.unready_pods)

    def is_ready(self, name):
        found = [n for n in self.control.get('nodes') if n['metadata']['name'] == name]
        return bool(found) and condition(found[0], 'Ready')

    def unready_pods(self):
        """The Pods that are not yet what they shall be, in words; a DaemonSet or Deployment without its Pods is one, too."""
        lines = []
        for item in self.control.get('pods,daemonsets,deployments', '-A'):
            name, status = f'{item["metadata"]["namespace"]}/{item["metadata"]["name"]}', item['status']
            if item['kind'] == 'Pod':
                if status.get('phase') != 'Succeeded' and not condition(item, 'Ready'):
                    states = [c['state'].get('waiting', {}).get('reason', '') for c in status.get('containerStatuses', [])]
                    lines.append(f'{name} is {status.get("phase")} {" ".join(states)}'.strip())
                continue
            wanted = status.get('desiredNumberScheduled', item['spec'].get('replicas', len(self.node_names)))
            have = min(status.get('numberReady', status.get('readyReplicas', 0)), status.get('updatedNumberScheduled', status.get('updatedReplicas', 0)))
            if status.get('observedGeneration') != item['metadata']['generation'] or have < wanted:
                lines.append(f'{item["kind"]} {name} has {have} of {wanted} Pods ready')
        return lines

    def wait_for(self, what, question, seconds, why=lambda: ''):
        deadline = time.monotonic() + seconds
        while True:
            if answer := question():
                return answer
            if time.monotonic() > deadline:
                raise Refused(f'not in {seconds} s: {what}; {why()} (logs: {self.folder}/logs)')
            time.sleep(0.2)

    # ---- changes, also for tests

    def any_machine(self, name):
        return self.switch if name == underlay.SWITCH else self.control.machine if name == 'control' else self.node(name).machine

    def start_program(self, machine, program):
        owner = self.control if machine == 'control' else self.node(machine)
        programs = CONTROL_PROGRAMS if machine == 'control' else owner.programs
        if program not in programs:
            raise Refused(f'{machine} has no program {program}: {", ".join(programs)}')
        owner.start(program)

    def reboot(self, name):
        """The node's namespaces are destroyed and made again; its disk stays."""
        node = self.node(name)
        node.machine.stop_machine()
        self.start_node(node)

    def start_node(self, node):
        self.bring_up(node.machine, node.own)
        node.prepare()
        self.runtime(node, stacks.images(self.options))
        for program in node.programs:
            node.start(program)

    def add_node(self, name=None):
        """One more node; returns its name."""
        name = name or next(n for n in node_names(99) if n not in self.node_names)
        node_number(name)
        if name in self.node_names:
            raise Refused(f'cluster {self.name} has {name} already')
        self.node_names.append(name)
        self.save()
        self.start_node(self.node(name))
        return name

    def remove_node(self, name):
        """The machine and its Node object; drain it before if its Pods shall move in peace."""
        node = self.node(name)
        node.machine.stop_machine()
        underlay.unplug(self.switch, node.machine)
        self.kubectl('delete', 'node', name, '--ignore-not-found')
        shutil.rmtree(node.machine.disk, ignore_errors=True)
        self.node_names.remove(name)
        self.save()

    def set_wire(self, name, up):
        underlay.set_wire(self.switch, self.any_machine(name), up)


def enough_inotify(say, wanted=4096):
    """Every kubelet, containerd and agent watches files; all of them are one user to the kernel, whose default is 128 watchers."""
    path = pathlib.Path('/proc/sys/fs/inotify/max_user_instances')
    have = int(path.read_text())
    if have >= wanted:
        return
    try:
        path.write_text(str(wanted))
        say(f'fs.inotify.max_user_instances of this machine: {have} -> {wanted}')
    except OSError as error:
        raise Refused(f'fs.inotify.max_user_instances is {have}, too few for a cluster, and cannot be raised: {error}') from None


def condition(item, kind):
    return any(c['type'] == kind and c['status'] == 'True' for c in item['status'].get('conditions', []))


def open_cluster(options, say):
    """The cluster to bring up: a new one, or the one of that name with the same options."""
    options = checked(options)
    try:
        there = Cluster.load(options.name, say)
    except Refused:
        return Cluster(options, node_names(options.nodes), say)
    if dataclasses.replace(there.options, nodes=options.nodes) != options:
        differs = [f'--{f.name.replace("_", "-")} {getattr(there.options, f.name)}' for f in dataclasses.fields(Options)
                   if f.name != 'nodes' and getattr(there.options, f.name) != getattr(options, f.name)]
        raise Refused(f'cluster {options.name} is there with {" ".join(differs)}: take it down first (./dev cluster down --name {options.name})')
    if len(there.node_names) > options.nodes:
        raise Refused(f'cluster {options.name} has {len(there.node_names)} nodes: ./dev cluster remove {there.node_names[-1]}')
    there.options = options
    there.node_names += [n for n in node_names(99) if n not in there.node_names][:options.nodes - len(there.node_names)]
    return there


def down(name):
    """Ends and removes all of it, in whatever state it is; returns whether there was anything."""
    there = name in known()
    cgroups.kill(name)
    cgroups.remove(name)
    shutil.rmtree(BASE / name, ignore_errors=True)
    if (BASE / name).exists():
        raise Refused(f'{BASE / name} cannot be removed; is something of it mounted? (grep {name} /proc/mounts)')
    for top in [cgroups.v2(), *cgroups.v1().values(), BASE]:
        with contextlib.suppress(OSError):
            top.rmdir()  # the last cluster takes it along
    return there
