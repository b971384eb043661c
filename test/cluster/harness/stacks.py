"""What makes a cluster's network: the reference plugins (stock), or Causeway by its manifest and nothing else."""
import json
import pathlib
import re
import subprocess

from . import peers, underlay
from .plan import Refused, comma

MANIFESTS = pathlib.Path(__file__).resolve().parent / 'manifests'
OURS = peers.ROOT / 'deploy' / 'causeway.yaml'
OUR_IMAGE = peers.ROOT / 'build' / 'image' / 'causeway.oci.tar'


def images(options):
    """The archives that every node imports; Refused names what is not built and the command that builds it."""
    build = peers.ROOT / 'test/images/build.py'
    done = subprocess.run(['python3', build], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Refused('the images are not built: run ./dev peers cluster')
    archives = [pathlib.Path(json.loads(done.stdout)['archive'])]
    if options.stack != 'stock':
        for needed in (OUR_IMAGE, OURS):
            if not needed.exists():
                raise Refused(f'--stack {options.stack} installs {needed.relative_to(peers.ROOT)}, which is not there: run ./dev image')
        archives.append(OUR_IMAGE)
    return archives


# ---- stock: bridge and host-local of the CNI project, host routes between the nodes, kube-proxy

def stock_node(node, cidrs, all_pods):
    """One node's part, once it has its Pod CIDRs."""
    for plugin in ('bridge', 'host-local', 'portmap'):
        node.install_plugin(plugin)
    for file in ('ipv4/ip_forward', 'ipv6/conf/all/forwarding'):
        node.machine.net(['sh', '-c', f'echo 1 >/proc/sys/net/{file}'])
    for file in ('iptables', 'ip6tables'):  # else a Service's answer from a Pod of the same bridge is never translated back
        node.machine.run(['sh', '-c', f'echo 1 >/proc/sys/net/bridge/bridge-nf-call-{file}'], check=False)
    # The bridge plugin's own masquerade would also hide Pods from other nodes' Pods.
    rules = ['table inet stock {', ' chain postrouting {', '  type nat hook postrouting priority 100; policy accept;']
    for network in all_pods:
        family = 'ip' if network.version == 4 else 'ip6'
        rules.append(f'  oifname "eth0" {family} saddr {network} {family} daddr != {network} masquerade')
    node.machine.net(['nft', '-f', '-'], input='table inet stock\ndelete table inet stock\n' + '\n'.join([*rules, ' }', '}', '']))
    node.machine.write('/etc/cni/net.d/10-stock.conflist', json.dumps({
        'cniVersion': '1.0.0', 'name': 'stock', 'plugins': [
            {'type': 'bridge', 'bridge': 'cni0', 'isGateway': True, 'hairpinMode': True, 'ipMasq': False,
             'ipam': {'type': 'host-local', 'ranges': [[{'subnet': c}] for c in cidrs],
                      'routes': [{'dst': '::/0' if ':' in c else '0.0.0.0/0'} for c in cidrs]}},
            {'type': 'portmap', 'capabilities': {'portMappings': True}, 'backend': 'nftables', 'snat': True}]}, indent=1))


# ---- Causeway

# In a server block of its own: a template is asked before the names of the cluster.
NO_WORLD = """    .:53 {
        template ANY ANY {
            rcode NXDOMAIN
        }
    }
    cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
"""


def with_values(manifest, options, addresses):
    """The manifest, its ConfigMap `causeway` with this cluster's values. Pure."""
    values = {'KUBERNETES_SERVICE_HOST': str(addresses.control[0]), 'KUBERNETES_SERVICE_PORT': '6443',
              'CAUSEWAY_SERVICES': str(not options.proxy).lower(), 'CAUSEWAY_DNS': str(options.own_dns).lower(),
              'CAUSEWAY_CLUSTER_DNS': str(addresses.dns[0]) if options.own_dns else '', 'CAUSEWAY_PLANE': options.plane, 'CAUSEWAY_FABRIC': options.fabric, 'CAUSEWAY_CLUSTER_CIDR': comma(addresses.pods)}
    documents = re.split(r'(?m)^---[ \t]*\n', manifest)
    found = [i for i, d in enumerate(documents) if re.search(r'(?m)^kind: ConfigMap$', d) and re.search(r'(?m)^  name: causeway$', d)]
    if len(found) != 1:
        raise Refused(f'{OURS.name} has {len(found)} ConfigMaps named causeway, expected one')
    head = re.split(r'(?m)^data:', documents[found[0]])[0]
    documents[found[0]] = head + 'data:\n' + ''.join(f'  {key}: "{value}"\n' for key, value in values.items())
    # As kubelet has it; and there is no world to ask, so every name outside of the cluster gets a fast NXDOMAIN.
    return '---\n'.join(documents).replace('10.96.0.10', str(addresses.dns[0])).replace('    .:53 {\n', NO_WORLD)


def install_causeway(control, options, addresses, new_image):
    """kubectl apply of the manifest, and nothing else. What runs of an image that was built anew under the same name starts again."""
    places = ('causeway', 'kube-system')
    there = {ns: control.kubectl('get', 'daemonset', '-n', ns, '-l', 'app.kubernetes.io/name=causeway', '--ignore-not-found', '-o', 'name') for ns in places}
    part = () if options.own_dns else ('-l', 'app.kubernetes.io/component!=dns')
    control.kubectl('apply', '-f', '-', *part, text=with_values(OURS.read_text(), options, addresses))
    for ns in places:
        if there[ns] and new_image:
            control.kubectl('rollout', 'restart', '-n', ns, *there[ns].split())


# ---- CoreDNS

def install_coredns(control, options, addresses):
    # Without kube-proxy and before Causeway has Services, nothing answers at the ClusterIP of the API server.
    server = '[]' if options.proxy else json.dumps([{'name': 'KUBERNETES_SERVICE_HOST', 'value': str(addresses.control[0])},
                                                    {'name': 'KUBERNETES_SERVICE_PORT', 'value': '6443'}])
    text = (MANIFESTS / 'coredns.yaml').read_text()
    for key, value in (('DNS', addresses.dns[0]), ('API_SERVER', server),
                       ('FAMILY_POLICY', 'PreferDualStack' if len(addresses.families) == 2 else 'SingleStack')):
        text = text.replace(f'@{key}@', str(value))
    control.kubectl('apply', '-f', '-', text=text)


def route_pods(cluster, ranges):
    """Routes to every node's Pods: for the control plane in every stack, between nodes in stock alone."""
    underlay.route_pods(cluster.control.machine, ranges)
    if cluster.options.stack == 'stock':
        for node in cluster.nodes():
            if node.machine.pid():
                own = {str(a) for a in node.own}
                underlay.route_pods(node.machine, {a: c for a, c in ranges.items() if a not in own})
