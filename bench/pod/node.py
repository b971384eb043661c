"""The native runtime (main.cc) and the nodes that it works in: one of a lab with our agent, or an empty one for the reference plugins."""
import json
import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.argv[1:] = [os.environ.get('CAUSEWAY') or str(ROOT / 'build/release/apps/causeway'), *sys.argv[1:]]
sys.path[:0] = [str(ROOT / 'test/lab')]
import lab  # noqa: E402

RUNTIME = ROOT / 'build/release/bench/pod/bench_pod'
SUBNET = '10.88.0.0/16'
PORTS = {'portMappings': [{'hostPort': '@NUMBER@', 'containerPort': 80, 'protocol': 'tcp'}]}


class BenchError(Exception):
    pass


def config(**fields):
    """@NUMBER@ stands for a number, not for a string."""
    return json.dumps({'cniVersion': '1.0.0', **fields}, separators=(',', ':')).replace('"@NUMBER@"', '@NUMBER@')


class Runtime:
    """One process of the native runtime. announce(name): the API learns of this Pod before it is connected."""

    def __init__(self, where, announce=None):
        self.announce = announce
        self.process = subprocess.Popen([RUNTIME], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ask(where)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().rstrip('\n')
        if not answer or answer.startswith('error '):
            raise BenchError(answer or f'the runtime died: {" ".join(map(str, words))[:200]}')
        return answer

    def pods(self, name, count, interfaces=1):
        """So many attachments, in namespaces of so many interfaces each."""
        self.ask('pods', name, count, interfaces)
        for number in range(count // interfaces) if self.announce else ():
            self.announce(f'{name}-{number}')

    def network(self, name, path, *plugins):
        """plugins: (program, configuration)."""
        self.ask('network', name, path)
        for program, text in plugins:
            self.ask('plugin', name, program, text)

    def times(self, command, network, pods, lanes=1):
        """(seconds in all, [milliseconds])."""
        wall, *each = map(float, self.ask(command, network, pods, lanes).split())
        return wall, each


class Ours:
    """A node of a lab with our agent. Networks: plain, hostport, and what limit() makes. Its Pods are objects of the API, bound to
    the node before they are connected, as they are where a kubelet asks for them; the node's own nodelet is stopped meanwhile."""

    def __init__(self, name, *options):
        self.known = set()
        self.lab = lab.Lab(f'bpod-{name}', '--nodes', '1', '--node-cidr-mask-size-ipv4', '18', *options)

    def __enter__(self):
        self.lab.up()
        agent = lab.until('an agent', 30, lambda: self.lab.pids('nodes/node-1/agent'))[0]
        for pid in self.lab.pids('nodes/node-1/nodelet'):
            os.kill(pid, signal.SIGSTOP)
        self.lab.api('POST', '/api/v1/namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'bench'}})
        self.runtime = Runtime(f'enter {agent}', self.announce)
        self.add_network('plain')
        self.add_network('hostport', runtimeConfig=PORTS)
        return self

    def __exit__(self, *_):
        self.runtime.close()
        self.lab.__exit__()

    def announce(self, pod):
        if pod not in self.known:
            self.known.add(pod)
            self.lab.create_pod(pod, ns='bench', nodeName='node-1')

    def add_network(self, name, **fields):
        program = '/opt/cni/bin/causeway-cni'
        self.runtime.network(name, '/opt/cni/bin', (program, config(name='causeway', type='causeway-cni', **fields)))

    def limit(self, name, **rates):
        """Bits per second, as kubelet's runtimes pass them: without a burst of their own."""
        fields = {}
        for direction, rate in rates.items():
            fields |= {f'{direction}Rate': rate, f'{direction}Burst': 2**32 - 1}
        self.add_network(name, runtimeConfig={'bandwidth': fields})


def peer_path(name):
    done = subprocess.run([ROOT / 'tools/dev/peer-path', name], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise BenchError(done.stderr.strip())
    return pathlib.Path(done.stdout.strip())


class Reference:
    """An empty node with the CNI project's plugins: pinned ones, or Debian's. Networks: bridge, ptp, bridge-portmap."""

    def __init__(self, folder=None):
        names = ('bridge', 'ptp', 'host-local', 'portmap', 'bandwidth')
        self.programs = {name: pathlib.Path(folder) / name if folder else peer_path(name) for name in names}
        missing = [str(path) for path in self.programs.values() if not path.exists()]
        if missing:
            raise BenchError(f'{", ".join(missing)} {"is" if len(missing) == 1 else "are"} not installed')

    def __enter__(self):
        self.runtime = Runtime('fresh')
        path = ':'.join({str(program.parent) for program in self.programs.values()})
        # A state folder for each: host-local reads all of it every time.
        for name in ('bridge', 'ptp'):
            for chained in ([], ['portmap']):
                full = '-'.join([name, *chained])
                main = {'ipam': {'type': 'host-local', 'dataDir': f'/run/{full}', 'ranges': [[{'subnet': SUBNET}]],
                                 'routes': [{'dst': '0.0.0.0/0'}]}}
                if name == 'bridge':
                    main |= {'bridge': f'br-{len(full)}', 'isGateway': True}
                if chained:
                    main['ipMasq'] = True
                plugins = [(self.programs[name], config(name=full, type=name, **main))]
                plugins += [(self.programs[one], config(name=full, type=one, runtimeConfig=PORTS)) for one in chained]
                self.runtime.network(full, path, *plugins)
        return self

    def limit(self, name, **rates):
        """bridge, and behind it the plugin bandwidth with a burst of its own."""
        fields = {}
        for direction, rate in rates.items():
            fields |= {f'{direction}Rate': rate, f'{direction}Burst': 800_000}
        main = config(name=name, type='bridge', bridge='br-bw', isGateway=True,
                      ipam={'type': 'host-local', 'dataDir': f'/run/{name}', 'ranges': [[{'subnet': '10.89.0.0/16'}]]})
        path = ':'.join({str(program.parent) for program in self.programs.values()})
        self.runtime.network(name, path, (self.programs['bridge'], main),
                             (self.programs['bandwidth'], config(name=name, type='bandwidth', runtimeConfig={'bandwidth': fields})))

    def __exit__(self, *_):
        self.runtime.close()
