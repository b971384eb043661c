#!/usr/bin/env python3
"""./dev soak podstart [--count 10000] [--plane bpf,netfilter] [--lanes 4] [--keep-going]

Pods start under a policy that denies all, while a Pod of their own node and one of another send 1,000 datagrams a second to each of
their addresses, both families, from before their ADD. What comes into the Pod's namespace is counted from before it has an interface:
nothing may. Every tenth is a control: a policy allows it, and it has to get them, by the same senders at the same time; every
fiftieth of the denied gets the control's label afterwards and has to get them then, so that they were on their way. The count is
split between the planes. It prints one line for each 500 Pods and ends with "N passed, N failed" (Pods).
"""
import argparse
import http.client
import ipaddress
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault('CAUSEWAY', str(ROOT / 'build/release/apps/causeway'))
sys.path.insert(0, str(ROOT / 'test/lab'))
import lab  # noqa: E402 (it reads CAUSEWAY)

SHARED = ROOT / 'test/soak/shared'
PORT, RATE = 7077, 1000
AHEAD = 4        # as many addresses get datagrams though no ADD has begun yet
HOLD = 0.05      # seconds that a denied Pod is looked at after its ADD
WANTED = 5       # datagrams of each family that a control has to get
CONTROL, OPENED = 10, 50
POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies'
PODS = '/api/v1/namespaces/default/pods'


class Link:
    """A connection to the API server that stays open; one thread's."""

    def __init__(self, one):
        where = urllib.parse.urlsplit(one.server)
        self.token, self.link = one.token, http.client.HTTPSConnection(where.hostname, where.port, context=one.tls, timeout=60)

    def ask(self, method, path, body=None, content_type='application/json'):
        self.link.request(method, path, body and json.dumps(body), {'Authorization': f'Bearer {self.token}', 'Content-Type': content_type})
        answer = self.link.getresponse()
        text = answer.read()
        assert answer.status < 300 or method == 'DELETE' and answer.status == 404, f'{method} {path}: {answer.status} {text[:300]}'
        return json.loads(text)


class Senders:
    """Even Pods hear from `near`, on their node, odd ones from `far`."""

    def __init__(self, one):
        self.programs = [subprocess.Popen([lab.CAUSEWAY, 'lab', 'exec', '--name', one.name, name, '--', 'python3', SHARED / 'sender.py',
                                           str(RATE), str(PORT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                         for name in ('near', 'far')]

    def aim(self, targets):
        """[(number of the Pod, its addresses)]"""
        for which, program in enumerate(self.programs):
            print(*(ip for number, ips in targets if number % 2 == which for ip in ips), file=program.stdin, flush=True)

    def stop(self):
        """(datagrams sent, the least rate to one address in a whole second)"""
        told = [program.communicate(timeout=30)[0].split() for program in self.programs]
        return sum(int(sent) for sent, _ in told), min(int(least) for _, least in told)


class Starts:
    def __init__(self, one, options, count):
        self.lab, self.options, self.count = one, options, count
        self.lock, self.next, self.active = threading.Lock(), 0, set()
        self.passed, self.failures, self.controls, self.opened, self.add = 0, [], 0, 0, []
        cidrs = one.api('GET', '/api/v1/nodes/node-1')['spec']['podCIDRs']
        # Far above what the lab gives by itself.
        self.first = [ipaddress.ip_network(cidr)[4000] for cidr in cidrs]
        assert count < 12000, 'the node has not so many addresses'
        self.senders = Senders(one)

    def addresses(self, number):
        return [str(ip + number) for ip in self.first]

    def take(self):
        with self.lock:
            if self.next == self.count or self.failures and not self.options.keep_going:
                return None
            number, self.next = self.next, self.next + 1
            self.active.add(number)
            self.aim()
            return number

    def aim(self):
        wanted = sorted(self.active) + list(range(self.next, min(self.next + AHEAD, self.count)))
        self.senders.aim([(number, self.addresses(number)) for number in wanted])

    def done(self, number, problem):
        with self.lock:
            self.active.discard(number)
            if problem:
                self.failures.append(problem)
                print(f'Pod {number} ({", ".join(self.addresses(number))}): {problem}', flush=True)
            else:
                self.passed += 1
            done = self.passed + len(self.failures)
            if done % 500 == 0 or done == self.count:
                add = sorted(self.add)
                print(f'{self.options.running}: {done} Pods, {self.controls} of them allowed, {self.opened} allowed later, {len(self.failures)} failed; '
                      f'ADD {1000 * add[len(add) // 2]:.0f} ms median', flush=True)

    def one_pod(self, number, link, program):
        name, control = f'p{number}', number % CONTROL == CONTROL - 1
        later = number % OPENED == 0
        uid = link.ask('POST', PODS, {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {
            'name': name, 'labels': {'soak': 'podstart', 'role': 'control' if control else 'denied'}},
            'spec': {'nodeName': 'node-1', 'terminationGracePeriodSeconds': 0, 'containers': [{'name': 'c', 'image': 'none'}]}})['metadata']['uid']

        def tell(**more):
            print(json.dumps(more), file=program.stdin, flush=True)
            return json.loads(program.stdout.readline())
        try:
            told = tell(name=name, uid=uid, ns='default', ips=self.addresses(number), hold=0 if control else HOLD,
                        wait=WANTED if control else 0, later=WANTED if later else 0)
            if 'error' in told:
                return told['error']
            heard = told['heard']
            self.add.append(told['add'])
            if later:
                link.ask('PATCH', f'{PODS}/{name}', {'metadata': {'labels': {'role': 'control'}}}, 'application/merge-patch+json')
                told = tell()
                self.opened += 1
            if control:
                self.controls += 1
                return None if min(heard.values()) >= WANTED else f'is allowed, and got {heard} in 20 s'
            if any(heard.values()):
                return f'is denied, and got {heard}'
            if later and ('error' in told or min(told['heard'].values()) < WANTED):
                return f'was denied, is allowed now, and got {told}'
            return None
        finally:
            link.ask('DELETE', f'{PODS}/{name}', {'kind': 'DeleteOptions', 'apiVersion': 'v1', 'gracePeriodSeconds': 0})

    def lane(self):
        link = Link(self.lab)
        program = subprocess.Popen([lab.CAUSEWAY, 'lab', 'exec', '--name', self.lab.name, 'node-1', '--', 'python3', SHARED / 'starts.py',
                                    '/opt/cni/bin/causeway-cni', str(PORT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while (number := self.take()) is not None:
            try:
                self.done(number, self.one_pod(number, link, program))
            except Exception as error:  # told with the Pod
                self.done(number, f'{type(error).__name__}: {error}')
        program.stdin.close()
        program.wait()

    def run(self):
        lanes = [threading.Thread(target=self.lane) for _ in range(self.options.lanes)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        return self.senders.stop()


def prepare(one):
    """The policies; two Pods that send; node-1 starts no Pods by itself any more."""
    for name, node in (('near', 'node-1'), ('far', 'node-2')):
        one.create_pod(name, nodeName=node)
    for name in ('near', 'far'):
        one.wait_ready(name, 60)
    for name, spec in (('deny', {'podSelector': {'matchLabels': {'soak': 'podstart'}}, 'policyTypes': ['Ingress', 'Egress']}),
                       ('control', {'podSelector': {'matchLabels': {'soak': 'podstart', 'role': 'control'}}, 'ingress': [{'ports': [{'protocol': 'UDP', 'port': PORT}]}]})):
        one.api('POST', POLICIES, {'apiVersion': 'networking.k8s.io/v1', 'kind': 'NetworkPolicy', 'metadata': {'name': name}, 'spec': spec})
    for pid in one.pids('nodes/node-1/nodelet'):
        os.kill(pid, signal.SIGSTOP)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=10000, help='of Pods, split between the planes')
    parser.add_argument('--plane', default='bpf,netfilter')
    parser.add_argument('--lanes', type=int, default=4, help='Pods that start at the same time')
    parser.add_argument('--keep-going', action='store_true', help='beyond the first failure')
    parser.add_argument('--name', default='soak', help='of the lab')
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the lab is taken down
    planes, passed, failed = options.plane.split(','), 0, 0
    for plane in planes:
        options.running = plane
        begun = time.monotonic()
        with lab.Lab(options.name, '--nodes', '2', '--plane', plane, '--ip-family', 'dual', '--node-cidr-mask-size-ipv4', '18') as one:
            prepare(one)
            starts = Starts(one, options, options.count // len(planes))
            sent, least = starts.run()
        passed, failed = passed + starts.passed, failed + len(starts.failures)
        print(f'{plane}: {starts.passed} passed, {len(starts.failures)} failed in {time.monotonic() - begun:.0f} s; {sent:,} datagrams sent, '
              f'never fewer than {least} a second to each address', flush=True)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


sys.exit(main())
