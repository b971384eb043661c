#!/usr/bin/env python3
"""./dev soak ipam [--operations 10000] [--workers 8] [--plane netfilter|bpf] [--seed N] [--keep-going]

One node, as a machine of its own: the real agent, the real API server, and this program as kubelet and container runtime.
Workers ADD, CHECK, DEL and GC at random, with Pods and without, with namespaces that are gone, calls that are repeated, and
answers that are lost, while the agent dies by kill -9 at each step of its address journal: before, in the middle of and after
every write, and of every compaction. Held all the time: no address is given twice. Every 500 operations, and at the end, all
stands still and what the agent, the kernel and the API hold is compared with what was asked for; last of all everything is
deleted, and nothing may be left. Ends with "N differences / N leaked" (0/0 is what is wanted).
"""
import argparse
import base64
import json
import os
import pathlib
import random
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'test/soak/shared'))
import runtime  # noqa: E402
from runtime import make_namespace, remove_namespace  # noqa: E402

CAUSEWAY = os.environ.get('CAUSEWAY', str(ROOT / 'build/release/apps/causeway'))
PLUGIN = str(pathlib.Path(CAUSEWAY).parent / 'causeway-cni')
CIDRS = ['10.244.16.0/20', 'fd00:10:244:1::/64']


class Api:
    """The embedded API server, and the few calls that a kubelet makes."""

    def __init__(self):
        self.process = subprocess.Popen([CAUSEWAY, 'apiserver', '--data', '/run/api', '--listen', '127.0.0.1:6443'],
                                        stdin=subprocess.DEVNULL, stdout=open('/run/apiserver.log', 'ab'), stderr=subprocess.STDOUT)
        self.kubeconfig = pathlib.Path('/run/api/admin.kubeconfig')
        deadline = time.monotonic() + 60
        while not self.kubeconfig.exists():
            assert time.monotonic() < deadline and self.process.poll() is None, pathlib.Path('/run/apiserver.log').read_text()
            time.sleep(0.05)
        text = self.kubeconfig.read_text()
        self.server = re.search(r'server: "?([^"\s]+)', text).group(1)
        self.token = re.search(r'token: "?([^"\s]+)', text).group(1)
        ca = base64.b64decode(re.search(r'certificate-authority-data: "?([^"\s]+)', text).group(1)).decode()
        self.tls = ssl.create_default_context(cadata=ca)

    def ask(self, method, path, body=None, content_type='application/json', missing_is_fine=False):
        request = urllib.request.Request(self.server + path, method=method, headers={'Authorization': f'Bearer {self.token}'})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header('Content-Type', content_type)
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404 and missing_is_fine:
                return None
            raise AssertionError(f'{method} {path}: {error.code} {error.read().decode()}') from None

    def make_node(self):
        self.ask('POST', '/api/v1/nodes', {'apiVersion': 'v1', 'kind': 'Node', 'metadata': {'name': 'node-1'},
                                           'spec': {'podCIDR': CIDRS[0], 'podCIDRs': CIDRS}})
        self.ask('PATCH', '/api/v1/nodes/node-1/status', {'status': {'addresses': [{'type': 'InternalIP', 'address': '10.77.0.1'}]}},
                 'application/merge-patch+json')

    def make_pod(self, name):
        return self.ask('POST', '/api/v1/namespaces/default/pods', {
            'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name},
            'spec': {'nodeName': 'node-1', 'containers': [{'name': 'c', 'image': 'none'}]}})['metadata']['uid']

    def say_addresses(self, name, addresses):
        self.ask('PATCH', f'/api/v1/namespaces/default/pods/{name}/status',
                 {'status': {'phase': 'Running', 'podIP': addresses[0], 'podIPs': [{'ip': ip} for ip in addresses]}},
                 'application/merge-patch+json')

    def remove_pod(self, name):
        self.ask('DELETE', f'/api/v1/namespaces/default/pods/{name}', {'kind': 'DeleteOptions', 'apiVersion': 'v1', 'gracePeriodSeconds': 0},
                 missing_is_fine=True)

    def pods(self):
        return self.ask('GET', '/api/v1/namespaces/default/pods')['items']


class Agent:
    """The real agent, started again whenever it dies; each life has its step to die at."""

    def __init__(self, plane, seed):
        self.plane, self.random, self.lives, self.deadly, self.stopping = plane, random.Random(seed), 0, False, False
        self.process, self.killed = None, 0
        self.shim = '/run/journal_kill.so'
        subprocess.run(['clang-19', '-shared', '-fPIC', '-O1', '-o', self.shim, str(ROOT / 'test/soak/journal_kill.c'), '-ldl'], check=True)
        self.thread = threading.Thread(target=self.keep, daemon=True)
        self.thread.start()

    def environment(self):
        env = {**os.environ, 'LD_PRELOAD': self.shim}
        if self.deadly:
            # Every step that a life has, in order; then deep into long lives; now and then in the middle of a compaction.
            number = self.killed
            env['JOURNAL_KILL_AT'] = str(number + 1 if number < 60 else self.random.randrange(1, 900))
            if number >= 60 and number % 6 == 0:
                env.update(JOURNAL_KILL_SIDE='1', JOURNAL_KILL_AT=str(self.random.randrange(1, 6)))
        return env

    def keep(self):
        while not self.stopping:
            env = self.environment()
            self.lives += 1
            self.process = subprocess.Popen(
                [CAUSEWAY, 'agent', '--node', 'node-1', '--kubeconfig', '/run/api/admin.kubeconfig', '--plane', self.plane, '--cluster-cidr',
                 '10.244.0.0/16,fd00:10:244::/48', '--healthz-bind-address', '', '--metrics-bind-address', '', '--conntrack-entries', '1024'],
                stdin=subprocess.DEVNULL, stdout=open('/run/agent.log', 'ab'), stderr=subprocess.STDOUT, env=env)
            status = self.process.wait()
            if 'JOURNAL_KILL_AT' in env and status == -9:
                self.killed += 1
            elif not self.stopping and status not in (-9, 0):
                print(f'the agent ended with {status}:\n{tail("/run/agent.log")}', flush=True)
                time.sleep(1)

    def immortal(self, yes):
        """From now on no life ends, or each does; the running one is replaced."""
        self.deadly = not yes
        self.process.kill()
        self.wait_ready()

    def wait_ready(self, seconds=120):
        deadline = time.monotonic() + seconds
        while cni('STATUS')[0] != 0:
            assert time.monotonic() < deadline, f'the agent does not get ready\n{tail("/run/agent.log")}'
            time.sleep(0.05)

    def stop(self):
        self.stopping = True
        self.process.kill()
        self.thread.join()


def tail(path, lines=15):
    return '\n'.join(pathlib.Path(path).read_text(errors='replace').splitlines()[-lines:])


def cni(command, *arguments, **more):
    return runtime.cni(PLUGIN, command, *arguments, **more)


class Container:
    def __init__(self, name, pod):
        self.name, self.pod, self.netns, self.uid = name, pod, None, ''
        self.result, self.addresses = None, []

    def args(self):
        if not self.pod:
            return ''
        return runtime.pod_args('default', self.name, self.uid)


class Gate:
    """Operations go on side by side; who compares, or collects, is alone."""

    def __init__(self):
        self.lock, self.running, self.closed = threading.Condition(), 0, False

    def __enter__(self):
        with self.lock:
            self.lock.wait_for(lambda: not self.closed)
            self.running += 1

    def __exit__(self, *_):
        with self.lock:
            self.running -= 1
            self.lock.notify_all()

    def alone(self, action):
        with self.lock:
            self.lock.wait_for(lambda: not self.closed)
            self.closed = True
            self.lock.wait_for(lambda: self.running == 0)
        try:
            return action()
        finally:
            with self.lock:
                self.closed = False
                self.lock.notify_all()


class Soak:
    def __init__(self, options):
        self.options, self.api = options, Api()
        self.api.make_node()
        self.agent = Agent(options.plane, options.seed)
        self.gate, self.lock = Gate(), threading.Lock()
        self.live, self.owner = {}, {}  # containers whose ADD was answered; address -> container
        self.done, self.count = 0, {}
        self.broken = []

    def differ(self, what):
        with self.lock:
            self.broken.append(what)
            print(f'DIFFERENCE after {self.done} operations: {what}', flush=True)

    # ---- what a runtime does

    def counted(self, what):
        with self.lock:
            self.done += 1
            self.count[what] = self.count.get(what, 0) + 1

    def add(self, one):
        status, answer = cni('ADD', one.name, one.netns, one.args())
        if status != 0:
            assert answer.get('code') in (11, 100, 101, 5), f'ADD of {one.name}: {answer}'
            return False
        addresses, wrong = [entry['address'].split('/')[0] for entry in answer['ips']], []
        with self.lock:
            for ip in addresses:
                other = self.owner.get(ip)
                if other not in (None, one.name):
                    wrong.append(f'{ip} was given to {one.name}, while {other} has it')
                self.owner[ip] = one.name
            if one.addresses and one.addresses != addresses:
                wrong.append(f'{one.name} had {one.addresses}, a repeated ADD gave it {addresses}')
            one.result, one.addresses = answer, addresses
            self.live[one.name] = one
        for what in wrong:
            self.differ(what)
        return True

    def delete(self, one, dice):
        """As containerd does: the namespace may be gone by then, and a DEL may come twice."""
        netns = one.netns
        if dice.random() < 0.3:
            remove_namespace(one.name)
            netns = '' if dice.random() < 0.5 else netns
        with self.lock:  # from here on its addresses may be another's
            self.live.pop(one.name, None)
            for ip in one.addresses:
                if self.owner.get(ip) == one.name:
                    del self.owner[ip]
        for _ in range(2 if dice.random() < 0.1 else 1):
            status, answer = cni('DEL', one.name, netns, one.args())
            if status != 0:
                self.differ(f'DEL of {one.name} failed: {answer}')
        remove_namespace(one.name)
        if one.pod:
            self.api.remove_pod(one.name)

    def start(self, number, dice):
        one = Container(f'c{number:06d}', dice.random() < 0.4)
        if one.pod:
            one.uid = self.api.make_pod(one.name)
        one.netns, _ = make_namespace(one.name)
        good = self.add(one)
        self.counted('ADD')
        if not good and dice.random() < 0.5:  # some runtimes ask again, the others give the sandbox up
            good = self.add(one)
            self.counted('ADD')
        if not good:
            self.delete(one, dice)
            self.counted('DEL')
            return None
        if one.pod:
            self.api.say_addresses(one.name, one.addresses)
        return one

    def check(self, one):
        status, answer = cni('CHECK', one.name, one.netns, one.args(), {'prevResult': one.result})
        if status != 0 and answer.get('code') != 11:
            self.differ(f'CHECK of {one.name}: {answer}')
        self.counted('CHECK')

    def collect(self, orphans):
        """Some sandboxes that the runtime has forgotten; GC names the rest."""
        def alone():
            for one in orphans:
                with self.lock:
                    self.live.pop(one.name, None)
                    for ip in one.addresses:
                        self.owner.pop(ip, None)
            known = [{'containerID': name, 'ifname': 'eth0'} for name in self.live]
            for _ in range(20):
                status, answer = cni('GC', more={'cni.dev/valid-attachments': known})
                if status == 0:
                    break
                time.sleep(0.2)  # the agent died
            else:
                self.differ(f'GC: {answer}')
            for one in orphans:
                remove_namespace(one.name)
                if one.pod:
                    self.api.remove_pod(one.name)
        self.gate.alone(alone)
        self.counted('GC')

    def work(self, worker):
        dice, mine, number = random.Random(self.options.seed * 100 + worker), [], worker
        try:
            while self.done < self.options.operations and not self.stopped():
                choice = dice.random()
                if choice < 0.004 and len(mine) > 3:
                    self.collect([mine.pop(dice.randrange(len(mine))) for _ in range(2)])
                    continue
                with self.gate:
                    if choice < 0.45 and len(mine) < 30 or not mine:
                        number += self.options.workers
                        if one := self.start(number, dice):
                            mine.append(one)
                    elif choice < 0.80:
                        self.delete(mine.pop(dice.randrange(len(mine))), dice)
                        self.counted('DEL')
                    elif choice < 0.85:
                        self.add(dice.choice(mine))
                        self.counted('ADD again')
                    else:
                        self.check(dice.choice(mine))
        except Exception as error:
            self.differ(f'worker {worker}: {type(error).__name__}: {error}')
        self.left = getattr(self, 'left', []) + mine

    def stopped(self):
        return self.broken and not self.options.keep_going

    # ---- comparing

    def compare(self):
        """All stands still; the agent lives. What it, the kernel and the API hold, beside what was asked for."""
        listed = self.ask('pod', 'ls')
        held = {one['container']: one['addresses'] for one in listed['attachments']}
        wanted = {one.name: one.addresses for one in self.live.values()}
        found = [f'agent: {line}' for line in listed['differences']]
        found += [f'{name} was answered {wanted[name]}, the agent holds {held.get(name)}' for name in wanted if held.get(name) != wanted[name]]
        found += [f'{name} is not there, but the agent holds {held[name]}' for name in held if name not in wanted]
        links = json.loads(subprocess.run(['ip', '-j', 'link', 'show', 'group', '51776'], stdout=subprocess.PIPE, check=True).stdout or '[]')
        names = {link['ifname'] for link in links if link}
        told = {one['hostInterface'] for one in listed['attachments']}
        found += [f'kernel: link {name} of nobody' for name in names - told] + [f'kernel: no link {name}' for name in told - names]
        routed = set()
        for family in ('-4', '-6'):
            for route in json.loads(subprocess.run(['ip', '-j', family, 'route', 'show', 'proto', '202'], stdout=subprocess.PIPE).stdout or '[]'):
                if '/' not in route['dst']:
                    routed.add(route['dst'])
        addresses = {ip for several in wanted.values() for ip in several}
        found += [f'kernel: a route to {ip}, which nobody has' for ip in routed - addresses]
        found += [f'kernel: no route to {ip}' for ip in addresses - routed]
        pods = {pod['metadata']['name']: [e['ip'] for e in pod.get('status', {}).get('podIPs', [])] for pod in self.api.pods()}
        found += [f'API: Pod {name} has {ips}, the agent {held.get(name)}' for name, ips in pods.items() if ips != held.get(name)]
        found += [f'API: no Pod {one.name}' for one in self.live.values() if one.pod and one.name not in pods]
        ranges = self.ask('ipam')['ranges']
        for one in ranges:
            if one['held'] != len(wanted):
                found.append(f'ipam: {one["cidr"]} counts {one["held"]} held, {len(wanted)} are')
        return found

    @staticmethod
    def ask(*command):
        done = subprocess.run([CAUSEWAY, *command, '-o', 'json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.stdout, f'causeway {" ".join(command)}: {done.stderr}'
        return json.loads(done.stdout)

    def settled(self):
        """What still goes on (links on their way out, a watch that lags) is over within seconds."""
        deadline = time.monotonic() + 30
        while (found := self.compare()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def pause_and_compare(self):
        def alone():
            self.agent.immortal(True)
            for line in self.settled():
                self.differ(line)
            print(f'{self.done} operations ({", ".join(f"{n} {c}" for n, c in sorted(self.count.items()))}), {self.agent.killed} kills, '
                  f'{len(self.live)} live, {len(self.broken)} differences', flush=True)
            if self.done < self.options.operations:
                self.agent.immortal(False)
        self.gate.alone(alone)

    def run(self):
        self.agent.wait_ready()
        self.agent.immortal(False)
        workers = [threading.Thread(target=self.work, args=(i,)) for i in range(self.options.workers)]
        for worker in workers:
            worker.start()
        next_round = 500
        while any(worker.is_alive() for worker in workers):
            time.sleep(0.05)
            if self.done >= next_round:
                self.pause_and_compare()
                next_round += 500
        self.pause_and_compare()
        return len(self.broken), self.delete_all()

    def delete_all(self):
        self.agent.immortal(True)
        dice = random.Random(self.options.seed)
        for one in list(self.live.values()):
            self.delete(one, dice)
        left = self.settled()
        for line in left:
            print(f'LEAKED: {line}', flush=True)
        return len(left)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--operations', type=int, default=10000)
    parser.add_argument('--workers', type=int, default=8)
    parser.add_argument('--plane', default='netfilter', choices=('netfilter', 'bpf'))
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 32))
    parser.add_argument('--keep-going', action='store_true', help='beyond the first difference')
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        alone = ROOT / 'test/deploy/alone.sh'
        os.execvp('bash', ['bash', str(alone), sys.executable, __file__, *sys.argv[1:], '--seed', str(options.seed), '--inside'])
    print(f'seed {options.seed}, plane {options.plane}', flush=True)
    start, soak = time.monotonic(), Soak(options)
    try:
        differences, leaked = soak.run()
    finally:
        soak.agent.stop()
        soak.api.process.kill()
    if differences or leaked:
        print(f'the agent said last:\n{tail("/run/agent.log", 40)}')
    print(f'{soak.done} operations in {time.monotonic() - start:.0f} s, {soak.agent.killed} kills at journal steps, {soak.agent.lives} lives: '
          f'{differences} differences / {leaked} leaked')
    return 1 if differences or leaked else 0


sys.exit(main())
