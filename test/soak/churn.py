#!/usr/bin/env python3
"""./dev soak churn [--minutes 30] [--nodes 3] [--pods 30] [--family dual] [--seed N] [--name soak]

A lab under churn. Two Pods talk across nodes all the time, at a fixed rate. In each round a batch of Pods is made, becomes
Ready, is reached from a steady Pod, and goes; in between agents, the API server and the controller are killed. Held in every
round: the steady Pods lose no packet, no address is given twice, no address or link is left behind. At the end: no process
has grown by more than half, and `lab down` leaves nothing.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault('CAUSEWAY', str(ROOT / 'build/release/apps/causeway'))
sys.path.insert(0, str(ROOT / 'test/lab'))
import lab  # noqa: E402 (it reads CAUSEWAY)

RATE, SECONDS = 500, 20  # datagrams a second, length of one measurement of the steady Pods
LINKS = 'ip -o link show group 51776 | wc -l'  # the host ends of Pods on a node
PATIENCE = 60  # seconds
# NET_ADMIN: for a large receive buffer, without which a busy machine, not the network, loses packets.
PORTS = [{'securityContext': {'capabilities': {'add': ['NET_ADMIN']}}, 'ports': [{'containerPort': 8080}, {'name': 'echo', 'containerPort': 7, 'protocol': 'UDP'}]}]


class Lab(lab.Lab):
    """Asks again while the API server is away: a soak kills it on purpose."""

    def api(self, method, path, *arguments, **options):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return super().api(method, path, *arguments, **options)
            except (OSError, lab.ApiError) as error:
                if isinstance(error, lab.ApiError):
                    if error.code == 409 and method == 'POST' or error.code == 404 and method == 'DELETE':
                        return None  # an earlier try was carried out, its answer was lost
                    if error.code < 500 and error.code != 429:
                        raise
                if time.monotonic() > end:
                    raise AssertionError(f'{method} {path}: the API server stayed away: {error}') from error
                time.sleep(0.2)

    def pods(self, group=''):
        return self.api('GET', '/api/v1/namespaces/default/pods' + (f'?labelSelector=soak={group}' if group else ''))['items']

    def rss(self, what):
        """Resident memory in bytes; 0 while the process is away."""
        try:
            return int(pathlib.Path(f'/proc/{self.pids(what)[0]}/statm').read_text().split()[1]) * os.sysconf('SC_PAGESIZE')
        except (OSError, IndexError):
            return 0


def addresses(pod):
    return [entry['ip'] for entry in pod.get('status', {}).get('podIPs', [])]


def host_port(ip, port):
    return f'[{ip}]:{port}' if ':' in ip else f'{ip}:{port}'


class Churn:
    def __init__(self, one, nodes, count, seed):
        self.lab, self.count, self.random, self.round = one, count, random.Random(seed), 0
        self.nodes = [f'node-{i}' for i in range(1, nodes + 1)]
        self.processes = ['apiserver', 'controller'] + [f'nodes/{n}/agent' for n in self.nodes]
        self.first_rss = {}

    def steady(self):
        """The two Pods that talk all the time, on the first and the last node."""
        for name, node in (('steady-a', self.nodes[0]), ('steady-b', self.nodes[-1])):
            self.lab.create_pod(name, json.loads(json.dumps(PORTS)), nodeName=node)
        self.lab.wait_ready('steady-a')
        self.target = self.lab.wait_ready('steady-b')

    def talk(self):
        return subprocess.Popen([lab.CAUSEWAY, 'lab', 'exec', '--name', self.lab.name, 'steady-a', '--', 'causeway', 'workload',
                                 'connect', '--udp', '--rate', str(RATE), '--seconds', str(SECONDS), '--json',
                                 host_port(self.random.choice(addresses(self.target)), 7)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def heard(self, talk):
        out = talk.communicate(timeout=SECONDS + 30)[0].strip()
        try:
            told = json.loads(out.splitlines()[-1])
        except (ValueError, IndexError):
            raise AssertionError(f'the steady Pods: no report but {out[-300:]!r}') from None
        assert told['lost'] == 0, f'the steady Pods lost packets: {told}'
        return f'{told["sent"]} packets, longest gap {told["longest_gap_ms"]} ms'

    def check_addresses(self):
        seen = {}
        for pod in self.lab.pods():
            for ip in addresses(pod):
                assert ip not in seen, f'{ip} belongs to {seen[ip]} and to {pod["metadata"]["name"]}'
                seen[ip] = pod['metadata']['name']

    def check_links(self):
        for node in self.nodes:
            here = sum(pod['spec'].get('nodeName') == node for pod in self.lab.pods())
            lab.until(f'{node} has the links of its {here} Pods, no more', PATIENCE,
                      lambda: int(self.lab.exec(node, 'sh', '-c', LINKS).stdout) == here)

    def run_round(self):
        self.round += 1
        group, started, talk = f'r{self.round}', time.monotonic(), self.talk()
        victims = self.random.sample(self.processes, self.random.randint(0, 2)) if self.round % 2 == 0 else []
        for number in range(self.count):
            self.lab.create_pod(f'churn-{self.round}-{number}', json.loads(json.dumps(PORTS)), labels={'soak': group},
                                nodeName=self.random.choice(self.nodes), terminationGracePeriodSeconds=1)
            if number == self.count // 3:
                for victim in victims:
                    self.lab.kill(victim)
        lab.until(f'{self.count} Pods of {group} Ready', PATIENCE,
                  lambda: sum(map(lab.ready, self.lab.pods(group))) == self.count)
        ready_after = time.monotonic() - started
        self.check_addresses()
        for pod in self.random.sample(self.lab.pods(group), min(5, self.count)):
            self.lab.exec('steady-a', 'causeway', 'workload', 'connect', '--count', '3', '--quiet',
                          host_port(self.random.choice(addresses(pod)), 8080))
        for pod in self.lab.pods(group):
            self.lab.delete_pod(pod['metadata']['name'])
        lab.until(f'the Pods of {group} gone', PATIENCE, lambda: not self.lab.pods(group))
        self.check_links()
        told = self.heard(talk)
        rss = {what: self.lab.rss(what) for what in self.processes}
        if self.round == 3:
            self.first_rss = rss  # warm by now
        sizes = ' '.join(f'{what.removeprefix("nodes/").removesuffix("/agent")} {size / 1e6:.0f}' for what, size in rss.items())
        print(f'round {self.round}: {self.count} Pods Ready in {ready_after:.1f} s; killed: {" ".join(victims) or "none"}; '
              f'{told}; MB: {sizes}', flush=True)

    def check_growth(self):
        for what, before in self.first_rss.items():
            after = self.lab.rss(what)
            assert not before or after < before * 1.5 + 8e6, \
                f'{what} grew from {before / 1e6:.0f} to {after / 1e6:.0f} MB in {self.round - 3} rounds'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--nodes', type=int, default=3)
    parser.add_argument('--pods', type=int, default=30, help='in each round')
    parser.add_argument('--family', default='dual', choices=('ipv4', 'ipv6', 'dual'))
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 32))
    parser.add_argument('--name', default='soak', help='of the lab')
    options = parser.parse_args()
    print(f'seed {options.seed}', flush=True)
    end, broken_rounds, failed = time.monotonic() + options.minutes * 60, 0, 0
    one = Lab(options.name, '--nodes', str(options.nodes), '--ip-family', options.family)
    churn = Churn(one, options.nodes, options.pods, options.seed)
    try:
        one.up()
        churn.steady()
        while time.monotonic() < end:
            churn.run_round()
        churn.check_growth()
    except AssertionError as broken:
        broken_rounds = failed = 1
        print(f'round {churn.round} (seed {options.seed}): {broken}', flush=True)
    lab.run('lab', 'down', '--name', options.name)
    # Other labs and tests may run beside this one: only what bears its name is looked for.
    left = lab.leftovers(options.name) + [mount for mount in lab.machine()['mounts'] if f'causeway-lab/{options.name}' in mount]
    if left:
        failed += 1
        print(f'lab down left something: {left}', flush=True)
    print(f'{max(0, churn.round - broken_rounds)} passed, {failed} failed')
    return 1 if failed else 0


sys.exit(main())
