"""What happens to the agent: it is killed, loses the API server, or lacks rights."""
import json
import os
import time

from world import Failed, Traffic, until

# The ten minutes, by CAUSEWAY_FAULTS_AWAY=600; the default is long enough for every time-out and retry of the agent.
AWAY = float(os.environ.get('CAUSEWAY_FAULTS_AWAY', '60'))


def case_agent_killed_while_pods_are_created(world):
    """containerd retries what failed; every Pod comes up and nothing is leaked."""
    names = [f'killed-{i}' for i in range(12)]
    world.create(*names, node='node1')
    for _ in range(3):
        world.kill_agent('node1')
        time.sleep(1.5)
    addresses = world.wait_ready(*names, seconds=180)
    if len(set(addresses)) != len(names):
        raise Failed(f'an address was given twice: {sorted(addresses)}')
    world.wait_agent('node1')
    world.wait_nothing_leaked('node1')
    world.dial(addresses[0], addresses[1]) or world.wait_dial(addresses[0], addresses[1], 5)
    # Killed while they are deleted, too.
    world.kubectl('delete', 'pod', '-n', 'default', '-l', 'fault=pod', '--wait=false')
    world.kill_agent('node1')
    world.delete_all()
    world.wait_agent('node1')
    world.wait_nothing_leaked('node1')


def case_packets_flow_while_the_agent_is_dead(world):
    world.create('still-1', node='node1')
    world.create('still-2', node='node2')
    a, b = world.wait_ready('still-1', 'still-2')
    world.wait_dial(a, b)
    with Traffic(world, a, b) as traffic:
        time.sleep(1)
        for node in ('node1', 'node2'):
            world.kill_agent(node)
        time.sleep(5)
    traffic.check()
    for node in ('node1', 'node2'):
        world.wait_agent(node)
    world.delete_all()


def case_api_server_away_with_an_agent_restart_in_it(world):
    """Packets flow, a restarted agent keeps the network of its Pods, and all goes on when the API server is back."""
    control = world.cluster.control
    world.create('away-1', node='node1')
    world.create('away-2', node='node2')
    a, b = world.wait_ready('away-1', 'away-2')
    world.wait_dial(a, b)
    control.machine.stop('kube-apiserver')
    try:
        with Traffic(world, a, b) as traffic:
            time.sleep(AWAY / 3)
            old = world.kill_agent('node1')
            until('kubelet starts the agent again', 60, lambda: world.agent('node1') not in (None, old))
            time.sleep(AWAY * 2 / 3)
        traffic.check()
    finally:
        control.start('kube-apiserver')
        control.machine.wait('ready', 'kube-apiserver', control.ready, 90)
    world.wait_agent('node1')
    world.wait_node('node1')
    world.wait_node('node2')
    world.create('away-3', node='node1')
    (c,) = world.wait_ready('away-3')
    world.wait_dial(c, b)
    world.delete_all()
    world.wait_nothing_leaked('node1')


def case_agent_with_too_few_rights(world):
    """It names what is forbidden, keeps the network that is there, and goes on by itself when it may again."""
    world.create('rights-1', node='node1')
    world.create('rights-2', node='node2')
    a, b = world.wait_ready('rights-1', 'rights-2')
    world.wait_dial(a, b)
    role = json.loads(world.kubectl('get', 'clusterrole', 'causeway-agent', '-o', 'json'))
    rules = role['rules']
    fewer = [r for r in rules if 'nodes' not in r.get('resources', [])]
    if len(fewer) == len(rules):
        raise Failed('the role causeway-agent has no rule for nodes')
    with Traffic(world, a, b) as traffic:
        world.kubectl('replace', '-f', '-', text=json.dumps({**role, 'rules': fewer}))
        try:
            world.kill_agent('node1')
            until('the agent names the right that it lacks', 120,
                  lambda: any('nodes' in text and 'forbidden' in text for text in (world.page('node1', '/readyz'), world.agent_log('node1'))),
                  lambda: world.page('node1', '/readyz') + world.agent_log('node1')[-500:])
        finally:
            now = json.loads(world.kubectl('get', 'clusterrole', 'causeway-agent', '-o', 'json'))
            world.kubectl('replace', '-f', '-', text=json.dumps({**now, 'rules': rules}))
        world.wait_agent('node1')
    traffic.check()
    world.create('rights-3', node='node1')
    (c,) = world.wait_ready('rights-3')
    world.wait_dial(c, b)
    world.delete_all()
