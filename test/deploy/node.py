"""Our programs as a DaemonSet's Pod starts them: in-cluster configuration, ServiceAccount files, the ConfigMap as environment."""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import traceback

from kubernetes import ADDRESS, PORT, ROOT, until

CAUSEWAY = sys.argv[1]
ACCOUNT = pathlib.Path('/run/secrets/kubernetes.io/serviceaccount')  # /var/run is /run
CONFLIST = pathlib.Path('/etc/cni/net.d/05-causeway.conflist')
PLUGIN = pathlib.Path('/opt/cni/bin/causeway-cni')
ENVIRONMENT = {'PATH': os.environ['PATH'], 'KUBERNETES_SERVICE_HOST': ADDRESS, 'KUBERNETES_SERVICE_PORT': str(PORT),
               'CAUSEWAY_FABRIC': 'auto', 'CAUSEWAY_CLUSTER_CIDR': '10.244.0.0/16', 'CAUSEWAY_NODE': 'node-1',
               'CAUSEWAY_CGROUP': os.environ.get('CAUSEWAY_CGROUP', '')}


def mount_account(token, ca, namespace='causeway'):
    """As kubelet writes a projected volume: each file replaced as a whole."""
    ACCOUNT.mkdir(parents=True, exist_ok=True)
    for name, text in (('token', token), ('ca.crt', ca), ('namespace', namespace)):
        (ACCOUNT / f'.{name}').write_text(text)
        os.rename(ACCOUNT / f'.{name}', ACCOUNT / name)


class Program:
    def __init__(self, *arguments, wrapper=(), **environment):
        self.log = pathlib.Path(f'/run/{arguments[0]}-{time.monotonic_ns()}.log')
        self.process = subprocess.Popen([*wrapper, CAUSEWAY, *arguments], stdin=subprocess.DEVNULL, stdout=open(self.log, 'ab'),
                                        stderr=subprocess.STDOUT, env={**ENVIRONMENT, **environment})

    def text(self):
        return self.log.read_text()

    def says(self, what, seconds=20):
        until(f'"{what}" in the log', seconds, lambda: what in self.text(), self.text)

    def alive(self):
        return self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.alive():
            self.kill()


def agent(**environment):
    return Program('agent', **environment)


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect('/run/causeway/observe.sock')


def page(path):
    """(status, text) of the running agent."""
    connection = Connection('agent')
    try:
        connection.request('GET', path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)


def is_ready():
    return page('/readyz')[0] == 200


def wait_ready(seconds=30):
    until('agent ready', seconds, is_ready, lambda: page('/readyz')[1])


def wait_unready(text, seconds=30):
    until(f'unready: {text}', seconds, lambda: page('/readyz')[0] == 503 and text in page('/readyz')[1], lambda: page('/readyz')[1])


def cni(command, container='c1', netns='', ifname='eth0', **args):
    """The installed plugin as containerd calls it: (exit status, answer)."""
    environment = {'CNI_COMMAND': command, 'CNI_CONTAINERID': container, 'CNI_NETNS': netns, 'CNI_IFNAME': ifname, 'CNI_PATH': '/opt/cni/bin',
                   'CNI_ARGS': ';'.join(f'{k}={v}' for k, v in {'IgnoreUnknown': 1, **args}.items())}
    done = subprocess.run([PLUGIN], input='{"cniVersion":"1.1.0","name":"causeway","type":"causeway-cni"}', env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    return done.returncode, json.loads(done.stdout or '{}')


def main(module):
    """Runs every test_ function of the module in the order of the file."""
    passed = failed = 0
    for name, function in list(vars(module).items()):
        if not name.startswith('test_') or not callable(function):
            continue
        start = time.monotonic()
        try:
            function()
            passed += 1
            print(f'ok   {name[5:].replace("_", " ")} ({time.monotonic() - start:.1f} s)', flush=True)
        except Exception:
            failed += 1
            print(f'FAIL {name[5:].replace("_", " ")} ({time.monotonic() - start:.1f} s)\n{traceback.format_exc()}', flush=True)
    print(f'{passed} passed, {failed} failed', flush=True)
    sys.exit(1 if failed else 0)
