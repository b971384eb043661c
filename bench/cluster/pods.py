"""Pods for measuring: created on one node of a cluster, watched until they are Ready, taken away."""
import concurrent.futures
import queue
import subprocess
import threading
import time

from kube import ApiError

PATIENCE = 180  # seconds for all Pods of a measurement to be Ready, or gone


def manifest(name, node):
    """A Pod that costs as little as one can beside its network, so that the network shows."""
    return {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name},
            'spec': {'nodeName': node, 'terminationGracePeriodSeconds': 0, 'automountServiceAccountToken': False, 'enableServiceLinks': False,
                     'containers': [{'name': 'pause', 'image': 'registry.k8s.io/pause:3.10.2', 'imagePullPolicy': 'IfNotPresent'}]}}


def is_ready(pod):
    return any(c['type'] == 'Ready' and c['status'] == 'True' for c in pod.get('status', {}).get('conditions') or [])


def settle():
    """Waits until the kernel has taken the Pods' namespaces apart: who makes one meanwhile, or a link, waits for it, and would pay for
    others' Pods. Quick five times running, as that work comes in batches."""
    quick = 0
    for _ in range(200):
        start = time.monotonic()
        subprocess.run(['unshare', '--net', 'ip', 'link', 'add', 'cwprobe0', 'type', 'veth', 'peer', 'name', 'cwprobe1'],
                       stdin=subprocess.DEVNULL, check=True)
        quick = quick + 1 if time.monotonic() - start < 0.05 else 0
        if quick == 5:
            return
        time.sleep(0.3)


class Pods:
    """Pods of one namespace, seen by one watch; `with` begins and ends it."""

    def __init__(self, api, namespace, node):
        self.api, self.namespace, self.node = api, namespace, node
        self.path = f'/api/v1/namespaces/{namespace}/pods'
        self.ready, self.seen = {}, queue.Queue()
        self.number = 0

    def __enter__(self):
        self.api.request('POST', '/api/v1/namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': self.namespace}})
        end = time.monotonic() + 30
        # Pods are refused until the namespace has its ServiceAccount.
        while self.api.request('GET', f'/api/v1/namespaces/{self.namespace}/serviceaccounts/default', missing_is_none=True) is None:
            if time.monotonic() > end:
                raise ApiError(f'the namespace {self.namespace} got no ServiceAccount default')
            time.sleep(0.1)
        version = self.api.request('GET', self.path)['metadata']['resourceVersion']
        threading.Thread(target=self.follow, args=(version,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.api.request('DELETE', f'/api/v1/namespaces/{self.namespace}', missing_is_none=True)

    def follow(self, version):
        try:
            for event in self.api.watch(self.path, version):
                pod = event['object']
                if event['type'] in ('ADDED', 'MODIFIED') and is_ready(pod):
                    self.ready.setdefault(pod['metadata']['name'], time.monotonic())
                elif event['type'] == 'DELETED':
                    self.ready.pop(pod['metadata']['name'], None)
                self.seen.put(event['type'])
        finally:
            self.seen.put('END')

    def wait(self, until, what):
        end = time.monotonic() + PATIENCE
        while not until():
            try:
                if self.seen.get(timeout=max(0.01, end - time.monotonic())) == 'END' and not until():
                    raise ApiError(f'the watch of {self.path} ended before {what}')
            except queue.Empty:
                raise ApiError(f'{what}: not within {PATIENCE} s ({len(self.ready)} Ready)') from None

    def create(self, count, at_once):
        """Seconds from before each was created to when its Ready was seen. At once: from the first creation on."""
        names = [f'p{self.number + i}' for i in range(count)]
        self.number += count
        began = {}

        def one(name):
            began[name] = time.monotonic()
            self.api.request('POST', self.path, manifest(name, self.node))
        if at_once:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(one, names))
            self.wait(lambda: all(name in self.ready for name in names), f'{count} Pods Ready on {self.node}')
            start = min(began.values())
            return [self.ready[name] - start for name in names]
        for name in names:
            one(name)
            self.wait(lambda name=name: name in self.ready, f'the Pod {name} Ready on {self.node}')
        return [self.ready[name] - began[name] for name in names]

    def remove_all(self):
        self.api.request('DELETE', self.path + '?gracePeriodSeconds=0')
        self.wait(lambda: not self.api.request('GET', self.path)['items'], 'no Pod left')
        settle()
