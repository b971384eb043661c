"""A node for the judges of the plugin: a network namespace with an agent's CNI server, Pods as namespaces, plugins of both sides."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / 'build/release'
AGENT = BUILD / 'test/kernel/pod/pod_test_agent'
PLUGIN = BUILD / 'apps/causeway-cni'
PREFIX = 'cwcnijudge'
THEIRS = ('bridge', 'ptp', 'host-local', 'portmap', 'bandwidth', 'loopback')


class Failed(Exception):
    """What a spec saw is not what it wants."""


def want(condition, said):
    if not condition:
        raise Failed(str(said))


def run(*command, env=None, check=True, timeout=60):
    done = subprocess.run([str(word) for word in command], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise Failed(f'{" ".join(map(str, command))}: exit {done.returncode}: {done.stdout}{done.stderr}')
    return done


def alive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def sweep():
    """What killed runs left: namespaces and folders carry the pid of their maker."""
    for name in run('ip', 'netns', 'list').stdout.split('\n'):
        name = name.split(' ')[0]
        if found := re.match(PREFIX + r'-(\d+)-', name):
            if not alive(int(found[1])):
                run('ip', 'netns', 'del', name, check=False)
    for folder in pathlib.Path('/run').glob(PREFIX + '-*'):
        if not alive(int(folder.name.split('-')[1])):
            shutil.rmtree(folder, ignore_errors=True)


class World:
    count = 0

    def __init__(self, peers, cidrs=('10.77.0.0/24', 'fd77::/64'), host_ports=False):
        World.count += 1
        self.peers, self.cidrs, self.host_ports = peers, cidrs, host_ports
        self.run = pathlib.Path(f'/run/{PREFIX}-{os.getpid()}-{World.count}')
        self.node = f'{PREFIX}-{os.getpid()}-{World.count}n'
        self.pods, self.agent = [], None
        (self.run / 'bin').mkdir(parents=True)
        (self.run / 'conf').mkdir()
        for name in THEIRS:
            (self.run / 'bin' / name).symlink_to(peers[name])
        shutil.copy(PLUGIN, self.run / 'bin/causeway-cni')
        run('ip', 'netns', 'add', self.node)
        self.on_node('ip', 'link', 'set', 'lo', 'up')
        self.on_node('ip', 'address', 'add', '192.0.2.1/32', 'dev', 'lo')
        self.on_node('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')

    def __enter__(self):
        self.start_agent()
        return self

    def __exit__(self, *_):
        self.stop_agent()
        for name in [*self.pods, self.node]:
            run('ip', 'netns', 'del', name, check=False)
        shutil.rmtree(self.run, ignore_errors=True)

    def on_node(self, *command, **options):
        return run('nsenter', f'--net=/run/netns/{self.node}', *command, **options)

    def in_pod(self, path, *command, **options):
        return run('nsenter', f'--net={path}', *command, **options)

    def start_agent(self):
        env = {'PATH': os.environ['PATH'], **({'TEST_HOST_PORTS': '1'} if self.host_ports else {})}
        log = open(self.run / 'agent.log', 'ab')
        self.agent = subprocess.Popen(['nsenter', f'--net=/run/netns/{self.node}', AGENT, self.run, '5', '0', *self.cidrs], env=env,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        want(self.agent.stdout.readline() == b'listening\n', 'the agent does not listen: ' + (self.run / 'agent.log').read_text()[-500:])

    def stop_agent(self):
        if self.agent:
            self.agent.send_signal(signal.SIGKILL)
            self.agent.wait()
            self.agent = None

    def pod(self, name):
        full = f'{PREFIX}-{os.getpid()}-{World.count}{name}'
        run('ip', 'netns', 'add', full)
        self.pods.append(full)
        return f'/run/netns/{full}'

    def links(self):
        """Links of the node but lo, when all that waits to be deleted is gone."""
        for _ in range(200):
            links = json.loads(self.on_node('ip', '-j', '-d', 'link').stdout)
            if not any(link.get('group') == '51777' for link in links):
                return sorted(link['ifname'] for link in links if link['ifname'] != 'lo')
            time.sleep(0.05)
        raise Failed('links wait for their deletion for 10 s')

    def ours(self, **more):
        return {'type': 'causeway-cni', 'agentSocket': f'{self.run}/agent.sock', **more}

    def conf(self, *plugins, version='1.1.0', name='judged'):
        path = self.run / 'conf' / f'{name}.conflist'
        path.write_text(json.dumps({'cniVersion': version, 'name': name, 'plugins': plugins or [self.ours()]}))
        return path

    def environment(self):
        return {'PATH': os.environ['PATH'], 'CNI_PATH': f'{self.run}/bin', 'NETCONFPATH': f'{self.run}/conf'}

    def cnitool(self, *arguments, **more):
        """cnitool, in the node's network: (exit code, output)."""
        done = run('nsenter', f'--net=/run/netns/{self.node}', self.peers['cnitool'], *arguments, env={**self.environment(), **more}, check=False)
        return done.returncode, done.stdout + done.stderr

    def libcni(self, verb, conf, container='c', netns='', **flags):
        """The answer of one call (or of many, with parallel=N) through libcni: {"result": …} or {"error": …}."""
        words = [f'-{key}={json.dumps(value) if isinstance(value, dict) else value}' for key, value in flags.items()]
        done = run('nsenter', f'--net=/run/netns/{self.node}', self.peers['cnijudge'], f'-conf={conf}', f'-path={self.run}/bin', f'-cache={self.run}/cache',
                   f'-id={container}', f'-netns={netns}', *words, verb, env=self.environment(), timeout=120)
        return json.loads(done.stdout)

    def good(self, verb, conf, *arguments, **flags):
        answer = self.libcni(verb, conf, *arguments, **flags)
        want('error' not in answer, f'{verb}: {answer}')
        return answer.get('result')

    def refused(self, code, verb, conf, *arguments, **flags):
        answer = self.libcni(verb, conf, *arguments, **flags)
        want(answer.get('error', {}).get('code') == code, f'{verb}: code {code} is wanted, not {answer}')
        return answer['error']


def addresses(result):
    return [entry['address'].split('/')[0] for entry in result['ips']]
