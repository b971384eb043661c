"""A lab with so many Services as a figure wants, the programs of the bench in its Pods, and an agent's own metrics."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.argv[1:] = [os.environ.get('CAUSEWAY') or str(ROOT / 'build/release/apps/causeway'), *sys.argv[1:]]
sys.path[:0] = [str(ROOT / 'test/lab'), str(ROOT / 'test/services')]
import lab  # noqa: E402
import kube_proxy  # noqa: E402,F401

PROBE = ROOT / 'build/release/bench/service/bench_service'
COLD = PROBE.with_name('bench_service_cold')
WRITERS = 4


class BenchError(Exception):
    pass


def check_call(done, what):
    if done.returncode:
        raise BenchError(f'{what}: exit {done.returncode}: {done.stdout}{done.stderr}')
    return done.stdout


class Cluster(lab.Lab):
    """plane: bpf, nftables; `proxy`: False leaves Services to a kube-proxy."""

    def __init__(self, name, plane='bpf', nodes=2, proxy=True):
        super().__init__(f'bsvc-{name}', '--nodes', str(nodes), '--fabric', 'vxlan', '--plane', 'bpf' if plane == 'bpf' else 'netfilter',
                         *(() if proxy else ('--agent-flag=--no-services',)))
        self.plane, self.made, self.programs, self.marks = plane, 0, [], 0

    def __exit__(self, *_):
        for program in self.programs:
            program.kill()
        super().__exit__()

    # ---- objects, many of them

    def write(self, requests):
        """[(method, path, body)] by a few connections that stay open."""
        where = urllib.parse.urlsplit(self.server)
        headers = {'Authorization': f'Bearer {self.token}', 'Content-Type': 'application/json'}

        def some(part):
            link = http.client.HTTPSConnection(where.hostname, where.port, context=self.tls, timeout=60)
            for method, path, body in part:
                link.request(method, path, json.dumps(body), headers)
                answer = link.getresponse()
                text = answer.read()
                if answer.status >= 300:
                    raise BenchError(f'{method} {path}: {answer.status} {text[:300]}')
            link.close()
        with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(some, [requests[i::WRITERS] for i in range(WRITERS)]))

    def fill(self, services, endpoints):
        """Up to so many Services of so many endpoints each that nobody answers for."""
        first, self.made = self.made, services
        numbers = range(first, services)
        self.write([('POST', '/api/v1/namespaces/default/services', service(f'n{i}')) for i in numbers])
        self.write([('POST', SLICES, slice_of(f'n{i}', [f'10.250.{(i * endpoints + e) >> 8 & 255}.{(i * endpoints + e) & 255}'
                                                          if endpoints <= 4 else f'10.{128 + e}.{i >> 8 & 255}.{i & 255}'
                                                          for e in range(endpoints)], port=1 + i % 60000)) for i in numbers])

    def make_service(self, name, ips, port=7100):
        made = self.api('POST', '/api/v1/namespaces/default/services', service(name, port))
        self.api('POST', SLICES, slice_of(name, ips, port))
        return made['spec']['clusterIP']

    def point(self, name, ips, port=7100):
        """Its endpoints are these from now on; when the request was sent and answered, in seconds of CLOCK_MONOTONIC."""
        start = time.monotonic()
        self.write([('PUT', f'{SLICES}/{name}', slice_of(name, ips, port))])
        return start, time.monotonic()

    # ---- programs

    def pod_ip(self, name, node):
        # A thousand connections each second to one address: ports come back after a second (RFC 6191), not after a minute.
        self.create_pod(name, nodeName=node, securityContext={'sysctls': [
            {'name': 'net.ipv4.ip_local_port_range', 'value': '1024 65535'}, {'name': 'net.ipv4.tcp_tw_reuse', 'value': '1'}]})
        return self.wait_ready(name)['status']['podIP']

    def start(self, place, *command):
        program = subprocess.Popen([lab.CAUSEWAY, 'lab', 'exec', '--name', self.name, place, '--', *map(str, command)], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.programs.append(program)
        return program

    def serve(self, pod, letter, port=7100):
        program = self.start(pod, PROBE, 'serve', port, letter)
        if program.stdout.readline() != 'serving\n':
            raise BenchError(f'{pod} does not serve')

    def probe(self, pod, *arguments, timeout=120):
        return check_call(self.exec(pod, PROBE, *map(str, arguments), check=False, timeout=timeout), f'{pod}: {" ".join(map(str, arguments))}')

    def compare(self, pod, rounds, *addresses):
        """[(5th percentile, median)] of connections, microseconds."""
        return [tuple(map(float, line.split())) for line in self.probe(pod, 'compare', rounds, *addresses).splitlines()]

    def answers(self, pod, address, letter, seconds=120):
        """Waits until it is `letter` that answers there."""
        lab.until(f'{address} answers {letter}', seconds,
                  lambda: self.exec(pod, PROBE, 'watch', '0.05', address, check=False).stdout.endswith(f' {letter}\n'))

    def settled(self, pod, ip, seconds=900):
        """Waits until a proxy has done all that was asked for before: another Service, made now, comes last in every watch, and works
        when the sync that holds it has ended. (kube-proxy's pending changes are 0 as soon as a sync begins, minutes before its
        rules are there.)"""
        self.marks += 1
        vip = self.make_service(f'mark{self.marks}', [ip])
        self.answers(pod, f'{vip}:7100', 'a', seconds)

    def steady(self, pod, address, seconds=120):
        """Waits until connections there do not fail any more: a proxy that starts writes its rules in several steps."""
        lab.until(f'{address} answers, and goes on to', seconds,
                  lambda: self.exec(pod, PROBE, 'load', '0.5', '100', address, check=False).stdout.split()[1:2] == ['0'])

    # ---- the agent

    def pid(self, node):
        return lab.until('an agent', 30, lambda: self.pids(f'nodes/{node}/agent'))[0]

    def metrics(self, node, port=10249):
        text = self.exec(node, 'curl', '-s', '--max-time', '5', f'http://127.0.0.1:{port}/metrics', check=False, timeout=10).stdout
        return {m[1]: float(m[2]) for m in re.finditer(r'^(\w+(?:\{[^}]*\})?) (\S+)$', text, re.M)}

    def change_seconds(self, node):
        """How long changes took from their watch event until all was in the kernel, so far: {upper bound: how many below}."""
        text = self.exec(node, 'curl', '-s', '--unix-socket', '/run/causeway/observe.sock', 'http://agent/metrics', check=False, timeout=10).stdout
        found = re.findall(r'^causeway_consumer_change_seconds_bucket\{([^}]*)\} (\S+)$', text, re.M)
        return {float(re.search(r'le="([^"]+)"', labels)[1]): float(count) for labels, count in found if 'consumer="service"' in labels}

    def all_applied(self, node, services, port=10249, seconds=300):
        """Waits until no change is pending and so many Services and slices have come; its metrics then."""
        def asked():
            now = self.metrics(node, port)
            come = min(now.get(f'kubeproxy_sync_proxy_rules_{kind}_changes_total', 0) for kind in ('service', 'endpoint'))
            pending = now.get('kubeproxy_sync_proxy_rules_service_changes_pending', 1) + now.get('kubeproxy_sync_proxy_rules_endpoint_changes_pending', 1)
            return now if come >= services and pending == 0 and family(now, 'last_timestamp_seconds') else None
        return lab.until(f'{node} has applied {services} Services', seconds, asked)

    def restart(self, node, services):
        """Its agent is killed and another one has applied all that was there; when it was done, in seconds since 1970."""
        pid = self.pid(node)
        os.kill(pid, 9)
        lab.until('a new agent', 30, lambda: self.pid(node) != pid)
        return family(self.all_applied(node, services), 'last_timestamp_seconds')

    def cold_start(self, node, services):
        """The node's kernel knows no Service, and a new agent starts: (seconds spent applying, seconds from its start)."""
        pid = self.pid(node)
        os.kill(pid, 19)  # SIGSTOP: it would bring back what is removed now
        self.exec(node, 'sh', '-c', 'rm -rf /sys/fs/bpf/causeway/*; nft delete table inet causeway 2>/dev/null; true')
        os.kill(pid, 9)
        lab.until('a new agent', 30, lambda: self.pid(node) != pid)
        now = self.all_applied(node, services)
        begun = started(self.pid(node))
        return family(now, 'duration_seconds_sum'), family(now, 'last_timestamp_seconds') - begun


def parts(services, endpoints):
    """What it costs an agent, part by part and without a lab: {name: milliseconds of CPU, or megabytes}."""
    done = subprocess.run([COLD, str(services), str(endpoints)], capture_output=True, text=True, timeout=300, check=False)
    lines = check_call(done, 'bench_service_cold').splitlines()
    return {line[:32].strip(): float(line[32:]) for line in lines}


def below(before, now, part):
    """The least bound that so many percent of the changes in between stayed below, in ms; None: there was none."""
    counts = sorted((bound, count - before.get(bound, 0)) for bound, count in now.items())
    if not counts or not counts[-1][1]:
        return None
    return next(bound for bound, count in counts if count >= counts[-1][1] * part / 100) * 1000


SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'


def family(metrics, name, version='IPv4'):
    return metrics.get(f'kubeproxy_sync_proxy_rules_{name}{{ip_family="{version}"}}', 0)


def started(pid):
    """Seconds since 1970."""
    ticks = int(pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[19])
    boot = next(int(line.split()[1]) for line in open('/proc/stat') if line.startswith('btime'))
    uptime = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return max(boot, uptime) + ticks / os.sysconf('SC_CLK_TCK')


def resident_mb(pid):
    return int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1]) / 1024


def maps_of(pid):
    """The BPF maps that the process holds: [{'id', 'rows', 'megabytes'}], rows as far as there is room for."""
    found = {}
    for info in pathlib.Path(f'/proc/{pid}/fdinfo').iterdir():
        try:
            fields = dict(line.split(':\t', 1) for line in info.read_text().splitlines() if ':\t' in line)
        except OSError:
            continue
        if 'map_id' in fields:
            found[fields['map_id']] = {'id': int(fields['map_id']), 'rows': int(fields['max_entries']), 'key': int(fields['key_size']),
                                       'value': int(fields['value_size']), 'megabytes': int(fields['memlock']) / 1e6}
    return list(found.values())


def service(name, port=80):
    return {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': name}, 'spec': {'ports': [{'port': port, 'protocol': 'TCP'}]}}


def slice_of(name, ips, port):
    return {'apiVersion': 'discovery.k8s.io/v1', 'kind': 'EndpointSlice', 'addressType': 'IPv4',
            'metadata': {'name': name, 'labels': {'kubernetes.io/service-name': name}},
            'endpoints': [{'addresses': [ip], 'conditions': {'ready': True}} for ip in ips], 'ports': [{'name': '', 'port': port, 'protocol': 'TCP'}]}
