"""The real kube-proxy on a node of a lab, in place of our Services: the oracle of the grid, and the peer of the bench."""
import json
import pathlib
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / 'tools/dev'))


def program():
    import os
    cache = os.environ.get('CAUSEWAY_CACHE') or os.path.expanduser('~/.cache/causeway')
    found = sorted(pathlib.Path(cache, 'peers').glob('kube-proxy-v1.36*'))
    if not found:
        raise FileNotFoundError('kube-proxy is not built: ./dev peers kube-proxy')
    inside = found[-1]
    return next(p for p in ([inside] if inside.is_file() else sorted(inside.rglob('kube-proxy*'))) if p.is_file())


def configuration(mode, **changes):
    return json.dumps({
        'apiVersion': 'kubeproxy.config.k8s.io/v1alpha1', 'kind': 'KubeProxyConfiguration', 'mode': mode,
        'clientConnection': {'kubeconfig': '/etc/causeway/kubeconfig', 'contentType': 'application/json', 'qps': 1000, 'burst': 1000},
        'clusterCIDR': '10.244.0.0/16,fd10:244::/56', 'nodePortAddresses': ['primary'], 'bindAddress': '0.0.0.0',
        # What it would write there belongs to the whole machine.
        'conntrack': {'maxPerCore': 0, 'min': 0, 'tcpEstablishedTimeout': '0s', 'tcpCloseWaitTimeout': '0s'}, **changes})


def start(one, node, mode, **changes):
    import lab
    text = configuration(mode, hostnameOverride=node, **changes)
    script = f'cat > /tmp/kube-proxy.json <<"E"\n{text}\nE\nexec {program()} --config /tmp/kube-proxy.json'
    log = open(f'/tmp/kube-proxy-{one.name}-{node}.log', 'w')
    return subprocess.Popen([lab.CAUSEWAY, 'lab', 'exec', '--name', one.name, node, '--', 'sh', '-c', script], stdin=subprocess.DEVNULL,
                            stdout=log, stderr=subprocess.STDOUT)
