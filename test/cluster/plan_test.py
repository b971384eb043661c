"""What a cluster shall be, decided without a machine: options, addresses, configuration files. Usage: plan_test.py"""
import ipaddress
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import __main__ as front, node_config, stacks  # noqa: E402
from harness.plan import Addresses, Options, Refused, checked, node_number  # noqa: E402


def refusal(**options):
    try:
        checked(Options(**options))
    except Refused as refused:
        return str(refused)
    return ''


class Plan(unittest.TestCase):
    def test_defaults_are_filled_in_for_each_stack(self):
        self.assertEqual((checked(Options()).plane, checked(Options()).fabric), ('', ''))
        self.assertEqual(checked(Options(stack='cni')).plane, 'netfilter')
        noproxy = checked(Options(stack='noproxy'))
        self.assertEqual((noproxy.plane, noproxy.fabric, noproxy.proxy, noproxy.own_dns), ('bpf', 'auto', False, False))
        alone = checked(Options(stack='causeway'))
        self.assertEqual((alone.plane, alone.fabric, alone.proxy, alone.own_dns), ('bpf', 'auto', False, True))

    def test_what_contradicts_itself_is_refused_by_name(self):
        for options, part in (({'name': 'A b'}, '--name "A b"'), ({'nodes': 0}, '--nodes 0: from 1 to'), ({'nodes': 21}, '--nodes 21'),
                              ({'ip_family': 'ipv5'}, 'one of ipv4, ipv6, dual'), ({'stack': 'x'}, 'one of stock, cni'),
                              ({'kubernetes': '1.30'}, 'one of 1.34'), ({'plane': 'bpf'}, 'means nothing to --stack stock'),
                              ({'stack': 'cni', 'plane': 'bpf'}, '--plane netfilter'), ({'stack': 'noproxy', 'fabric': 'x'}, 'one of vxlan')):
            with self.subTest(options):
                self.assertIn(part, refusal(**options))
                self.assertNotIn('\n', refusal(**options))

    def test_addresses_of_a_dual_cluster(self):
        addresses = Addresses(('ipv4', 'ipv6'))
        self.assertEqual([str(a) for a in addresses.node('node1')], ['172.30.0.11', 'fd00:172:30::b'])
        self.assertEqual([str(a) for a in addresses.dns], ['10.96.0.10', 'fd00:10:96::a'])
        ranges = [*addresses.underlay, *addresses.pods, *addresses.services]
        self.assertFalse([(a, b) for a in ranges for b in ranges if a is not b and a.version == b.version and a.overlaps(b)])

    def test_no_node_has_the_address_of_the_gateway_or_the_control_plane(self):
        addresses = Addresses(('ipv4',))
        everybody = [addresses.gateway[0], addresses.control[0], *(addresses.node(f'node{i}')[0] for i in range(1, 21))]
        self.assertEqual(len(set(everybody)), 22)
        self.assertTrue(all(a in ipaddress.ip_network('172.30.0.0/24') for a in everybody))
        for name in ('node0', 'node21', 'control', 'node01'):
            self.assertRaises(Refused, node_number, name)

    def test_the_words_for_kubectl_and_for_a_machine_are_not_parsed(self):
        options = front.parse(['kubectl', '--name', 'x', 'get', 'pods', '--namespace', 'a', '-A'])
        self.assertEqual((options.name, options.command), ('x', ['get', 'pods', '--namespace', 'a', '-A']))
        options = front.parse(['kubectl', '--', 'exec', 'a', '--', 'ls', '--name'])
        self.assertEqual((options.name, options.command), ('cluster', ['exec', 'a', '--', 'ls', '--name']))
        options = front.parse(['node', 'node1', '--name', 'x', '--', 'ip', '--name', 'y'])
        self.assertEqual((options.name, options.machine, options.command), ('x', 'node1', ['ip', '--name', 'y']))


class Files(unittest.TestCase):
    def test_kubelet_and_kube_proxy_name_every_family(self):
        addresses = Addresses(('ipv6',))
        self.assertIn('clusterDNS: ["fd00:10:96::a"]', node_config.kubelet(addresses, '/run/x.sock'))
        self.assertIn('bindAddress: "::"', node_config.kube_proxy('node1', addresses.node('node1'), addresses))
        self.assertFalse(node_config.kube_proxy('node1', addresses.node('node1'), addresses).startswith('{'))

    def test_the_manifest_gets_this_clusters_values_and_no_other_change(self):
        before = '# head\nkind: Namespace\n---\nkind: ConfigMap\nmetadata:\n  name: causeway\ndata:\n  CAUSEWAY_FABRIC: auto\n---\nkind: DaemonSet\n'
        after = stacks.with_values(before, checked(Options(stack='noproxy', fabric='vxlan')), Addresses(('ipv4',)))
        self.assertEqual(after, before.replace('  CAUSEWAY_FABRIC: auto\n', ''.join(f'  {line}\n' for line in (
            'KUBERNETES_SERVICE_HOST: "172.30.0.2"', 'KUBERNETES_SERVICE_PORT: "6443"', 'CAUSEWAY_SERVICES: "true"', 'CAUSEWAY_DNS: "false"', 'CAUSEWAY_CLUSTER_DNS: ""', 'CAUSEWAY_PLANE: "bpf"', 'CAUSEWAY_FABRIC: "vxlan"',
            'CAUSEWAY_CLUSTER_CIDR: "10.244.0.0/16"'))))
        with self.assertRaisesRegex(Refused, 'has 0 ConfigMaps'):
            stacks.with_values('kind: Namespace\n', checked(Options(stack='noproxy')), Addresses(('ipv4',)))

    def test_cluster_dns_gets_the_address_that_kubelet_tells_pods(self):
        text = stacks.with_values(stacks.OURS.read_text(), checked(Options(stack='causeway', ip_family='ipv6')), Addresses(('ipv6',)))
        self.assertEqual((text.count('fd00:10:96::a'), text.count('10.96.0.10'), text.count('rcode NXDOMAIN')), (3, 0, 1))
        self.assertIn('CAUSEWAY_DNS: "true"', text)

    def test_every_variable_of_the_coredns_manifest_is_filled_in(self):
        known = set(re.findall(r'@([A-Z_]+)@', (stacks.MANIFESTS / 'coredns.yaml').read_text()))
        self.assertEqual(known, {'DNS', 'API_SERVER', 'FAMILY_POLICY'})


if __name__ == '__main__':
    result = unittest.main(exit=False, verbosity=1).result
    failed = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - failed} passed, {failed} failed', flush=True)
    sys.exit(1 if failed else 0)
