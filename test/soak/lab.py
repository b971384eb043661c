"""A lab as a soak sees it: `causeway lab`, the API over HTTPS, and the processes by their cgroups."""
import base64
import json
import os
import pathlib
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAUSEWAY = str(ROOT / 'build/release/apps/causeway')


class Failure(Exception):
    """An invariant that broke."""


class Lab:
    def __init__(self, name, nodes, family):
        self.name, self.nodes, self.family = name, nodes, family
        self.cgroup = next(p for p in ('/sys/fs/cgroup/unified', '/sys/fs/cgroup')
                           if os.path.exists(f'{p}/cgroup.procs') and os.path.exists(f'{p}/cgroup.controllers'))
        self.cgroup = pathlib.Path(self.cgroup) / 'causeway-lab' / name

    def command(self, *arguments, check=True, timeout=120):
        done = subprocess.run([CAUSEWAY, 'lab', *arguments], stdin=subprocess.DEVNULL, text=True, timeout=timeout,
                              capture_output=True)
        if check and done.returncode:
            raise Failure(f'causeway lab {" ".join(arguments)}: exit {done.returncode}: {done.stderr.strip()}')
        return done

    def up(self):
        self.command('up', '--name', self.name, '--nodes', str(self.nodes), '--ip-family', self.family)
        config = yaml.safe_load(pathlib.Path(f'/run/causeway-lab/{self.name}/kubeconfig').read_text())
        cluster, user = config['clusters'][0]['cluster'], config['users'][0]['user']
        self.server, self.token = cluster['server'], user['token']
        if 'certificate-authority' in cluster:
            self.tls = ssl.create_default_context(cafile=cluster['certificate-authority'])
        else:
            self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster['certificate-authority-data']).decode())

    def down(self):
        self.command('down', '--name', self.name)
        left = [str(p) for p in (self.cgroup, pathlib.Path(f'/run/causeway-lab/{self.name}')) if p.exists()]
        left += [line for line in pathlib.Path('/proc/mounts').read_text().split('\n') if f'/causeway-lab/{self.name}/' in line]
        if left:
            raise Failure(f'lab down left: {left}')

    def exec(self, target, *command, timeout=120):
        return self.command('exec', '--name', self.name, target, '--', *command, check=False, timeout=timeout)

    def spawn(self, target, *command):
        return subprocess.Popen([CAUSEWAY, 'lab', 'exec', '--name', self.name, target, '--', *command],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def request(self, method, path, body=None):
        """The decoded answer, None for 404. Retried while the API server is away: a soak kills it on purpose."""
        data = json.dumps(body).encode() if body is not None else None
        end = time.monotonic() + 30
        while True:
            request = urllib.request.Request(self.server + path, data, method=method, headers={
                'Authorization': f'Bearer {self.token}', 'Content-Type': 'application/json', 'Accept': 'application/json'})
            try:
                with urllib.request.urlopen(request, context=self.tls, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return None
                if error.code == 409 and method == 'POST':
                    return self.request('GET', f'{path}/{body["metadata"]["name"]}')  # the answer to an earlier try was lost
                if error.code < 500 and error.code != 429:
                    raise Failure(f'{method} {path}: {error.code} {error.read().decode(errors="replace")[:500]}') from error
                cause = error
            except OSError as error:
                cause = error
            if time.monotonic() > end:
                raise Failure(f'{method} {path}: the API server stayed away: {cause}')
            time.sleep(0.2)

    def pods(self, selector=''):
        query = f'?labelSelector={selector}' if selector else ''
        return self.request('GET', f'/api/v1/namespaces/default/pods{query}')['items']

    def process(self, what):
        """The process of apiserver, controller or nodes/NODE/agent; None while it is restarted."""
        try:
            found = (self.cgroup / what / 'cgroup.procs').read_text().split()
        except OSError:
            return None
        return int(found[0]) if found else None

    def kill(self, what):
        pid = self.process(what)
        if pid:
            os.kill(pid, signal.SIGKILL)
        return pid

    def rss(self, what):
        """Resident memory in bytes, 0 when the process is away."""
        pid = self.process(what)
        try:
            return int(pathlib.Path(f'/proc/{pid}/statm').read_text().split()[1]) * os.sysconf('SC_PAGESIZE')
        except (OSError, TypeError):
            return 0


def eventually(what, check, seconds=60):
    """Waits until check() is true; a Failure that says what it last saw after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        seen = check()
        if seen is True:
            return
        if time.monotonic() > end:
            raise Failure(f'{what}: not after {seconds} s; last seen: {seen}')
        time.sleep(0.1)
