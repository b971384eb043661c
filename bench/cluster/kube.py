"""A small Kubernetes client for measuring: JSON over one kept connection, and a watch, both from inside a network namespace."""
import base64
import contextlib
import ctypes
import http.client
import json
import os
import ssl
import tempfile
import threading
import time
import urllib.parse

import yaml

CLONE_NEWNET = 0x40000000
IDLE = 20  # seconds after which a kept connection is not trusted: the API server closes idle ones
LIBC = ctypes.CDLL(None, use_errno=True)


class ApiError(Exception):
    """The API server refused; the text is what it said."""


@contextlib.contextmanager
def network(netns):
    """Sockets that this thread opens meanwhile are of that namespace; they stay there afterwards."""
    with open('/proc/thread-self/ns/net') as own, open(netns) as other:
        _enter(other)
        try:
            yield
        finally:
            _enter(own)


def _enter(namespace):
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace.name)


def get_text(netns, port, path):
    """A page of a server on loopback of the namespace, as text."""
    with network(netns):
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
        connection.connect()
    with contextlib.closing(connection):
        connection.request('GET', path)
        answer = connection.getresponse()
        text = answer.read().decode()
    if answer.status != 200:
        raise ApiError(f'127.0.0.1:{port}{path}: {answer.status}')
    return text


class Api:
    """Each thread has a connection of its own."""

    def __init__(self, kubeconfig, netns):
        with open(kubeconfig) as file:
            config = yaml.safe_load(file)
        context = next(c['context'] for c in config['contexts'] if c['name'] == config['current-context'])
        cluster = next(c['cluster'] for c in config['clusters'] if c['name'] == context['cluster'])
        user = next(u['user'] for u in config['users'] if u['name'] == context['user'])
        self.url, self.netns, self.local = urllib.parse.urlsplit(cluster['server']), netns, threading.local()
        self.headers = {'Accept': 'application/json', 'Content-Type': 'application/json', 'User-Agent': 'causeway-bench'}
        if 'token' in user:
            self.headers['Authorization'] = f'Bearer {user["token"]}'
        base = os.path.dirname(os.path.abspath(kubeconfig))
        with tempfile.TemporaryDirectory(prefix='causeway-bench-') as scratch:
            def path(holder, key):
                if f'{key}-data' in holder:
                    file = os.path.join(scratch, key)
                    with open(file, 'wb') as out:
                        out.write(base64.b64decode(holder[f'{key}-data']))
                    return file
                return os.path.join(base, holder[key]) if key in holder else None
            if cluster.get('insecure-skip-tls-verify'):
                self.tls = ssl._create_unverified_context()
            else:
                self.tls = ssl.create_default_context(cafile=path(cluster, 'certificate-authority'))
            if certificate := path(user, 'client-certificate'):
                self.tls.load_cert_chain(certificate, path(user, 'client-key'))

    def connect(self, timeout):
        with network(self.netns):
            connection = http.client.HTTPSConnection(self.url.hostname, self.url.port or 443, timeout=timeout, context=self.tls)
            connection.connect()
        return connection

    def request(self, method, path, body=None, missing_is_none=False):
        kept = getattr(self.local, 'connection', None)
        if kept is None or time.monotonic() - self.local.used > IDLE:
            if kept is not None:
                kept.close()
            kept = self.local.connection = self.connect(60)
        kept.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = kept.getresponse()
        data = answer.read()
        self.local.used = time.monotonic()
        if answer.status == 404 and missing_is_none:
            return None
        if answer.status >= 300:
            raise ApiError(f'{method} {path}: {answer.status} {data[:500].decode(errors="replace")}')
        return json.loads(data) if answer.headers.get_content_type() == 'application/json' else data.decode()

    def watch(self, path, version):
        """Events as they come, until the connection is closed by `close()` of the generator's thread or the server."""
        connection = self.connect(300)
        with contextlib.closing(connection):
            connection.request('GET', f'{path}?watch=true&resourceVersion={version}&timeoutSeconds=280', headers=self.headers)
            answer = connection.getresponse()
            while line := answer.readline():
                yield json.loads(line)


def samples(text, name, **labels):
    """The sum of a metric's samples that have these labels, in Prometheus' text format."""
    total, wanted = 0.0, [f'{key}="{value}"' for key, value in labels.items()]
    for line in text.split('\n'):
        if line.startswith((name + '{', name + ' ')) and all(label in line for label in wanted):
            total += float(line.rpartition(' ')[2])
    return total
