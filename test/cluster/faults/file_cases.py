"""What others do to a node's files: they fill its disk, and leave network configurations of their own."""
import json
import time

from world import Failed, Traffic, until

FOREIGN = {'cniVersion': '1.0.0', 'name': 'foreign', 'plugins': [{'type': 'bridge', 'bridge': 'foreign0', 'ipam': {
    'type': 'host-local', 'subnet': '192.0.2.0/24'}}]}


def case_full_disk(world):
    """An ADD that cannot be written down fails and names the disk; nothing is lost, and with room again all goes on."""
    machine = world.machine('node1')
    world.create('full-1', node='node1')
    world.create('full-2', node='node2')
    a, b = world.wait_ready('full-1', 'full-2')
    world.wait_dial(a, b)
    # /run alone is filled: it holds the journal of addresses. What it has is all it may have.
    used = machine.run(['sh', '-c', "df -k --output=used /run | tail -1"]).stdout.strip()
    before = machine.run(['sh', '-c', 'df -k --output=size /run | tail -1']).stdout.strip()
    machine.run(['mount', '-o', f'remount,size={used}k', '/run'])
    try:
        machine.run(['sh', '-c', 'cat /dev/zero >/run/filled 2>/dev/null; true'])
        with Traffic(world, a, b) as traffic:
            world.create('full-3', node='node1')
            until('an Event that names the full disk', 90,
                  lambda: 'no space left on device' in world.events('full-3').lower(), lambda: world.events('full-3'))
        traffic.check()
    finally:
        machine.run(['sh', '-c', f'rm -f /run/filled; mount -o remount,size={before}k /run'])
    (c,) = world.wait_ready('full-3', seconds=180)
    world.wait_dial(c, b)
    world.wait_dial(a, b)
    world.wait_agent('node1')
    world.delete_all()
    world.wait_nothing_leaked('node1')


def case_a_configuration_of_somebody_else_behind_ours(world):
    """It does no harm, and is left alone."""
    machine, path = world.machine('node1'), '/etc/cni/net.d/87-foreign.conflist'
    machine.write(path, json.dumps(FOREIGN))
    try:
        world.create('behind-1', node='node1')
        world.create('behind-2', node='node2')
        a, b = world.wait_ready('behind-1', 'behind-2')
        world.wait_dial(a, b)
        if json.loads(machine.path(path).read_text()) != FOREIGN:
            raise Failed('the configuration of somebody else was changed')
    finally:
        machine.path(path).unlink()
    world.delete_all()


def case_a_conflist_sorted_before_ours(world):
    """The runtime would take it instead of ours: the agent names the file, and goes on by itself when it is gone."""
    machine, path = world.machine('node1'), '/etc/cni/net.d/00-foreign.conflist'
    machine.write(path, json.dumps(FOREIGN))
    try:
        until('the agent names the foreign configuration', 60, lambda: '00-foreign.conflist' in world.page('node1', '/readyz'),
              lambda: world.page('node1', '/readyz'))
        until('an Event of the node names it', 60, lambda: '00-foreign.conflist' in world.events('node1'), lambda: world.events('node1'))
    finally:
        machine.path(path).unlink()
    world.wait_agent('node1')
    world.create('before-1', node='node1')
    world.create('before-2', node='node2')
    a, b = world.wait_ready('before-1', 'before-2')
    world.wait_dial(a, b)
    world.delete_all()
    world.wait_nothing_leaked('node1')


def case_the_plugin_and_its_configuration_are_deleted(world):
    """What a package upgrade wiped is put back."""
    machine = world.machine('node1')
    files = ('/opt/cni/bin/causeway-cni', '/etc/cni/net.d/05-causeway.conflist')
    for path in files:
        machine.path(path).unlink()
    until('plugin and configuration are back', 60, lambda: all(machine.path(p).exists() for p in files))
    world.wait_node('node1')
    world.create('wiped-1', node='node1')
    world.wait_ready('wiped-1')
    time.sleep(1)
    world.delete_all()
    world.wait_nothing_leaked('node1')
