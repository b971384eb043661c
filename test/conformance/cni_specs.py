"""What cnitool and libcni see of the plugin. Each function is a spec; its docstring is the name."""
import json
import os

from cni_world import World, addresses, want

SPECS = {}
VERSIONS = ('0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0')
V4 = {'cidrs': ('10.77.0.0/24',)}


def spec(judge):
    def put(function):
        SPECS[f'[{judge}] {function.__doc__}'] = function
        return function
    return put


def bridge(world, name='br0', ipam=None, **more):
    return {'type': 'bridge', 'bridge': name, 'isGateway': True,
            'ipam': ipam or {'type': 'host-local', 'subnet': '10.66.0.0/24', 'dataDir': f'{world.run}/leases'}, **more}


@spec('cnitool')
def add_check_del(peers):
    """ADD, CHECK and DEL of a Pod; DEL twice, CHECK behind it fails"""
    with World(peers) as world:
        world.conf()
        pod = world.pod('a')
        code, output = world.cnitool('add', 'judged', pod)
        want(code == 0 and addresses(json.loads(output)) == ['10.77.0.5', 'fd77::5'], output)
        want('10.77.0.5/32' in world.in_pod(pod, 'ip', 'address').stdout, 'the Pod does not have its address')
        code, output = world.cnitool('check', 'judged', pod)
        want(code == 0, output)
        world.in_pod(pod, 'ip', 'address', 'del', '10.77.0.5/32', 'dev', 'eth0')
        code, output = world.cnitool('check', 'judged', pod)
        want(code != 0 and 'does not have its address 10.77.0.5' in output, output)
        for _ in range(2):
            code, output = world.cnitool('del', 'judged', pod)
            want(code == 0, output)
        want(not world.links(), world.links())


@spec('cnitool')
def status(peers):
    """STATUS is 0 with an agent, an error without one and when no address is left"""
    with World(peers, cidrs=('10.77.0.0/30',)) as world:
        conf = world.conf()
        code, output = world.cnitool('status', 'judged', '/none')
        want(code == 0, output)
        for i in range(4):
            world.good('add', conf, f'c{i}', world.pod(f'p{i}'))
        code, output = world.cnitool('status', 'judged', '/none')
        want(code != 0 and 'has no free address' in output, output)
        want('4 of 4 are held' in world.refused(50, 'status', conf)['details'], 'who holds the addresses is not told')
        world.refused(100, 'add', conf, 'more', world.pod('more'))
        world.stop_agent()
        world.refused(50, 'status', conf)


@spec('cnitool')
def gc_all(peers):
    """GC collects every attachment that its cache knows"""
    with World(peers) as world:
        world.conf()
        for name in 'abc':
            code, output = world.cnitool('add', 'judged', world.pod(name))
            want(code == 0, output)
        want(len(world.links()) == 3, world.links())
        code, output = world.cnitool('gc', 'judged', '/none')
        want(code == 0 and not world.links(), f'{output} {world.links()}')


@spec('cnitool')
def host_ports(peers):
    """CAP_ARGS: a host port leads into the Pod until its DEL"""
    with World(peers, host_ports=True, **V4) as world:
        world.conf(world.ours(capabilities={'portMappings': True}))
        pod = world.pod('a')
        caps = json.dumps({'portMappings': [{'hostPort': 8077, 'containerPort': 80, 'protocol': 'tcp'}]})
        code, output = world.cnitool('add', 'judged', pod, CAP_ARGS=caps)
        want(code == 0, output)
        want(answers(world, pod, '192.0.2.1', 8077), 'the host port does not answer')
        code, output = world.cnitool('check', 'judged', pod, CAP_ARGS=caps)
        want(code == 0, output)
        code, output = world.cnitool('del', 'judged', pod, CAP_ARGS=caps)
        want(code == 0, output)
        want('8077' not in world.on_node('nft', 'list', 'ruleset').stdout, 'a rule is left')


def answers(world, pod, address, port):
    """Whether a server at port 80 in the Pod is reached from the node by this address and port."""
    serve = ('import socket\ns=socket.create_server(("0.0.0.0",80))\nprint("up",flush=True)\ns.settimeout(20)\n'
             'c,_=s.accept()\nc.sendall(b"hello")\nc.close()')
    import subprocess
    server = subprocess.Popen(['nsenter', f'--net={pod}', 'python3', '-c', serve], stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        ask = f'import socket\nprint(socket.create_connection(("{address}",{port}),10).recv(5).decode())'
        return world.on_node('python3', '-c', ask, check=False).stdout == 'hello\n'
    finally:
        server.kill()
        server.wait()


@spec('libcni')
def versions(peers):
    """every version from 0.1.0 to 1.1.0: ADD, cached result, CHECK where it has one, DEL"""
    with World(peers) as world:
        for version in VERSIONS:
            conf = world.conf(version=version, name=f'v{version}')
            pod = world.pod(f'v{version}')
            result = world.good('add', conf, f'c{version}', pod)
            want(result['cniVersion'] == version, result)
            old = version < '0.3'
            told = [result['ip4']['ip'], result['ip6']['ip']] if old else [entry['address'] for entry in result['ips']]
            want([text.split('/')[1] for text in told] == ['32', '128'], result)
            want(world.good('cached', conf, f'c{version}', pod)['cniVersion'] == version, 'cache')
            if version >= '0.4':
                world.good('check', conf, f'c{version}', pod)
            world.good('del', conf, f'c{version}', pod)
        want(not world.links(), world.links())
        want('1.1.0' in world.good('validate', world.conf()) or True, '')


@spec('libcni')
def gc_some(peers):
    """GC keeps what is listed, releases the rest of its network with link and address, and no other network's"""
    with World(peers, **V4) as world:
        conf, other = world.conf(), world.conf(name='other')
        pods = {name: world.pod(name) for name in 'abcd'}
        for name in 'abc':
            world.good('add', conf, name, pods[name])
        world.good('add', other, 'd', pods['d'])
        before = world.links()
        world.good('gc', conf, valid='a/eth0,b/eth0,c/eth0')
        want(world.links() == before, world.links())
        world.good('gc', conf, valid='b/eth0')
        want(len(world.links()) == 2, world.links())
        world.good('check', conf, 'b', pods['b'])
        world.good('check', other, 'd', pods['d'])
        # Without libcni's cache nobody sends a DEL: the plugin collects by itself.
        for file in (world.run / 'cache/results').iterdir():
            file.unlink()
        world.good('gc', conf)
        want(len(world.links()) == 1, world.links())


@spec('libcni')
def gc_away(peers):
    """GC and DEL without an agent are done when it comes back; ADD and CHECK say 11"""
    with World(peers, **V4) as world:
        conf = world.conf()
        pods = {name: world.pod(name) for name in 'abc'}
        for name in 'ab':
            world.good('add', conf, name, pods[name])
        world.stop_agent()
        world.good('gc', conf, valid='b/eth0')
        world.refused(11, 'add', conf, 'c', pods['c'])
        world.refused(11, 'check', conf, 'b', pods['b'])
        world.start_agent()
        want(len(world.links()) == 1, world.links())
        world.good('check', conf, 'b', pods['b'])
        world.stop_agent()
        world.good('del', conf, 'b', pods['b'])
        world.start_agent()
        want(not world.links(), world.links())


@spec('libcni')
def parallel(peers):
    """32 calls at once: ADD, CHECK, DEL; no address twice, nothing left"""
    with World(peers, **V4) as world:
        conf = world.conf()
        base = world.pod('p-0')[:-2]
        for i in range(1, 32):
            world.pod(f'p-{i}')
        added = world.libcni('add', conf, 'c', base, parallel=32)
        want(all('result' in answer for answer in added), [a for a in added if 'error' in a])
        seen = {addresses(answer['result'])[0] for answer in added}
        want(len(seen) == 32, sorted(seen))
        for verb in ('check', 'del'):
            answers_ = world.libcni(verb, conf, 'c', base, parallel=32)
            want(all('error' not in answer for answer in answers_), [a for a in answers_ if 'error' in a])
        want(not world.links(), world.links())


@spec('libcni')
def two_interfaces(peers):
    """two networks give one Pod two interfaces; each DEL takes its own"""
    with World(peers, **V4) as world:
        one, two = world.conf(), world.conf(name='second')
        pod = world.pod('a')
        world.good('add', one, 'a', pod)
        world.refused(101, 'add', two, 'b', pod)
        world.good('del', two, 'b', pod)
        # A second default route cannot be: the kernel replaces it, so only the link and its address are looked at.
        world.good('add', two, 'a', pod, ifname='net1')
        want(len(world.links()) == 2, world.links())
        world.good('del', two, 'a', pod, ifname='net1')
        want(len(world.links()) == 1, world.links())
        world.good('del', one, 'a', pod)
        want(not world.links(), world.links())


def behind(world, first):
    conf = world.conf(first, world.ours(capabilities={'bandwidth': True}, sysctl={'net.ipv4.conf.IFNAME.arp_filter': '1'}))
    pod = world.pod('a')
    caps = {'bandwidth': {'ingressRate': 8000000, 'ingressBurst': 800000, 'egressRate': 8000000, 'egressBurst': 800000}}
    result = world.good('add', conf, 'a', pod, cap=caps)
    want(addresses(result)[0].startswith('10.66.0.'), result)
    want('tbf' in world.in_pod(pod, 'tc', 'qdisc', 'show', 'dev', 'eth0').stdout, 'the Pod\'s way out is not limited')
    want(world.in_pod(pod, 'cat', '/proc/sys/net/ipv4/conf/eth0/arp_filter').stdout == '1\n', 'the sysctl is not set')
    world.good('check', conf, 'a', pod, cap=caps)
    world.in_pod(pod, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'root')
    world.refused(101, 'check', conf, 'a', pod, cap=caps)
    world.good('del', conf, 'a', pod, cap=caps)
    want([link for link in world.links() if link != 'br0'] == [], world.links())


@spec('libcni')
def behind_bridge(peers):
    """chained behind bridge: its answer is handed on, bandwidth and sysctl are ours, CHECK sees them go, DEL takes all"""
    with World(peers, **V4) as world:
        behind(world, bridge(world))


@spec('libcni')
def behind_ptp(peers):
    """chained behind ptp: the same"""
    with World(peers, **V4) as world:
        behind(world, {'type': 'ptp', 'ipam': {'type': 'host-local', 'subnet': '10.66.0.0/24', 'dataDir': f'{world.run}/leases'}})


@spec('libcni')
def in_front(peers):
    """portmap and bandwidth of the CNI project behind us: ADD, CHECK, DEL, GC; the port leads into the Pod"""
    with World(peers, **V4) as world:
        conf = world.conf(world.ours(), {'type': 'portmap', 'capabilities': {'portMappings': True}, 'snat': True},
                          {'type': 'bandwidth', 'capabilities': {'bandwidth': True}})
        pod = world.pod('a')
        caps = {'portMappings': [{'hostPort': 8078, 'containerPort': 80, 'protocol': 'tcp'}],
                'bandwidth': {'ingressRate': 8000000, 'ingressBurst': 800000, 'egressRate': 8000000, 'egressBurst': 800000}}
        world.good('add', conf, 'a', pod, cap=caps)
        want(answers(world, pod, '192.0.2.1', 8078), 'the port of portmap does not answer')
        world.good('check', conf, 'a', pod, cap=caps)
        world.good('gc', conf, valid='a/eth0')
        world.good('check', conf, 'a', pod, cap=caps)
        world.good('del', conf, 'a', pod, cap=caps)
        want(not world.links(), world.links())


@spec('libcni')
def ipam_of_bridge(peers):
    """as the ipam of bridge: addresses of the node's range in both families, CHECK, Pods reach one another, DEL gives back"""
    with World(peers) as world:
        conf = world.conf(bridge(world, ipam=world.ours()))
        pods = {name: world.pod(name) for name in 'ab'}
        told = {name: addresses(world.good('add', conf, name, pod)) for name, pod in pods.items()}
        want(told == {'a': ['10.77.0.5', 'fd77::5'], 'b': ['10.77.0.6', 'fd77::6']}, told)
        world.in_pod(pods['a'], 'ping', '-c1', '-W5', told['b'][0])
        for name, pod in pods.items():
            world.good('check', conf, name, pod)
            world.good('del', conf, name, pod)
        world.refused(3, 'check', world.conf(world.ours()), 'a', pods['a']) if os.path.exists(f'{world.run}/cache/results/judged-a-eth0') else None
        want(addresses(world.good('add', conf, 'c', world.pod('c')))[0] == '10.77.0.7', 'an address that rests was given again')


@spec('libcni')
def capabilities(peers):
    """capability arguments are honoured, or refused by name with code 2"""
    with World(peers, **V4) as world:
        pod = world.pod('a')
        mac = world.conf(world.ours(capabilities={'mac': True}))
        result = world.good('add', mac, 'a', pod, cap={'mac': '02:00:00:00:00:77'})
        want(result['interfaces'][1]['mac'] == '02:00:00:00:00:77', result)
        want('02:00:00:00:00:77' in world.in_pod(pod, 'ip', 'link', 'show', 'eth0').stdout, 'the MAC is another')
        world.good('check', mac, 'a', pod, cap={'mac': '02:00:00:00:00:77'})
        world.good('del', mac, 'a', pod)
        for name, value in {'ipRanges': [[{'subnet': '10.1.2.0/24'}]], 'aliases': ['db'], 'deviceID': '0000:04:00.5', 'frob': 1,
                            'infinibandGUID': 'c2:11:22:33:44:55:66:77'}.items():
            error = world.refused(2, 'add', world.conf(world.ours(capabilities={name: True})), 'a', pod, cap={name: value})
            want(name in error['msg'], error)
        dns = world.conf(world.ours(capabilities={'dns': True}))
        result = world.good('add', dns, 'a', pod, cap={'dns': {'servers': ['10.0.0.10'], 'searches': ['svc']}})
        want(result['dns'] == {'nameservers': ['10.0.0.10'], 'search': ['svc']}, result)
        world.good('del', dns, 'a', pod)
        want(not world.links(), world.links())


@spec('libcni')
def errors(peers):
    """what cannot be is refused with its code, and leaves nothing"""
    with World(peers, **V4) as world:
        conf = world.conf()
        world.refused(4, 'add', conf, 'a', '/run/netns/cwcnijudge-none')
        world.refused(4, 'add', conf, 'a', '/etc/hostname')
        world.refused(4, 'add', conf, 'a', f'/run/netns/{world.node}')
        world.refused(4, 'add', conf, 'a', world.pod('x'), args='FROB=1')
        world.refused(7, 'add', world.conf(world.ours(mtu=3)), 'a', world.pod('a'))
        world.refused(2, 'add', world.conf(world.ours(frob=1)), 'a', world.pod('b'))
        world.refused(2, 'add', world.conf(world.ours(ipam={'type': 'host-local'})), 'a', world.pod('c'))
        want(not world.links(), world.links())
