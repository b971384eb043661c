"""What happens to a node: cut off, rebooted, added, drained, removed, its runtime restarted, its Pod CIDR late."""
import time

from world import Failed, Traffic, until


def case_node_cut_off_and_back(world):
    world.create('cut-1', node='node1')
    world.create('cut-2', node='node2')
    a, b = world.wait_ready('cut-1', 'cut-2')
    world.wait_dial(a, b)
    world.cluster.set_wire('node2', False)
    try:
        until('a node that is cut off is not reached', 10, lambda: not world.dial(a, b, 1))
        world.wait_node('node2', up=False, seconds=90)
    finally:
        world.cluster.set_wire('node2', True)
    world.wait_node('node2')
    world.wait_dial(a, b)
    world.wait_agent('node2')
    world.create('cut-3', node='node2')
    (c,) = world.wait_ready('cut-3')
    world.wait_dial(a, c)
    world.delete_all()
    world.wait_nothing_leaked('node2')


def case_node_rebooted(world):
    """Its namespaces are destroyed and made again; its Pods come back with a network, old addresses are forgotten."""
    world.create('boot-1', node='node1')
    world.create('boot-2', 'boot-3', node='node2')
    a, b, _ = world.wait_ready('boot-1', 'boot-2', 'boot-3')
    world.wait_dial(a, b)
    world.cluster.reboot('node2')
    world.wait_agent('node2', 180)
    world.wait_node('node2')

    def again():
        pods = world.pods()
        states = [pods[n]['status'] for n in ('boot-2', 'boot-3')]
        return all(s['containerStatuses'][0]['restartCount'] > 0 and s['containerStatuses'][0]['ready'] for s in states) and [s['podIP'] for s in states]
    b, c = until('the Pods of the rebooted node run again', 180, again, world.states)
    world.wait_dial(a, b)
    world.wait_dial(c, a)
    world.wait_dial(b, c)
    world.wait_nothing_leaked('node2')
    world.delete_all()


def case_node_added_drained_and_removed(world):
    name = world.cluster.add_node()
    try:
        world.cluster.connect(120)
        world.wait_agent(name, 180)
        world.wait_node(name)
        world.create('add-1', node='node1')
        world.create('add-2', node=name)
        a, b = world.wait_ready('add-1', 'add-2')
        world.wait_dial(a, b)
        world.wait_dial(b, a)
        world.kubectl('drain', name, '--ignore-daemonsets', '--force', '--delete-emptydir-data', '--timeout=90s')
        if [p for p in world.pods_with_network(name) if p['metadata']['name'].startswith('add-')]:
            raise Failed('the drained node has Pods')
        until('the drained node has no link of a Pod', 60, lambda: world.attached(name) == (0, 0), lambda: str(world.attached(name)))
    finally:
        world.cluster.remove_node(name)
    world.cluster.connect()
    route = world.machine('node1')

    def forgotten():
        return '172.30.0.13' not in route.net(['sh', '-c', 'ip route; ip neigh show nud permanent; bridge fdb show']).stdout
    until('node1 forgets the removed node', 60, forgotten, lambda: route.net(['ip', 'route']).stdout)
    world.delete_all()


def case_containerd_restarted(world):
    """Containers and their packets go on; afterwards Pods are made and unmade as before."""
    world.create('runtime-1', node='node1')
    world.create('runtime-2', node='node2')
    a, b = world.wait_ready('runtime-1', 'runtime-2')
    world.wait_dial(a, b)
    node = world.cluster.node('node1')
    with Traffic(world, b, a) as traffic:
        node.machine.kill('containerd')
        time.sleep(2)
        node.start_containerd()
        time.sleep(2)
    traffic.check()
    world.wait_node('node1')
    world.create('runtime-3', node='node1')
    (c,) = world.wait_ready('runtime-3')
    world.wait_dial(c, b)
    world.delete_all()
    world.wait_nothing_leaked('node1')


def case_pod_cidr_given_late(world):
    """Without a Pod CIDR the node says what it waits for; with it, it becomes Ready by itself."""
    control, program = world.cluster.control, 'kube-controller-manager'
    control.machine.stop(program)
    control.machine.start(program, [*control.command(program), '--controllers=*,-node-ipam-controller'])
    name = world.cluster.add_node()
    try:
        until(f'an agent on {name}', 120, lambda: world.agent(name))
        until('the agent names what it waits for', 60, lambda: 'podCIDRs' in world.page(name, '/readyz'), lambda: world.page(name, '/readyz'))
        time.sleep(3)
        if world.node_ready(name):
            raise Failed(f'{name} is Ready without a Pod CIDR')
        control.machine.stop(program)
        control.start(program)
        world.cluster.connect(120)
        world.wait_agent(name, 180)
        world.wait_node(name)
        world.create('late-1', node='node1')
        world.create('late-2', node=name)
        a, b = world.wait_ready('late-1', 'late-2')
        world.wait_dial(a, b)
        world.delete_all()
    finally:
        control.machine.stop(program)
        control.start(program)
        world.cluster.remove_node(name)
        world.cluster.connect()


def case_two_pods_of_one_name(world):
    """Deleted by force and made again at once: the old one's DEL must not take the new one's network."""
    world.create('twin', node='node1')
    world.create('other', node='node2')
    _, b = world.wait_ready('twin', 'other')
    for _ in range(3):
        world.kubectl('delete', 'pod', '-n', 'default', 'twin', '--grace-period=0', '--force', '--wait=true')
        world.create('twin', node='node1')
        (a,) = world.wait_ready('twin')
        world.wait_dial(a, b)
        world.wait_dial(b, a)
    world.wait_nothing_leaked('node1')
    world.wait_dial(a, b)
    world.delete_all()
