#!/usr/bin/env python3
"""./dev soak churn [--minutes 30] [--nodes 3] [--pods 30] [--family dual] [--seed N] [--name soak]

A lab under churn. Two Pods talk across nodes all the time, at a fixed rate. In each round a batch of Pods is made, becomes
Ready, is reached from a steady Pod, and goes; in between agents, the API server and the controller are killed. Held in every
round: the steady Pods lose no packet, no address is given twice, no address or link is left behind. At the end: no process
has grown by more than half, and `lab down` leaves nothing.
"""
import argparse
import json
import random
import sys
import time

from lab import CAUSEWAY, Failure, Lab, eventually

RATE, SECONDS = 500, 20  # datagrams a second, length of one measurement of the steady Pods
LINKS = 'ip -o link show group 51776 | wc -l'  # the host ends of Pods on a node


def pod(name, node, group):
    return {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'labels': {'soak': group}},
            'spec': {'nodeName': node, 'terminationGracePeriodSeconds': 1, 'containers': [
                {'name': 'main', 'image': 'workload', 'ports': [
                    {'containerPort': 8080}, {'name': 'echo', 'containerPort': 7, 'protocol': 'UDP'}]}]}}


def ready(item):
    return any(c['type'] == 'Ready' and c['status'] == 'True' for c in item.get('status', {}).get('conditions', []))


def addresses(item):
    return [entry['ip'] for entry in item.get('status', {}).get('podIPs', [])]


def host_port(ip, port):
    return f'[{ip}]:{port}' if ':' in ip else f'{ip}:{port}'


class Churn:
    def __init__(self, lab, count, seed):
        self.lab, self.count, self.random, self.round = lab, count, random.Random(seed), 0
        self.nodes = [f'node-{i}' for i in range(1, lab.nodes + 1)]
        self.processes = ['apiserver', 'controller'] + [f'nodes/{n}/agent' for n in self.nodes]
        self.first_rss = {}

    def steady(self):
        """The two Pods that talk all the time, on the first and the last node."""
        for name, node in (('steady-a', self.nodes[0]), ('steady-b', self.nodes[-1])):
            self.lab.request('POST', '/api/v1/namespaces/default/pods', pod(name, node, 'steady'))
        eventually('the steady Pods are Ready', lambda: all(map(ready, self.lab.pods('soak=steady'))) or 'not Ready')
        self.target = next(p for p in self.lab.pods('soak=steady') if p['metadata']['name'] == 'steady-b')

    def talk(self):
        target = host_port(self.random.choice(addresses(self.target)), 7)
        return self.lab.spawn('steady-a', CAUSEWAY, 'workload', 'connect', '--udp', '--rate', str(RATE), '--seconds', str(SECONDS),
                              '--json', target)

    def heard(self, talk):
        out = talk.communicate(timeout=SECONDS + 30)[0]
        try:
            told = json.loads(out.strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise Failure(f'the steady Pods: no report but {out.strip()[-300:]!r}') from None
        if told['lost']:
            raise Failure(f'the steady Pods lost packets: {told}')
        return told

    def check_addresses(self):
        seen = {}
        for item in self.lab.pods():
            for ip in addresses(item):
                if ip in seen and not item['spec'].get('hostNetwork'):
                    raise Failure(f'{ip} belongs to {seen[ip]} and to {item["metadata"]["name"]}')
                seen[ip] = item['metadata']['name']

    def run_round(self):
        self.round += 1
        started = time.monotonic()
        talk = self.talk()
        group = f'r{self.round}'
        victims = self.random.sample(self.processes, self.random.randint(0, 2)) if self.round % 2 == 0 else []
        for number in range(self.count):
            self.lab.request('POST', '/api/v1/namespaces/default/pods',
                             pod(f'churn-{self.round}-{number}', self.random.choice(self.nodes), group))
            if victims and number == self.count // 3:
                for victim in victims:
                    self.lab.kill(victim)
        eventually(f'{self.count} Pods of {group} are Ready',
                   lambda: (lambda n: n == self.count or f'{n} Ready')(sum(map(ready, self.lab.pods(f'soak={group}')))))
        ready_after = time.monotonic() - started
        self.check_addresses()
        for item in self.random.sample(self.lab.pods(f'soak={group}'), min(5, self.count)):
            ip = self.random.choice(addresses(item))
            done = self.lab.exec('steady-a', CAUSEWAY, 'workload', 'connect', '--count', '3', '--quiet', host_port(ip, 8080))
            if done.returncode:
                raise Failure(f'steady-a cannot reach {item["metadata"]["name"]} {ip}: {done.stdout}{done.stderr}')
        for item in self.lab.pods(f'soak={group}'):
            self.lab.request('DELETE', f'/api/v1/namespaces/default/pods/{item["metadata"]["name"]}')
        eventually(f'the Pods of {group} are gone',
                   lambda: (lambda n: n == 0 or f'{n} left')(len(self.lab.pods(f'soak={group}'))))
        for node in self.nodes:
            here = sum(p['spec'].get('nodeName') == node and not p['spec'].get('hostNetwork') for p in self.lab.pods())
            eventually(f'{node} has the links of its {here} Pods',
                       lambda: (lambda n: n == here or f'{n} links')(int(self.lab.exec(node, 'sh', '-c', LINKS).stdout or -1)))
        told = self.heard(talk)
        rss = {what: self.lab.rss(what) for what in self.processes}
        if self.round == 3:
            self.first_rss = rss  # warm by now
        text = ' '.join(f'{what.split("/")[-2] if "/" in what else what} {size / 1e6:.0f}' for what, size in rss.items())
        print(f'round {self.round}: {self.count} Pods Ready in {ready_after:.1f} s, killed {len(victims)} ({" ".join(victims)}), '
              f'steady {told}, MB: {text}', flush=True)

    def check_growth(self):
        for what, before in self.first_rss.items():
            after = self.lab.rss(what)
            if before and after > before * 1.5 + 8e6:
                raise Failure(f'{what} grew from {before / 1e6:.0f} to {after / 1e6:.0f} MB in {self.round - 3} rounds')


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
    lab = Lab(options.name, options.nodes, options.family)
    churn = Churn(lab, options.pods, options.seed)
    end, failed = time.monotonic() + options.minutes * 60, 0
    try:
        lab.up()
        churn.steady()
        while time.monotonic() < end:
            churn.run_round()
        churn.check_growth()
    except Failure as failure:
        failed = 1
        print(f'round {churn.round} (seed {options.seed}): {failure}', flush=True)
    try:
        lab.down()
    except Failure as failure:
        failed += 1
        print(failure, flush=True)
    print(f'{churn.round - min(failed, churn.round)} passed, {failed} failed')
    return 1 if failed else 0


sys.exit(main())
